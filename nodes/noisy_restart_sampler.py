"""NoisyRestartSampler: turns any sampler into one that restarts the first steps of a stereo pair."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import comfy.samplers
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.stereo_crafter_zero import CrafterSettings
from ..stereo_core.stereo_depth import StereoDepth
from ..stereo_core.trajectory import Trajectory
from .sampling.stereo_crafter_zero import StereoCrafterZeroSampler
from .widgets.geometry import read_depth, show_disparity, tell_disparity
from .widgets.restart_refine import left_view_inputs, options_input, sampler_input
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
                *left_view_inputs(),
                options_input(),
                sampler_input("An Iterative Refine Sampler here refines after the restart, in the same run."),
                vae_input("each warp"),
            ],
            outputs=[
                io.Sampler.Output(
                    display_name="sampler", tooltip="Gives a latent with all left entries first, then all right ones."
                )
            ],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls,
        depth: StereoDepth | Tensor,
        trajectory: Trajectory,
        options: CrafterSettings | None = None,
        sampler: object | None = None,
        vae: Any = None,
    ) -> io.NodeOutput:
        depth = read_depth(depth)
        settings = replace(CrafterSettings.of() if options is None else options, refine=None)
        if sampler is None:
            sampler = comfy.samplers.sampler_object("euler_ancestral")
        tell = partial(tell_disparity, cls, depth)
        stereo = StereoCrafterZeroSampler(sampler, depth, trajectory, settings, tell, vae)
        return io.NodeOutput(stereo, ui=show_disparity(cls, depth))
