"""Shifting a clean latent into the other view, by itself; and the papers' shift by whole columns."""

from __future__ import annotations

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor

from .checks import expect_shape
from .view_shift import HoleFill, ShiftForm, ViewShift
from .warping import View, Warp, forward_warp


class LatentPair(NamedTuple):
    """Both views of a latent.

    Attributes:
        samples: (2B, C, H, W) or (2B, C, T, H, W): all left entries, then all right ones.
        holes: (B, 1, H, W) or (B, 1, T, H, W) boolean, the right view's disocclusion.
    """

    samples: Tensor
    holes: Tensor


def shift_latent(
    latent: Tensor, shift: ViewShift, fill: HoleFill = HoleFill.BACKGROUND, generator: torch.Generator | None = None
) -> LatentPair:
    r"""Make the right view of a clean latent and fill its holes.

    ``NOISE`` is StereoDiffusion's Deblur fill (Eq. 8), unit normal in the variance-preserving form of a normalised
    latent; here each channel's own mean and std stand for that scale, so that it also fits a latent that still
    carries noise or has another family's scale.

    Args:
        latent: (B, C, H, W), or (B, C, T, H, W) for a video latent; any floating dtype.
        shift: made for this grid.
        fill: what the holes hold.
        generator: of ``NOISE``, on the CPU; ``None`` takes torch's own.

    Returns:
        Both views and the holes of the right one; the left entries are ``latent`` to the bit.

    Raises:
        ValueError: the shift is for another grid.
    """
    axes = "B C T H W" if latent.ndim == 5 else "B C H W"
    sizes = dict(zip(axes.split(), (shift.disparity.shape[0], -1, *shift.disparity.shape[2:]), strict=True))
    sizes.pop("C")
    expect_shape("latent", latent, axes, **sizes)
    moved = shift.estimate(latent) if shift.form is ShiftForm.SUB_COLUMN else shift.copies(latent, latent)
    right = torch.where(shift.filled, moved, _fill(latent, shift, fill, generator))
    return LatentPair(torch.cat([latent, right]), ~shift.filled)


def warp_latent(latent: Tensor, disparity: Tensor, view: View = View.RIGHT) -> Warp:
    """Forward-warp a picture or video latent by whole columns; the papers' shift.

    Args:
        latent: (B, C, H, W), or (B, C, T, H, W) for a video latent; any floating dtype.
        disparity: (B, 1, H, W), or (B, 1, T, H, W), in latent columns, larger is nearer.
        view: the view to make.

    Returns:
        The warped latent, 0 where nothing landed, and the boolean (B, 1, H, W) or (B, 1, T, H, W) of what did.

    Raises:
        ValueError: a shape does not fit, or the disparity is not finite.
    """
    axes = "B C T H W" if latent.ndim == 5 else "B C H W"
    expect_shape("latent", latent, axes)
    sizes = dict(zip(axes.split(), latent.shape, strict=True))
    sizes.pop("C")
    expect_shape("disparity", disparity, axes.replace("C", "1"), **sizes)
    if latent.ndim == 4:
        return forward_warp(latent, disparity, view)
    frames, columns = (rearrange(t, "b c t h w -> (b t) c h w") for t in (latent, disparity))
    warp = forward_warp(frames, columns, view)
    return Warp(*(rearrange(t, "(b t) c h w -> b c t h w", b=latent.shape[0]) for t in warp))


def _fill(latent: Tensor, shift: ViewShift, fill: HoleFill, generator: torch.Generator | None) -> Tensor:
    match HoleFill(fill):
        case HoleFill.LEFT:
            return latent
        case HoleFill.ZEROS:
            return torch.zeros_like(latent)
        case HoleFill.BACKGROUND:
            return shift.background(latent)
    noise = torch.randn(latent.shape, generator=generator, dtype=torch.float32)  # on the CPU: one stream everywhere
    inner = tuple(range(2, latent.ndim))
    values = latent.float()
    scaled = values.mean(inner, keepdim=True) + values.std(inner, correction=0, keepdim=True) * noise.to(latent.device)
    return scaled.to(latent.dtype)
