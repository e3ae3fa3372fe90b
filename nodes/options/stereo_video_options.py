"""StereoVideoOptions: how the right view of a clip is begun, for those who want it otherwise."""

from __future__ import annotations

from comfy_api.latest import io

from ...stereo_core.stereo_crafter_zero import CrafterForm, CrafterSettings
from ...stereo_core.video_presets import VideoPreset
from ...stereo_core.view_shift import HoleFill, ShiftForm
from ..widgets.restart_refine import form_input, hole_inputs, preset_input, restart_inputs
from ..widgets.sockets import VIDEO_OPTIONS


class StereoVideoOptions(io.ComfyNode):
    """Set how often the first steps are restarted, what holes start from and how latents are shifted."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_StereoVideoOptions",
            display_name="Stereo Video Options",
            category="stereo/sampling",
            description="Options of Stereo Video KSampler, Noisy Restart Sampler and Iterative Refine Sampler.",
            search_aliases=["StereoCrafter-Zero", "preset", "noisy restart", "stereo settings"],
            inputs=[preset_input(), *restart_inputs(), form_input(), *hole_inputs()],
            outputs=[
                VIDEO_OPTIONS.Output(
                    display_name="options", tooltip="For options of the samplers, or of Stereo Refine Options."
                )
            ],
        )

    @classmethod
    def execute(
        cls, preset: str, iterations: int, restart_until: float, form: str, fill: str, shift: str
    ) -> io.NodeOutput:
        return io.NodeOutput(
            CrafterSettings.of(
                VideoPreset(preset), iterations, restart_until, CrafterForm(form), HoleFill(fill), ShiftForm(shift)
            )
        )
