"""Rows of a source view as connected surfaces, found at every column of the right view."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .warping import View, landing_columns

TEAR = 1.5
"""Neighbours whose disparity differs by more columns than this belong to different surfaces."""


class Landing(NamedTuple):
    """The source point seen at each target pixel, all (H, W).

    Attributes:
        column: int64 in [0, W - 1], the source pixel that lies nearest; 0 in holes.
        neighbour: int64 in [0, W - 1], the pixel on the other side of the point, on the same surface.
        share: float32 in [0, 1], the way from ``column`` to ``neighbour``; 0 where there is no neighbour.
        hole: bool, true where no surface lands.
    """

    column: Tensor
    neighbour: Tensor
    share: Tensor
    hole: Tensor


def land_surfaces(disparity: Tensor) -> Landing:
    """Find which source point each pixel of the right view shows.

    A row is a chain of pixels. Neighbours are joined where the disparity differs by at most ``TEAR``
    columns and their targets keep their order; a joined pair covers all columns between its targets,
    a pixel half a column to both sides. Where surfaces overlap the larger disparity wins, which in one
    row is the larger source column: two points that meet at one target differ in both alike.

    Args:
        disparity: (H, W) float32 in columns, finite.

    Returns:
        The landing of every target pixel.
    """
    width = disparity.shape[-1]
    columns = torch.arange(width, device=disparity.device)
    position = columns - disparity
    # Column W - 1 is put in reach of no neighbour, so the last pixel joins nothing on its right.
    after = torch.nn.functional.pad(position[:, 1:], (0, 1), value=torch.inf)
    target = (position + 0.5).floor_().clamp_(-1, width)
    index = landing_columns(target.long(), View.RIGHT)
    length = after.sub_(position)
    joined = (length > 0) & (length <= 1 + TEAR)
    gap = torch.nn.functional.pad(target[:, 1:], (0, 1)).sub_(target).masked_fill_(~joined, 0)
    for step in range(1, int(1 + TEAR) + 1):
        between = torch.where(gap > step, target + step, -1.0).clamp_(max=width).long()
        index = torch.maximum(index, landing_columns(between, View.RIGHT))
    hole = index < 0
    column = index.clamp_(min=0)
    offset = columns - position.gather(-1, column)
    neighbour = (column + offset.sign().long()).clamp_(0, width - 1)
    spacing = (position.gather(-1, neighbour) - (columns - offset)).mul_(offset.sign())
    share = (offset.abs_() / spacing).masked_fill_((spacing <= 0) | (spacing > 1 + TEAR), 0).clamp_(max=1)
    return Landing(column, neighbour, share, hole)
