"""StereoPictureOptions: how Stereo KSampler makes a pair, for those who want it otherwise."""

from __future__ import annotations

from comfy_api.latest import io

from ...stereo_core.stereo_diffusion import PictureOptions, ShiftPreset, ShiftSettings
from ...stereo_core.view_shift import HoleFill, ShiftForm
from ..widgets.shift import shift_inputs
from ..widgets.sockets import PICTURE_OPTIONS


class StereoPictureOptions(io.ComfyNode):
    """Set when the right view is made, how it is shifted and how often it is renewed."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_StereoPictureOptions",
            display_name="Stereo Picture Options",
            category="stereo/sampling",
            description="Options of Stereo KSampler: StereoDiffusion's published settings, or your own.",
            search_aliases=["StereoDiffusion", "preset", "deblur", "stereo settings"],
            inputs=[
                io.Combo.Input(
                    "preset",
                    options=ShiftPreset,
                    default=ShiftPreset.CUSTOM.value,
                    tooltip="custom: the settings below. The others are StereoDiffusion's, with holes left blank, "
                    "with Deblur, and with both views shifted:\nthey replace all settings below, and those of Stereo "
                    "Strength by max_disparity 8, convergence 0 and exponent 1.",
                ),
                *shift_inputs(),
            ],
            outputs=[PICTURE_OPTIONS.Output(display_name="options", tooltip="For options of Stereo KSampler.")],
        )

    @classmethod
    def execute(
        cls, preset: str, shift_at: float, fill: str, mask_every: float, shift_both: bool, shift: str
    ) -> io.NodeOutput:
        custom = ShiftSettings(shift_at, HoleFill(fill), mask_every, shift_both, ShiftForm(shift))
        return io.NodeOutput(PictureOptions.of(ShiftPreset(preset), custom))
