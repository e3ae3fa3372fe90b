"""The forms that the core is measured against, written plainly from their definitions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def warp_by_unique(source: Tensor, disparity: Tensor) -> Tensor:
    """Warp to the right view by sorting unique targets, as StereoCrafter-Zero's appendix B describes.

    Pixels are listed in reverse of the order in which nested loops would write them, so the first
    occurrence of every target is the write that stays.
    """
    batch, _, height, width = source.shape
    order = torch.arange(width - 1, -1, -1)
    frame = torch.arange(batch).view(-1, 1, 1).expand(batch, height, width)
    row = torch.arange(height).view(1, -1, 1).expand(batch, height, width)
    column = order.expand(batch, height, width)
    target = column - disparity[:, 0][:, :, order].long()
    inside = (target >= 0) & (target < width)
    frame, row, column, target = frame[inside], row[inside], column[inside], target[inside]
    _, first = np.unique(((frame * height + row) * width + target).numpy(), return_index=True)
    first = torch.from_numpy(first)
    image = torch.zeros_like(source)
    image[frame[first], :, row[first], target[first]] = source[frame[first], :, row[first], column[first]]
    return image


def warp_and_stretch(image: Tensor, disparity: Tensor) -> Tensor:
    """Shift by whole columns (truncated), then stretch the farther edge of every hole's row over it."""
    width = image.shape[-1]
    column = torch.arange(width, device=image.device).expand(disparity.shape)
    target = column - disparity.trunc().long()
    target = torch.where((target < 0) | (target >= width), width, target)  # one column beyond takes what leaves
    landed = torch.full((*disparity.shape[:-1], width + 1), -1, device=image.device)
    landed = landed.scatter_reduce(-1, target, column, "amax")[..., :width]
    filled = landed >= 0
    source = landed.clamp(min=0)
    warped = image.gather(-1, source.expand(image.shape)) * filled
    depth = disparity.gather(-1, source)

    edge = _farther_edge(filled, depth)
    return torch.where(filled, warped, warped.gather(-1, edge.expand(image.shape)))


def _farther_edge(filled: Tensor, depth: Tensor) -> Tensor:
    """Return, for every pixel of (..., W), its own column where filled, else that of the farther end of its hole."""
    width = filled.shape[-1]
    column = torch.arange(width, device=filled.device).expand(filled.shape)
    before = torch.where(filled, column, -1).cummax(-1).values
    after = torch.where(filled, column, width).flip(-1).cummin(-1).values.flip(-1)
    depth_before = depth.gather(-1, before.clamp(min=0)).masked_fill(before < 0, torch.inf)
    depth_after = depth.gather(-1, after.clamp(max=width - 1)).masked_fill(after == width, torch.inf)
    edge = torch.where(depth_before <= depth_after, before, after).clamp(0, width - 1)
    return torch.where(filled, column, edge)


def mesh_and_diffuse(image: Tensor, disparity: Tensor) -> Tensor:
    """Render a right view as the owner's notes describe the best form that was tried without learned weights.

    A row mesh at twice the columns, sampled with Catmull-Rom; holes copy the farther edge of their row, are blurred
    along columns with a std of twice the distance to it, and relaxed by 20 steps of the Laplace equation.

    Args:
        image: (1, C, H, W) in [0, 1].
        disparity: (1, 1, H, W) in columns.
    """
    view, near, hole = _mesh(image[0], disparity[0, 0])
    return _diffuse(view, near, hole, tolerance=2 / 512 * image.shape[-1])[None].clamp(0, 1)


_SAMPLES = 2  # of the mesh in a column
_LONGEST = 2.5  # columns that one segment of the mesh covers


