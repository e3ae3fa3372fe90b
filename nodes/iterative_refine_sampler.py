"""IterativeRefineSampler: turns any sampler into one that keeps the right view of a pair consistent with the left."""

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
                options_input(),
                sampler_input(),
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
        settings = replace(CrafterSettings.of() if options is None else options, restart=None)
        if settings.refine is None:
            raise ValueError(
                "options: last_warp of Stereo Refine Options is 0, which means no refinement, and this sampler does "
                "nothing else. Raise it."
            )
        if sampler is None:
            sampler = comfy.samplers.sampler_object("euler_ancestral")
        tell = partial(tell_disparity, cls, depth)
        stereo = StereoCrafterZeroSampler(sampler, depth, trajectory, settings, tell, vae)
        return io.NodeOutput(stereo, ui=show_disparity(cls, depth))
