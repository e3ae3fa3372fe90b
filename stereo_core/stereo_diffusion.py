"""StereoDiffusion's edits of a state between two denoising steps, for any sampler and any noise form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor

from .checks import expect_shape
from .latent_shift import HoleFill, warp_latent
from .noise_forms import NoiseForm, from_vp
from .warping import View, Warp


class ShiftSchedule(NamedTuple):
    """The steps before which a state is edited, counted from 0.

    Attributes:
        shift: before this step the one view becomes two.
        renew: before these the right view takes over what both views show; ascending, all after ``shift``.
    """

    shift: int
    renew: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ShiftSettings:
    """When and how one view becomes a pair.

    Attributes:
        shift_at: share of the schedule that the left view takes alone, 0 to 1; the paper's t', 20 %.
        fill: what the holes of a new view hold.
        mask_every: share of the schedule between two masked denoisings, 0 to 1; 0 for none. Published: 10 of 50
            steps. A share and not a count, so that it means the same for 8 steps and for 50.
        shift_both: shift each view by half, in opposite directions, instead of the right one by all.

    Raises:
        ValueError: a share outside 0 to 1, or an unknown fill.

    Source:
        StereoDiffusion (Wang et al., CVPRW 2024), sections 3.1 and 3.2. The published code shifts one step later
        (after the step of index 10) and finds its holes by values that are zero; here the shift comes after
        exactly ``shift_at`` of the steps and holes are where nothing landed.
    """

    shift_at: float = 0.2
    fill: HoleFill = HoleFill.LEFT
    mask_every: float = 0.2
    shift_both: bool = False

    def __post_init__(self) -> None:
        for name, share in (("shift_at", self.shift_at), ("mask_every", self.mask_every)):
            if not 0 <= share <= 1:
                raise ValueError(f"{name}: got {share}. Give a share of the schedule, 0 to 1.")
        HoleFill(self.fill)

    def schedule(self, steps: int) -> ShiftSchedule:
        """Place the edits in a schedule of ``steps`` steps, to the nearest step; the last step sees the pair.

        Raises:
            ValueError: no step at all.
        """
        if steps < 1:
            raise ValueError(f"steps: got {steps}. Sampling needs at least one step.")
        shift = min(_nearest(self.shift_at * steps), steps - 1)
        if self.mask_every == 0:
            return ShiftSchedule(shift, ())
        period = max(_nearest(self.mask_every * steps), 1)
        return ShiftSchedule(shift, tuple(range(shift + period, steps, period)))


class ShiftPreset(str, Enum):
    """Published settings by name, and one's own."""

    CUSTOM = "custom"
    STEREODIFFUSION = "stereodiffusion"
    STEREODIFFUSION_DEBLUR = "stereodiffusion_deblur"
    STEREODIFFUSION_SHIFT_BOTH = "stereodiffusion_shift_both"


PUBLISHED = {
    ShiftPreset.STEREODIFFUSION: ShiftSettings(0.2, HoleFill.ZEROS, 0.2),
    ShiftPreset.STEREODIFFUSION_DEBLUR: ShiftSettings(0.2, HoleFill.NOISE, 0.2),
    ShiftPreset.STEREODIFFUSION_SHIFT_BOTH: ShiftSettings(0.2, HoleFill.ZEROS, 0.2, shift_both=True),
}
"""StereoDiffusion's own: holes left blank, with Deblur (Eq. 8), and with both views shifted."""


def filling(
    state: Tensor, fill: HoleFill, sigma: Tensor, form: NoiseForm, generator: torch.Generator | None = None
) -> Tensor:
    """Make what holes of a new view hold.

    Args:
        state: (B, C, H, W) or (B, C, T, H, W), the one view.
        fill: ``left`` is the state itself at the same place; ``zeros`` nothing; ``noise`` StereoDiffusion's Deblur
            (Eq. 8), unit normal noise in the variance-preserving form.
        sigma: the state's noise level, a scalar tensor.
        form: the state's form.
        generator: the random stream of ``noise``, on the CPU; ``None`` takes torch's own.

    Returns:
        A state of the same shape and level.
    """
    match HoleFill(fill):
        case HoleFill.LEFT:
            return state
        case HoleFill.ZEROS:
            return torch.zeros_like(state)
        case HoleFill.NOISE:
            unit = torch.randn(state.shape, generator=generator, dtype=torch.float32)  # one stream on every device
            return from_vp(unit.to(state), sigma.to(state), form)


