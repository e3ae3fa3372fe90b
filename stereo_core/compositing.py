"""The finished view: from the warp what the source shows, from a generated view what it does not."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from .checks import expect_shape
from .rendering import RenderedView


def composite(rendered: RenderedView, result: Tensor, feather: float = 0.0) -> Tensor:
    """Put a generated view into the holes of a rendered one.

    Args:
        rendered: image (B, C, H, W) and hole (B, 1, H, W) of the warped source.
        result: (B, C, H, W), the generated view at that size.
        feather: width of the transition in pixels, 0 or more. It lies inside the hole and leads from the fill
            of the rendered view to ``result``.

    Returns:
        (B, C, H, W) in the dtype of the rendered image, and equal to it, bit for bit, outside the hole.

    Raises:
        ValueError: a shape does not fit, or ``feather`` is below 0.
    """
    image, hole = rendered
    expect_shape("image", image, "B C H W")
    batch, channels, height, width = image.shape
    expect_shape("result", result, "B C H W", B=batch, C=channels, H=height, W=width)
    mixed = torch.lerp(image.float(), result.float(), feather_weight(hole, feather))
    return torch.where(hole, mixed.to(image.dtype), image)


def feather_weight(hole: Tensor, feather: float) -> Tensor:
    """Weigh a generated view: from 0 at the rim of a hole, rising linearly over ``feather`` pixels, to 1 inside it.

    Args:
        hole: (B, 1, H, W) bool.
        feather: in pixels, 0 or more. 0 gives the hole itself.

    Returns:
        (B, 1, H, W) float32: 0 outside the hole; inside, the Euclidean distance to the nearest pixel outside it,
        divided by ``feather + 1``, at most 1. The border of the picture is not a rim.

    Raises:
        ValueError: the shape does not fit, or ``feather`` is below 0.
    """
    expect_shape("hole", hole, "B 1 H W")
    if not (feather >= 0 and math.isfinite(feather)):
        raise ValueError(f"feather: got {feather}. Give a width of 0 or more.")
    reach = feather + 1
    squared = _distance_in_row(hole).clamp_max(reach) ** 2
    # By Pythagoras, the least over the rows nearby; rows more than ``reach`` away cannot matter.
    rows = min(math.ceil(reach) - 1, hole.shape[-2] - 1)
    padded = functional.pad(squared, (0, 0, rows, rows), value=reach**2)
    nearest = squared.clone()
    for row in range(-rows, rows + 1):
        shifted = padded[..., rows + row : rows + row + hole.shape[-2], :]
        torch.minimum(nearest, shifted + row**2, out=nearest)
    return nearest.sqrt_().div_(reach).clamp_max_(1)


def resize_view(view: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a view with a bicubic filter, antialiased when it becomes smaller.

    Args:
        view: (B, C, h, w) in [0, 1], any floating dtype.
        size: (H, W) of the result.

    Returns:
        (B, C, H, W) in [0, 1], the same dtype; ``view`` itself if it has that size already.

    Raises:
        ValueError: the shape does not fit.
    """
    expect_shape("view", view, "B C H W")
    if view.shape[-2:] == size:
        return view
    resized = functional.interpolate(view.float(), size=size, mode="bicubic", antialias=True)
    return resized.clamp_(0, 1).to(view.dtype)  # bicubic overshoots at edges


def _distance_in_row(hole: Tensor) -> Tensor:
    """Columns to the nearest pixel of the row that is not in a hole, (B, 1, H, W) float32; inf if there is none."""
    column = torch.arange(hole.shape[-1], dtype=torch.float32, device=hole.device).expand(hole.shape)
    before = column.masked_fill(hole, -torch.inf).cummax(-1).values
    after = column.masked_fill(hole, torch.inf).flip(-1).cummin(-1).values.flip(-1)
    return torch.minimum(column - before, after - column)
