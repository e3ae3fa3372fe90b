"""Which columns of the left view continue the surface behind each hole of the right one."""

from __future__ import annotations

import torch
from torch import Tensor

# A surface goes on while its disparity changes by less than this from that beside the hole, in columns.
_SAME_SURFACE = 1.0


def background_columns(disparity: Tensor, hole: Tensor, landed: Tensor, filled: Tensor) -> Tensor:
    """Mirror the farther surface beside each hole into it.

    A hole lies between a nearer surface, which uncovered it, and a farther one. Counted from the farther one's edge
    the n-th column of the hole takes the n-th column of that surface behind its edge: a mirror image, in which no
    column stands beside itself. Columns of nearer surfaces are passed over; where the surface ends, its last columns
    come again in reverse. A hole at the frame's border has one neighbour, and takes after that.

    Args:
        disparity: (..., H, W) of the left view, in columns, larger is nearer.
        hole: (..., H, W) boolean, of the right view.
        landed: (..., H, W) int64, the left view's column that lands on each column of the right view.
        filled: (..., H, W) boolean, where one lands.

    Returns:
        (..., H, W) int64 columns of the left view; each column's own where there is no hole.
    """
    shape, width = disparity.shape, disparity.shape[-1]
    near, hole, landed, filled = (t.reshape(-1, width) for t in (disparity, hole, landed, filled & ~hole))
    column = torch.arange(width, device=near.device).expand_as(near)
    before = torch.where(filled, column, -1).cummax(-1).values
    after = torch.where(filled, column, width).flip(-1).cummin(-1).values.flip(-1)
    edge_before = landed.gather(-1, before.clamp_min(0))
    edge_after = landed.gather(-1, after.clamp_max(width - 1))
    far_before = torch.where(before >= 0, near.gather(-1, edge_before), torch.inf)
    far_after = torch.where(after < width, near.gather(-1, edge_after), torch.inf)
    # Of two equally far the one after: it is the background side where a nearer surface moved away to the left.
    from_after = far_after <= far_before
    edge = torch.where(from_after, edge_after, edge_before)
    surface = torch.where(from_after, far_after, far_before)
    direction = torch.where(from_after, 1, -1)
    count = torch.where(from_after, after - column, column - before)
    row, at = (hole & surface.isfinite()).nonzero(as_tuple=True)
    out = column.clone()
    out[row, at] = _walk(near[row], edge[row, at], surface[row, at], direction[row, at], count[row, at])
    return out.view(shape)


def _walk(near: Tensor, start: Tensor, surface: Tensor, direction: Tensor, count: Tensor) -> Tensor:
    """Take ``count`` (N,) columns along rows (N, W) from ``start``, over those of the ``surface``; turn at its ends."""
    width = near.shape[-1]
    place, taken, direction = start.clone(), torch.zeros_like(count), direction.clone()
    for _ in range(2 * width):
        walking = taken < count
        if not bool(walking.any()):
            break
        following = place + direction
        turned = (following < 0) | (following >= width)
        direction = torch.where(turned, -direction, direction)
        following = torch.where(turned, place, following).clamp(0, width - 1)
        same = near.gather(-1, following[:, None])[:, 0] <= surface + _SAME_SURFACE
        place = torch.where(walking, following, place)
        taken = taken + (walking & same & ~turned).long()
    return place
