"""The widgets of StereoDiffusion's steps, the same on every node that samples a pair."""

from __future__ import annotations

from comfy_api.latest import io

from ...stereo_core.latent_shift import HoleFill
from ...stereo_core.stereo_diffusion import ShiftSettings

_DEFAULTS = ShiftSettings()


def shift_inputs(advanced: bool) -> list[io.Input]:
    """``shift_at``, ``fill``, ``mask_every`` and ``shift_both``, in this order."""
    return [
        io.Float.Input(
            "shift_at",
            default=_DEFAULTS.shift_at,
            min=0.0,
            max=1.0,
            step=0.01,
            advanced=advanced,
            tooltip="Share of the steps after which the right view is made, 0 to 1; 0.2 is the paper's.\n"
            "Earlier: the views may differ in content. Later: cheaper and closer, but edges may break.",
        ),
        io.Combo.Input(
            "fill",
            options=HoleFill,
            default=_DEFAULTS.fill.value,
            advanced=advanced,
            tooltip="What the right view's holes start from.\nleft: the left view at the same place. "
            "zeros: nothing, as in the paper; may blur.\nnoise: new noise, the paper's Deblur.",
        ),
        io.Float.Input(
            "mask_every",
            default=_DEFAULTS.mask_every,
            min=0.0,
            max=1.0,
            step=0.01,
            advanced=advanced,
            tooltip="Share of the steps between two renewals of what both views show, from the left view; 0 = never.\n"
            "0.2 is the paper's 10 of 50 steps. More often: the views agree better, holes blend in worse.",
        ),
        io.Boolean.Input(
            "shift_both",
            default=_DEFAULTS.shift_both,
            advanced=advanced,
            tooltip="Shift each view by half, in opposite directions, instead of the right one by all.\n"
            "The left view is then no longer the picture the plain sampler would make.",
        ),
    ]
