"""StereoRefineOptions: how often a clip's left view is warped into the right one, for those who want it otherwise."""

from __future__ import annotations

from dataclasses import replace

from comfy_api.latest import io

from ...stereo_core.stereo_crafter_zero import CrafterSettings
from ..widgets.restart_refine import refine_inputs
from ..widgets.sockets import VIDEO_OPTIONS


class StereoRefineOptions(io.ComfyNode):
    """Set when the left view is warped into the right one, and how often the step after that is taken."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_StereoRefineOptions",
            display_name="Stereo Refine Options",
            category="stereo/sampling",
            description="More options of Stereo Video KSampler and Iterative Refine Sampler: the warps and repeats.",
            search_aliases=["StereoCrafter-Zero", "iterative refinement", "stereo settings"],
            inputs=[
                *refine_inputs(),
                VIDEO_OPTIONS.Input(
                    "options", optional=True, tooltip="Of Stereo Video Options, which these are added to."
                ),
            ],
            outputs=[VIDEO_OPTIONS.Output(display_name="options", tooltip="For options of the samplers.")],
        )

    @classmethod
    def execute(
        cls,
        warp_every: float,
        last_warp: float,
        most_repeats: int,
        fewest_repeats: int,
        options: CrafterSettings | None = None,
    ) -> io.NodeOutput:
        options = CrafterSettings.of() if options is None else options
        refine = replace(
            options.refine,
            warp_every=warp_every,
            last_warp=last_warp,
            most_repeats=most_repeats,
            fewest_repeats=fewest_repeats,
        )
        return io.NodeOutput(replace(options, refine=refine))
