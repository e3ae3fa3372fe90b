"""The other view of an image: forward warp along rows, then fill what nothing covers."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor

from .checks import expect_finite, expect_shape
from .warping import View, landing_columns


class Quality(str, Enum):
    """Time against picture quality."""

    FAST = "fast"
    BEST = "best"


class RenderedView(NamedTuple):
    """One rendered view.

    Attributes:
        image: (B, C, H, W), the source's dtype and device, every pixel filled.
        hole: (B, 1, H, W) bool, true where no surface of the source lands and the image is a fill.
    """

    image: Tensor
    hole: Tensor


def render_view(
    image: Tensor,
    disparity: Tensor,
    quality: Quality = Quality.BEST,
    view: View = View.RIGHT,
    edge_growth: int = 0,
) -> RenderedView:
    """Render the other view of ``image``.

    Args:
        image: (B, C, H, W), any floating dtype.
        disparity: (B, 1, H, W) in columns, larger is nearer, any sign.
        quality: ``fast`` or ``best``.
        view: the view to make: the right view has x_right = x_left - disparity.
        edge_growth: columns and rows by which nearer surfaces grow before the warp.

    Returns:
        The filled view and its holes.

    Raises:
        ValueError: a shape does not fit, the disparity is not finite, or an option is unknown.
    """
    quality, view = Quality(quality), View(view)
    expect_shape("image", image, "B C H W")
    batch, _, height, width = image.shape
    expect_shape("disparity", disparity, "B 1 H W", B=batch, H=height, W=width)
    expect_finite("disparity", disparity)
    if edge_growth < 0:
        raise ValueError(f"edge_growth: got {edge_growth}. Give a whole number of pixels, 0 or more.")
    near = disparity.float()
    if edge_growth:
        near = torch.nn.functional.max_pool2d(near, 2 * edge_growth + 1, 1, edge_growth)
    column = torch.arange(width, device=image.device)
    offset = near.clamp(-width, width).round().long()
    target = (column - offset if view is View.RIGHT else column + offset).clamp_(-1, width)
    landed = landing_columns(target, view)
    hole = (landed < 0) | (landed >= width)
    left = torch.where(hole, -1, column).cummax(-1).values
    right = torch.where(hole, width, column).flip(-1).cummin(-1).values.flip(-1)
    left, right = torch.where(left < 0, right, left), torch.where(right >= width, left, right)
    left = left.clamp(0, width - 1)
    right = right.clamp(0, width - 1)
    landed = landed.clamp(0, width - 1)
    landed_left, landed_right = landed.gather(-1, left), landed.gather(-1, right)
    farther_left = near.gather(-1, landed_left) < near.gather(-1, landed_right)
    index = torch.where(farther_left, landed_left, landed_right)
    return RenderedView(image.gather(-1, index.expand(image.shape)), hole)


def working_bytes(height: int, width: int, channels: int, quality: Quality) -> int:
    """Return a bound on the memory that rendering one frame takes beside its input and output."""
    return height * width * (100 + 16 * channels) * (1 if quality is Quality.FAST else 2)