def _mesh(image: Tensor, disparity: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the view (C, H, W), its disparity (H, W) and where nothing landed (H, W)."""
    height, width = disparity.shape
    sample = (torch.arange(width * _SAMPLES) + 0.5) / _SAMPLES - 0.5
    # Of the points of a row that meet at one target, the one with the larger disparity is the one with the larger
    # column, so a maximum of columns is a z-buffer.
    point = torch.full((height, len(sample)), -1.0)
    row = torch.arange(height)[:, None] * len(sample)
    for start, end, first, last, there in _segments(disparity):
        slot = (start * _SAMPLES + (_SAMPLES - 1) / 2).ceil()
        for step in range(int(_LONGEST * _SAMPLES) + 2):
            at = (slot + step + 0.5) / _SAMPLES - 0.5
            inside = there & (at <= end) & (slot + step >= 0) & (slot + step < len(sample))
            fraction = ((at - start) / (end - start).clamp(min=1e-6)).clamp(0, 1)
            target = row + (slot + step).long()
            source = first + (last - first) * fraction
            point.view(-1).scatter_reduce_(0, target[inside], source[inside], "amax")
    hole = point < 0
    colour = _catmull_rom(image, point.clamp(min=0)) * ~hole
    count = (~hole).view(height, width, _SAMPLES).sum(-1)
    near = torch.where(hole, torch.inf, point - sample).view(height, width, _SAMPLES).amin(-1)
    view = colour.view(-1, height, width, _SAMPLES).sum(-1) / count.clamp(min=1)
    return view, near.masked_fill(count == 0, 0), count == 0


def _segments(disparity: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]:
    """Yield the target columns of segments' ends, their source columns, and which segments there are."""
    column = torch.arange(disparity.shape[-1], dtype=torch.float32).expand(disparity.shape)
    target = column - disparity
    length = target[:, 1:] - target[:, :-1]
    joined = (length > 0) & (length <= _LONGEST)
    yield target[:, :-1], target[:, 1:], column[:, :-1], column[:, 1:], joined
    yield target - 0.5, target, column, column, ~F.pad(joined, (1, 0))
    yield target, target + 0.5, column, column, ~F.pad(joined, (0, 1))


def _catmull_rom(image: Tensor, point: Tensor) -> Tensor:
    first = point.floor()
    t = point - first
    weights = (((1 - t / 2) * t - 0.5) * t, (1.5 * t - 2.5) * t * t + 1, ((2 - 1.5 * t) * t + 0.5) * t)
    weights += ((t - 1) * t * t / 2,)
    total = torch.zeros(*image.shape[:-1], point.shape[-1])
    for step, weight in zip((-1, 0, 1, 2), weights, strict=True):
        column = (first.long() + step).clamp(0, image.shape[-1] - 1)
        total += image.gather(-1, column.expand(total.shape)) * weight
    return total


def _diffuse(view: Tensor, near: Tensor, hole: Tensor, tolerance: float) -> Tensor:
    height, width = hole.shape
    edge = _farther_edge(~hole, near)
    view, near = view.gather(-1, edge.expand(view.shape)), near.gather(-1, edge)
    std = 2.0 * (edge - torch.arange(width)).abs()[hole]
    row, column = hole.nonzero(as_tuple=True)
    own, total, count = near[hole], view[:, hole], torch.ones(len(row))
    for step in range(1, height):
        some = (3 * std >= step).nonzero().flatten()
        if not len(some):
            break
        for other in (row[some] - step, row[some] + step):
            at = other.clamp(0, height - 1), column[some]
            like = (other == at[0]) & ((near[at] - own[some]).abs() < tolerance)
            weight = torch.exp(-0.5 * (step / std[some]) ** 2) * like
            total[:, some] += view[:, at[0], at[1]] * weight
            count[some] += weight
    view = view.clone()
    view[:, hole] = total / count
    padded = F.pad(near[None], (1, 1, 1, 1), value=torch.inf)[0]
    windows = [(slice(y, y + height), slice(x, x + width)) for y, x in ((0, 1), (2, 1), (1, 0), (1, 2))]
    flows = torch.stack([padded[window] - near < tolerance for window in windows]).float()
    for _ in range(20):
        around = F.pad(view, (1, 1, 1, 1))
        relaxed = sum(around[:, y, x] * flow for (y, x), flow in zip(windows, flows, strict=True))
        view = torch.where(hole & (flows.sum(0) > 0), relaxed / flows.sum(0).clamp(min=1), view)
    return view
