"""NoisyRestartSampler: turns any sampler into one that restarts the first steps of a stereo pair."""

from __future__ import annotations

from functools import partial
from typing import Any

import comfy.samplers
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.noisy_restart import RestartForm, RestartSettings
from ..stereo_core.stereo_crafter_zero import CrafterSettings
from ..stereo_core.trajectory import Trajectory
from ..stereo_core.video_presets import VideoPreset
from ..stereo_core.view_shift import HoleFill, ShiftForm
from .sampling.stereo_crafter_zero import StereoCrafterZeroSampler
from .widgets.geometry import geometry_inputs, read_geometry, show_disparity, tell_disparity
from .widgets.restart_refine import (
    form_input,
    hole_inputs,
    left_view_inputs,
    preset_input,
    restart_inputs,
    sampler_input,
)
from .widgets.shift import vae_input


class NoisyRestartSampler(io.ComfyNode):
    """Make the right view of a recorded left one in the first steps."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_NoisyRestartSampler",
            display_name="Noisy Restart Sampler",
            category="stereo/sampling",
            description="Makes the right view beside a recorded left one, taking the first steps several times "
            "until holes and surfaces agree.",
            search_aliases=["StereoCrafter-Zero", "stereo video", "text to stereo video", "2d to 3d video", "SBS"],
            inputs=[
                # the left view
                *left_view_inputs(),
                # the shift
                *geometry_inputs(),
                # the restart
                preset_input(),
                *restart_inputs(advanced=False),
                form_input(),
                # the right view's holes, and the steps
                *hole_inputs(),
                sampler_input("An Iterative Refine Sampler here refines after the restart, in the same run."),
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
        # the restart
        preset: str,
        iterations: int,
        restart_until: float,
        form: str,
        # the right view's holes, and the steps
        fill: str,
        shift: str,
        mirror: bool,
        sampler: object | None = None,
        vae: Any = None,
    ) -> io.NodeOutput:
        geometry = read_geometry(depth, max_disparity, convergence, exponent)
        restart = RestartSettings(iterations, restart_until, RestartForm(form), VideoPreset(preset))
        settings = CrafterSettings(restart, None, HoleFill(fill), ShiftForm(shift), mirror)
        if sampler is None:
            sampler = comfy.samplers.sampler_object("euler_ancestral")
        stereo = StereoCrafterZeroSampler(sampler, geometry, trajectory, settings, partial(tell_disparity, cls), vae)
        return io.NodeOutput(stereo, ui=show_disparity(cls, geometry.disparity()))
