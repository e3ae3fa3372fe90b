"""Shifting a latent into the other view: step 2 of StereoDiffusion, on one latent by itself."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor

from .checks import expect_shape
from .warping import View, Warp, forward_warp


class HoleFill(str, Enum):
    """What a hole of the right view holds before a sampler sees it."""

    LEFT = "left"
    ZEROS = "zeros"
    NOISE = "noise"


class LatentPair(NamedTuple):
    """Both views of a latent.

    Attributes:
        samples: (2B, C, H, W) or (2B, C, T, H, W): all left entries, then all right ones.
        holes: (B, 1, H, W) or (B, 1, T, H, W) boolean, the right view's disocclusion.
    """

    samples: Tensor
    holes: Tensor


def shift_latent(
    latent: Tensor, disparity: Tensor, fill: HoleFill = HoleFill.LEFT, generator: torch.Generator | None = None
) -> LatentPair:
    r"""Make the right view of ``latent`` by the papers' integer shift and fill its holes.

    The shift is StereoDiffusion's (Wang et al., CVPRW 2024, Eq. 3): every latent column moves left by its
    disparity, truncated to whole columns, and the nearer wins. It copies values, so it holds for a latent at
    any noise level. ``NOISE`` is the Deblur fill (Eq. 8), unit normal in the variance-preserving form of a
    normalised latent; here each channel's own mean and std stand for that scale, so that it also fits a
    latent that still carries noise or has another family's scale.

    Args:
        latent: (B, C, H, W), or (B, C, T, H, W) for a video latent; any floating dtype.
        disparity: (B, 1, H, W), or (B, 1, T, H, W), in latent columns, larger is nearer.
        fill: what the holes hold.
        generator: the random stream of ``NOISE``, on the CPU; ``None`` takes torch's own.

    Returns:
        Both views and the holes of the right one; the left entries are ``latent`` to the bit.

    Raises:
        ValueError: a shape does not fit, or the disparity is not finite.
    """
    warp = warp_latent(latent, disparity)
    right = torch.where(warp.filled, warp.image, _fill(latent, fill, generator))
    return LatentPair(torch.cat([latent, right]), ~warp.filled)


def warp_latent(latent: Tensor, disparity: Tensor, view: View = View.RIGHT) -> Warp:
    """Forward-warp a picture or video latent by whole columns; the shift of ``shift_latent`` by itself.

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


def _fill(latent: Tensor, fill: HoleFill, generator: torch.Generator | None) -> Tensor:
    if fill is HoleFill.LEFT:
        return latent
    if fill is HoleFill.ZEROS:
        return torch.zeros_like(latent)
    noise = torch.randn(latent.shape, generator=generator, dtype=torch.float32)  # on the CPU: one stream everywhere
    inner = tuple(range(2, latent.ndim))
    values = latent.float()
    scaled = values.mean(inner, keepdim=True) + values.std(inner, correction=0, keepdim=True) * noise.to(latent.device)
    return scaled.to(latent.dtype)
