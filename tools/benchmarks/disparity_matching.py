"""How far a right view really shows things from where the left one does: block matching by parts of a column."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stereo_core.rendering import render_view

WINDOW = 7  # columns and rows that are compared
STEP = 0.125  # between two disparities that are tried, in columns


def made_disparity(left: Tensor, right: Tensor, lowest: float, highest: float) -> Tensor:
    """Find for every place of the left view the disparity at which the right view is most like it.

    Args:
        left: (1, C, H, W).
        right: the same shape.
        lowest, highest: the disparities to try, in columns.

    Returns:
        (1, 1, H, W) columns, larger is nearer; the best one tried, moved to the vertex of a parabola.
    """
    tried = torch.arange(lowest, highest + STEP, STEP, dtype=left.dtype)
    costs = []
    for disparity in tried.tolist():
        there = render_view(right, torch.full_like(right[:, :1], -disparity)).image
        apart = (left - there).square().mean(1, True)
        costs.append(F.avg_pool2d(apart, WINDOW, 1, WINDOW // 2, count_include_pad=False))
    cost = torch.cat(costs, 1)
    best = cost.argmin(1, keepdim=True).clamp(1, len(tried) - 2)
    before, here, after = (cost.gather(1, best + step) for step in (-1, 0, 1))
    bend = (before - 2 * here + after).clamp_min(1e-12)
    return tried[best] + ((before - after) / (2 * bend)).clamp(-1, 1) * STEP


def matchable(left: Tensor, disparity: Tensor) -> Tensor:
    """Where matching can be trusted: texture along the row, one surface in the window, seen by both views.

    Args:
        left: (1, C, H, W).
        disparity: (1, 1, H, W) columns, as asked.

    Returns:
        (1, 1, H, W) boolean.
    """
    width, reach = left.shape[-1], WINDOW // 2
    slope = F.pad(left[..., 1:] - left[..., :-1], (0, 1)).square().mean(1, True)
    texture = F.avg_pool2d(slope, WINDOW, 1, reach)
    highest, lowest = (F.max_pool2d(sign * disparity, WINDOW, 1, reach) * sign for sign in (1, -1))
    target = torch.arange(width) - disparity
    inside = (target >= reach) & (target < width - reach)
    return (texture > texture.median()) & (highest - lowest < 1) & inside
