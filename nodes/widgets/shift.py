"""The widgets of StereoDiffusion's steps, and those of a shift, the same on every node that shifts a latent."""

from __future__ import annotations

from collections.abc import Iterable

from comfy_api.latest import io

from ...stereo_core.stereo_diffusion import ShiftSettings
from ...stereo_core.view_shift import HoleFill, ShiftForm

_DEFAULTS = ShiftSettings()

_FILLS = {
    HoleFill.LEFT: "the left view at the same place",
    HoleFill.ZEROS: "nothing, as StereoDiffusion leaves them; may blur",
    HoleFill.NOISE: "new noise, StereoDiffusion's Deblur",
    HoleFill.BACKGROUND: "the surface behind, mirrored into the hole",
}


def fill_input(fills: Iterable[HoleFill] = HoleFill) -> io.Combo.Input:
    """``fill``, with those of its values that a node takes."""
    lines = (f"{fill.value}: {_FILLS[fill]}." for fill in fills)
    return io.Combo.Input(
        "fill",
        options=[fill.value for fill in fills],
        default=_DEFAULTS.fill.value,
        tooltip="\n".join(["What the holes of a new right view start from.", *lines]),
    )


def shift_form_input() -> io.Combo.Input:
    """``shift``."""
    return io.Combo.Input(
        "shift",
        options=ShiftForm,
        default=_DEFAULTS.shift.value,
        tooltip="How a latent, whose columns are 8 to 32 pixels wide, is shifted.\n"
        "sub_column: exactly, the picture in it apart from its noise.\nrounded: by the nearest whole columns.\n"
        "truncated: by whole columns cut off towards zero, as StereoDiffusion and StereoCrafter-Zero do.",
    )


def shift_inputs() -> list[io.Input]:
    """``shift_at``, ``fill``, ``mask_every``, ``shift_both`` and ``shift``, in this order."""
    return [
        io.Float.Input(
            "shift_at",
            default=_DEFAULTS.shift_at,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="Fraction of the steps after which the right view is made, 0 to 1; StereoDiffusion takes 0.2.\n"
            "Earlier: the views may differ in content. Later: cheaper and closer, but edges may break.",
        ),
        fill_input(),
        io.Float.Input(
            "mask_every",
            default=_DEFAULTS.mask_every,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="Fraction of the steps between two renewals of what both views show, from the left view; 0 = never."
            "\nStereoDiffusion takes 0.2, 10 of 50 steps. More often: the views agree better, at no cost.",
        ),
        io.Boolean.Input(
            "shift_both",
            default=_DEFAULTS.shift_both,
            tooltip="Shift each view by half, in opposite directions, instead of the right one alone; whole columns."
            "\nThe left view is then no longer the picture that the plain sampler would make.",
        ),
        shift_form_input(),
    ]


def vae_input(when: str) -> io.Vae.Input:
    """``vae``; ``when`` it runs ends its tooltip."""
    return io.Vae.Input(
        "vae",
        optional=True,
        tooltip="The model's VAE: shifts the decoded picture by the full depth map, in place of the latent.\n"
        f"It runs at {when}. Only with shift sub_column.",
    )
