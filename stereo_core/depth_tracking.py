"""Depth of one frame paired with that of the frame before, along the motion of the picture."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .optical_flow import optical_flow, resize_flow

# Flow is found on at most this many rows and columns: a finer grid changed nothing on the clips tried.
_GRID = 64
# A point was found again if no channel of its colour changed by more than this.
_SAME_COLOUR = 0.05
# So large a fraction of the points must be found again.
_FOUND = 0.3
_ROUNDS = 5


def track_points(
    points_before: Tensor, colours_before: Tensor, points: Tensor, colours: Tensor, textured: Tensor
) -> tuple[Tensor, Tensor] | None:
    """Pair the depth of every point that is found again with what it was in the frame before.

    Where the picture grows in both directions, as when the camera moves forwards, what is seen comes nearer by the
    same factor: a surface that faces the camera is seen at a size that is proportional to its inverse depth.

    Args:
        points_before, points: (1, 1, h, w) inverse depth of both frames.
        colours_before, colours: (1, C, h, w) in [0, 1], their pictures on the same grid.
        textured: (1, 1, h, w) bool, the points of this frame that flow can be trusted at.

    Returns:
        (N,) depth of the frame before, brought to this one, and (N,) depth of this frame; ``None`` where too few
        points are found again.
    """
    height, width = points.shape[-2:]
    small = (min(height, _GRID), min(width, _GRID))
    now, before = (
        functional.adaptive_avg_pool2d(each, small).mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
        for each in (colours, colours_before)
    )
    flow = resize_flow(optical_flow(now, before), (height, width))
    # To the nearest point: interpolation would flatten the depth a little with every frame.
    column = (torch.arange(width, device=flow.device) + flow[0, 0]).round().long()
    row = (torch.arange(height, device=flow.device)[:, None] + flow[0, 1]).round().long()
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    place = (..., row.clamp(0, height - 1), column.clamp(0, width - 1))
    change = (colours_before[place] - colours).abs().amax(dim=1, keepdim=True)
    found = textured & inside & (change < _SAME_COLOUR)
    if found.sum() < max(_FOUND * textured.sum().item(), 2):
        return None
    return points_before[place][found] * _growth(flow, found), points[found]


def _growth(flow: Tensor, found: Tensor) -> float:
    """Return how many times larger the picture is than the one before, if it grew or shrank in both directions."""
    height, width = flow.shape[-2:]
    column = torch.arange(width, device=flow.device, dtype=flow.dtype).expand(1, 1, height, -1)
    row = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None].expand(1, 1, -1, width)
    across, down = _slope(flow[:, :1][found], column[found]), _slope(flow[:, 1:][found], row[found])
    if across * down <= 0:
        return 1.0
    return 1 / (1 + min(across, down, key=abs))


def _slope(values: Tensor, places: Tensor) -> float:
    """Fit the slope of ``values`` over ``places``, (N,) each, by least squares with Tukey's biweight."""
    weight, slope = torch.ones_like(values), 0.0
    for _ in range(_ROUNDS):
        total = weight.sum()
        centre, mean = (weight * places).sum() / total, (weight * values).sum() / total
        spread = (weight * (places - centre).square()).sum()
        if spread == 0:
            break
        slope = ((weight * (places - centre) * (values - mean)).sum() / spread).item()
        residual = (values - mean - slope * (places - centre)).abs()
        reach = 4.685 * 1.4826 * residual.median()
        if reach == 0:
            break
        weight = (1 - (residual / reach).clamp(max=1).square()).square()
    return slope
