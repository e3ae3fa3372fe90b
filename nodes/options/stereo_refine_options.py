"""StereoRefineOptions: how often a clip's left view is warped into the right one, for those who want it otherwise."""

from __future__ import annotations

from dataclasses import replace

from comfy_api.latest import io

from ...stereo_core.stereo_crafter_zero import CrafterSettings
from ...stereo_core.video_presets import VideoPreset
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
        given = CrafterSettings.of() if options is None else options
        # A preset would place the last warp itself: where nobody chose one, the numbers here count.
        preset = VideoPreset.CUSTOM if options is None else given.refine.preset
        if last_warp == 0 and preset is VideoPreset.CUSTOM:
            return io.NodeOutput(replace(given, refine=None))
        refine = replace(
            given.refine,
            warp_every=warp_every,
            last_warp=last_warp,
            most_repeats=most_repeats,
            fewest_repeats=fewest_repeats,
            preset=preset,
            restart_preset=given.refine.preset,
        )
        return io.NodeOutput(replace(given, refine=refine))
