"""Forward warping of one view of a rectified pair along its rows into the other."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor

from .checks import expect_finite, expect_shape

# Integers as wide as a value, to mask its bits.
_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class View(str, Enum):
    """The view that is made; the source is the other one."""

    RIGHT = "right"
    LEFT = "left"


class Warp(NamedTuple):
    """One forward-warped view.

    Attributes:
        image: (B, C, H, W), the source's dtype and device; 0 where ``filled`` is false.
        filled: (B, 1, H, W) bool, true where a source pixel landed.
    """

    image: Tensor
    filled: Tensor


def forward_warp(source: Tensor, disparity: Tensor, view: View = View.RIGHT) -> Warp:
    r"""Move every pixel of ``source`` along its row by ``disparity``; the nearest surface wins.

    The right view has :math:`x_r = x_l - d`, the left view :math:`x_l = x_r + d`. Offsets are truncated toward
    zero, values are copied untouched, and targets outside the frame are dropped. Where several pixels land on one
    target the one with the larger disparity stays. The result equals, bit for bit, the nested loops that
    StereoCrafter-Zero's appendix B describes, in which a shift to the left visits columns from left to right, a
    shift to the right from right to left, and the last write stays.

    Args:
        source: (B, C, H, W) image or latent, any floating dtype.
        disparity: (B, 1, H, W) in columns of this grid, larger is nearer, any sign, any floating dtype.
        view: the view to make.

    Returns:
        The warped view and where it is filled.

    Raises:
        ValueError: a shape does not fit, the disparity is not finite, or the view is unknown.

    Source:
        StereoDiffusion (Wang et al., CVPRW 2024), Eq. 3; StereoCrafter-Zero (Shi et al.), appendix B,
        Eq. 10 and 11.
    """
    view = View(view)
    expect_shape("source", source, "B C H W")
    batch, _, height, width = source.shape
    expect_shape("disparity", disparity, "B 1 H W", B=batch, H=height, W=width)
    expect_finite("disparity", disparity)
    # float16 and bfloat16 do not hold every column; float32 does. The cast to integers truncates.
    wide = disparity if disparity.dtype == torch.float64 else disparity.float()
    offset = wide.clamp(-width - 1, width + 1).long()
    slot = torch.arange(1, width + 1, device=source.device)
    slot = slot - offset if view is View.RIGHT else slot + offset
    landed = landing_columns(slot.clamp_(0, width + 1), view)
    filled = (landed >= 0) & (landed < width)
    image = source.gather(-1, landed.clamp(0, width - 1).expand(source.shape))
    # Bits times 0 or 1: a third of the time of a masked write, and exact where a value is not finite.
    image.view(_BITS[image.element_size()]).mul_(filled)
    return Warp(image, filled)


def landing_columns(slot: Tensor, view: View) -> Tensor:
    """Find the source column that lands on each target column; among several the nearest one.

    Two pixels of a row that meet have moved by different amounts, so for the right view the one from
    further right is the nearer (larger disparity), for the left view the one from further left.

    Args:
        slot: (..., W) int64 in [0, W + 1], one more than the column each source pixel moves to; the
            first and the last slot are outside the frame.
        view: the view that is made.

    Returns:
        (..., W) int64 source columns; -1 (right view) or W (left view) where nothing lands.
    """
    width = slot.shape[-1]
    empty, reduce = (-1, "amax") if view is View.RIGHT else (width, "amin")
    column = torch.arange(width, device=slot.device).expand_as(slot)
    landed = column.new_full((*slot.shape[:-1], width + 2), empty)
    return landed.scatter_reduce_(-1, slot, column, reduce)[..., 1 : width + 1]
