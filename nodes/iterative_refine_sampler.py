"""IterativeRefineSampler: turns any sampler into one that keeps the right view of a pair consistent with the left."""

from __future__ import annotations

from functools import partial
from typing import Any

import comfy.samplers
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.stereo_crafter_zero import CrafterSettings
from ..stereo_core.trajectory import Trajectory
from ..stereo_core.view_shift import HoleFill, ShiftForm
from .sampling.stereo_crafter_zero import StereoCrafterZeroSampler
from .widgets.geometry import geometry_inputs, read_geometry, show_disparity, tell_disparity
from .widgets.restart_refine import (
    form_input,
    hole_inputs,
    left_view_inputs,
    preset_input,
    refine_inputs,
    refine_settings,
    restart_until_input,
    sampler_input,
)
from .widgets.shift import vae_input


class IterativeRefineSampler(io.ComfyNode):
    """Warp the left view into the right one every few steps, and harmonise the holes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_IterativeRefineSampler",
            display_name="Iterative Refine Sampler",
            category="stereo/sampling",
            description="Renews the right view from a recorded left one every few steps, and repeats these steps "
            "until the holes fit in.",
            search_aliases=["StereoCrafter-Zero", "stereo video", "text to stereo video", "2d to 3d video", "SBS"],
            inputs=[
                # the left view
                *left_view_inputs(),
                # the shift
                *geometry_inputs(),
                # the refinement
                preset_input(),
                restart_until_input(
                    True, "Fraction of the whole schedule before which nothing is warped, the restart's"
                ),
                *refine_inputs(advanced=False),
                form_input(),
                # the right view's holes, and the steps
                *hole_inputs(),
                sampler_input(),
                vae_input("each warp"),
            ],
            outputs=[
                io.Sampler.Output(
                    display_name="sampler", tooltip="Gives a latent with all left entries first, then all right ones."
                )
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        # the left view
        depth: Tensor,
        trajectory: Trajectory,
        # the shift
        max_disparity: float,
        convergence: float,
        exponent: float,
        # the refinement
        preset: str,
        restart_until: float,
        warp_every: float,
        last_warp: float,
        most_repeats: int,
        fewest_repeats: int,
        form: str,
        # the right view's holes, and the steps
        fill: str,
        shift: str,
        mirror: bool,
        sampler: object | None = None,
        vae: Any = None,
    ) -> io.NodeOutput:
        geometry = read_geometry(depth, max_disparity, convergence, exponent)
        refine = refine_settings(preset, restart_until, warp_every, last_warp, most_repeats, fewest_repeats, form)
        settings = CrafterSettings(None, refine, HoleFill(fill), ShiftForm(shift), mirror)
        if sampler is None:
            sampler = comfy.samplers.sampler_object("euler_ancestral")
        stereo = StereoCrafterZeroSampler(sampler, geometry, trajectory, settings, partial(tell_disparity, cls), vae)
        return io.NodeOutput(stereo, ui=show_disparity(cls, geometry.disparity()))
