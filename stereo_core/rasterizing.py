"""Rows of a source view as connected surfaces, found at every column of the right view."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .masks import true_places
from .warping import View, landing_columns

TEAR = 1.5
"""Neighbours whose disparity differs by more columns than this belong to different surfaces."""


class Landing(NamedTuple):
    """The source point seen at each target pixel, all (H, W).

    Attributes:
        column: int64 in [0, W - 1], the source pixel that covers the target; 0 in holes.
        neighbour: int64 in [0, W - 1], the pixel on the other side of the point, if it is on the same surface.
        aside: float32 in [-1, 1], how far the point lies from ``column`` toward ``neighbour``, negative to the left;
            0 without a neighbour.
        hole: bool, true where no surface lands.
    """

    column: Tensor
    neighbour: Tensor
    aside: Tensor
    hole: Tensor

    def point(self) -> Tensor:
        """Return the source column of the point, (H, W) float32."""
        return self.aside + self.column


def land_surfaces(disparity: Tensor) -> Landing:
    """Find which source point each pixel of the right view shows.

    A row is a chain of pixels. Neighbours are joined where the disparity differs by at most ``TEAR``
    columns and their targets keep their order; a joined pair covers all columns between its targets,
    and every pixel covers half a column on either side of its own. Where surfaces overlap the larger
    disparity wins, which within a row is the larger source column: two points that meet at one target
    differ by the same amount in both.

    Args:
        disparity: (H, W) float32 in columns, finite.

    Returns:
        The landing of every target pixel.
    """
    # Multiplying by masks is several times faster on a CPU than torch.where.
    width = disparity.shape[-1]
    columns = torch.arange(width, dtype=torch.float32, device=disparity.device)
    position = columns - disparity
    slot = (position + 1.5).floor_().clamp_(0, width + 1)
    landed = landing_columns(slot.long(), View.RIGHT).contiguous()
    _cover_gaps(landed, slot, position)
    hole = landed < 0
    column = landed.clamp_(min=0)
    offset = columns - position.gather(-1, column)
    side = offset.sign()
    neighbour = side.long().add_(column).clamp_(0, width - 1)
    spacing = position.gather(-1, neighbour).sub_(columns).add_(offset).mul_(side)
    joined = (spacing > 0).logical_and_(spacing <= 1 + TEAR)
    aside = offset.div_(spacing.clamp_(min=1e-3)).clamp_(-1, 1).mul_(joined)
    return Landing(column, neighbour, aside, hole)


def _cover_gaps(landed: Tensor, slot: Tensor, position: Tensor) -> None:
    """Write into ``landed`` the left pixel of every joined pair at the columns between the pair's targets."""
    width = slot.shape[-1]
    apart = true_places((slot[:, 1:] - slot[:, :-1]).gt(1))  # few
    row, column = apart // (width - 1), apart % (width - 1)
    left = row * width + column
    start, end = position.flatten()[left], position.flatten()[left + 1]
    joined = (end - start <= 1 + TEAR).nonzero().flatten()
    row, column, left = row[joined], column[joined], left[joined]
    first = slot.flatten()[left]
    gap, first = slot.flatten()[left + 1] - first, first.long() - 1
    flat = landed.view(-1)
    for step in range(1, int(1 + TEAR) + 1):
        target = first + step
        inside = (gap > step) & (target >= 0) & (target < width)
        flat.scatter_reduce_(0, (row * width + target)[inside], column[inside], "amax")