def start_pair(state: Tensor, disparity: Tensor, fill: Tensor, shift_both: bool = False) -> Tensor:
    """Make both views of a state: the Stereo Pixel Shift (Eq. 3).

    Values are copied, so the result is at the state's noise level in any form; masks and noise can be shifted
    just as well.

    Args:
        state: (B, C, H, W) or (B, C, T, H, W).
        disparity: (B, 1, H, W) or (B, 1, T, H, W) in whole columns of this grid, larger is nearer.
        fill: what the holes hold; broadcasts to ``state``.
        shift_both: the left view moves too, each by half.

    Returns:
        (2B, ...): all left entries, then all right ones. Without ``shift_both`` the left ones are ``state``.

    Raises:
        ValueError: a shape does not fit, or the disparity is not finite.
    """
    to_left, to_right = _shares(disparity, shift_both)
    views = [state if to_left is None else _filled(warp_latent(state, to_left, View.LEFT), fill)]
    return torch.cat([*views, _filled(warp_latent(state, to_right), fill)])


def renew_right(pair: Tensor, disparity: Tensor, shift_both: bool = False) -> Tensor:
    """Copy to the right view what the left view shows of it: Symmetric Pixel Shift Masking Denoise (Eq. 6 and 7).

    right[M] = S(left)[M], the rest stays as it was denoised. The published code, when both views are shifted,
    shifts the already shifted left view once more; here a pixel goes from where the left view shows it to where the
    right view shows it.

    Args:
        pair: (2B, C, H, W) or (2B, C, T, H, W), both views at one noise level.
        disparity: as given to ``start_pair``.
        shift_both: as given to ``start_pair``.

    Returns:
        (2B, ...), the left view untouched.

    Raises:
        ValueError: a shape does not fit.
    """
    if pair.shape[0] != 2 * disparity.shape[0]:
        raise ValueError(
            f"pair: expected twice the {disparity.shape[0]} entries of disparity, got {pair.shape[0]}. "
            "Stack all left entries, then all right ones."
        )
    left, right = pair.chunk(2)
    to_left, to_right = _shares(disparity, shift_both)
    shifted = warp_latent(left, to_right) if to_left is None else _left_to_right(left, to_left, to_right)
    return torch.cat([left, _filled(shifted, right)])


def replace_left(pair: Tensor, left: Tensor) -> Tensor:
    """Put a known state into the left view: replay.

    Args:
        pair: (2B, ...), both views.
        left: (B, ...), the left view's own state at this noise level, any device and floating dtype.

    Returns:
        (2B, ...).

    Raises:
        ValueError: another shape.
    """
    axes = "B C T H W" if pair.ndim == 5 else "B C H W"
    sizes = dict(zip(axes.split(), (pair.shape[0] // 2, *pair.shape[1:]), strict=True))
    expect_shape("left", left, axes, **sizes)
    return torch.cat([left.to(pair), pair.chunk(2)[1]])


def _nearest(value: float) -> int:
    return math.floor(value + 0.5)


def _shares(disparity: Tensor, shift_both: bool) -> tuple[Tensor | None, Tensor]:
    """How far the left and the right view move; whole columns split without losing one."""
    if not shift_both:
        return None, disparity
    to_left = (disparity / 2).floor()
    return to_left, disparity - to_left


def _filled(warp: Warp, fill: Tensor) -> Tensor:
    return torch.where(warp.filled, warp.image, fill)


def _left_to_right(left: Tensor, to_left: Tensor, to_right: Tensor) -> Warp:
    """Warp the left of two shifted views to the right one, by the columns of the middle one between them."""
    width = left.shape[-1]
    middle = torch.arange(width, dtype=torch.float32, device=left.device).expand(to_left.shape)
    in_left = middle + to_left
    front = warp_latent(middle.contiguous(), to_left, View.LEFT).image  # the middle column that each left column shows
    warp = warp_latent(torch.cat([middle, in_left], dim=1), to_right)
    owner, source = warp.image.chunk(2, dim=1)
    index = source.clamp(0, width - 1).long()
    seen = warp.filled & (source >= 0) & (source < width) & (front.gather(-1, index) == owner)
    return Warp(left.gather(-1, index.expand_as(left)), seen)
