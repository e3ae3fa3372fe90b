"""Forward warping of one view of a rectified pair along its rows into the other."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor

from .checks import expect_finite, expect_shape

_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class WarpMode(str, Enum):
    """How a source pixel lands between two target columns."""

    NEAREST = "nearest"
    LINEAR = "linear"


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


def forward_warp(source: Tensor, disparity: Tensor, mode: WarpMode = WarpMode.NEAREST, view: View = View.RIGHT) -> Warp:
    r"""Move every pixel of ``source`` along its row by ``disparity``; the nearest surface wins.

    The right view has :math:`x_r = x_l - d`, the left view :math:`x_l = x_r + d`. Targets outside the
    frame are dropped.

    ``nearest`` truncates the offset toward zero and copies source values untouched; where several
    pixels land on one target the one with the larger disparity stays. It equals, bit for bit, the nested
    loops that StereoCrafter-Zero's appendix B describes, in which a shift to the left visits columns
    from left to right, a shift to the right from right to left, and the last write stays.

    ``linear`` shares a pixel between the two columns beside its target by its distance to them, and
    weights what meets at one column by softmax splatting (Niklaus and Liu, CVPR 2020),

    .. math:: I'(t) = \frac{\sum_x e^{d(x) - \hat d(t)}\, b(x, t)\, I(x)}{\sum_x e^{d(x) - \hat d(t)}\, b(x, t)}

    with :math:`b(x, t)` the share and :math:`\hat d(t)` the largest disparity at the target. A target is
    filled when at least half a pixel lands on it. Sums are in float32 (float64 for a float64 source).

    Args:
        source: (B, C, H, W) image or latent, any floating dtype.
        disparity: (B, 1, H, W) in columns of this grid, larger is nearer, any sign, any floating dtype.
        mode: ``nearest`` or ``linear``.
        view: the view to make.

    Returns:
        The warped view and where it is filled.

    Raises:
        ValueError: a shape does not fit, the disparity is not finite, or the mode or view is unknown.

    Source:
        StereoDiffusion (Wang et al., CVPRW 2024), Eq. 3; StereoCrafter-Zero (Shi et al.), appendix B,
        Eq. 10 and 11.
    """
    mode, view = WarpMode(mode), View(view)
    expect_shape("source", source, "B C H W")
    batch, _, height, width = source.shape
    expect_shape("disparity", disparity, "B 1 H W", B=batch, H=height, W=width)
    expect_finite("disparity", disparity)
    if mode is WarpMode.NEAREST:
        return _warp_nearest(source, disparity, view)
    return _warp_linear(source, disparity, view)


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


def _warp_nearest(source: Tensor, disparity: Tensor, view: View) -> Warp:
    width = source.shape[-1]
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


def _warp_linear(source: Tensor, disparity: Tensor, view: View) -> Warp:
    batch, channels, height, width = source.shape
    dtype = torch.float64 if torch.float64 in (source.dtype, disparity.dtype) else torch.float32
    near = disparity.to(dtype)
    column = torch.arange(width, dtype=dtype, device=source.device)
    target = (column - near if view is View.RIGHT else column + near).clamp_(-1, width)
    floor = target.floor()
    right_share = target - floor
    taps = ((floor.long(), 1 - right_share), (floor.long() + 1, right_share))

    # Columns -1, W and W + 1 lie outside: row buffers carry them, so that no write needs a test.
    nearest = near.new_full((batch, 1, height, width + 3), -torch.inf)
    for index, share in taps:
        nearest.scatter_reduce_(-1, index + 1, near.masked_fill(share == 0, -torch.inf), "amax")
    colour = near.new_zeros(batch, channels, height, width + 3)
    mass, coverage = nearest.new_zeros(nearest.shape), nearest.new_zeros(nearest.shape)
    for index, share in taps:
        at = index + 1
        weight = (near - nearest.gather(-1, at)).clamp_(max=0).exp_().mul_(share)
        mass.scatter_add_(-1, at, weight)
        coverage.scatter_add_(-1, at, share)
        colour.scatter_add_(-1, at.expand(source.shape), source.to(dtype) * weight)
    inside = slice(1, width + 1)
    filled = coverage[..., inside] >= 0.5
    image = (colour[..., inside] / mass[..., inside]).masked_fill_(~filled, 0)
    return Warp(image.to(source.dtype), filled)
