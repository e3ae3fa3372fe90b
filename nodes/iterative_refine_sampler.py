"""IterativeRefineSampler: any sampler as one that keeps the right view of a stereo pair true to the left."""

from __future__ import annotations

import comfy.samplers
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.latent_shift import HoleFill
from ..stereo_core.stereo_crafter_zero import CrafterSettings
from ..stereo_core.trajectory import Trajectory
from .sampling.stereo_crafter_zero import StereoCrafterZeroSampler
from .widgets.geometry import geometry_inputs, read_geometry, show_disparity
from .widgets.restart_refine import (
    fill_input,
    form_input,
    left_view_inputs,
    preset_input,
    refine_inputs,
    refine_settings,
    sampler_input,
)


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
                *left_view_inputs(),
                *geometry_inputs(),
                preset_input(),
                *refine_inputs(advanced=False),
                form_input(),
                fill_input(),
                sampler_input(),
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
        depth: Tensor,
        trajectory: Trajectory,
        max_disparity: float,
        convergence: float,
        exponent: float,
        preset: str,
        warp_every: float,
        last_warp: float,
        most_repeats: int,
        fewest_repeats: int,
        form: str,
        fill: str,
        sampler: object | None = None,
    ) -> io.NodeOutput:
        geometry = read_geometry(depth, max_disparity, convergence, exponent)
        refine = refine_settings(preset, warp_every, last_warp, most_repeats, fewest_repeats, form)
        settings = CrafterSettings(refine=refine, fill=HoleFill(fill))
        if sampler is None:
            sampler = comfy.samplers.sampler_object("euler_ancestral")
        stereo = StereoCrafterZeroSampler(sampler, geometry, trajectory, settings)
        return io.NodeOutput(stereo, ui=show_disparity(cls, geometry.disparity()))
