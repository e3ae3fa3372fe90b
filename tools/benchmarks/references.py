"""The forms that the core is measured against, written plainly from their definitions."""

from __future__ import annotations

import numpy as np
import torch
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

    before = torch.where(filled, column, -1).cummax(-1).values
    after = torch.where(filled, column, width).flip(-1).cummin(-1).values.flip(-1)
    depth_before = depth.gather(-1, before.clamp(min=0)).masked_fill(before < 0, torch.inf)
    depth_after = depth.gather(-1, after.clamp(max=width - 1)).masked_fill(after == width, torch.inf)
    edge = torch.where(depth_before <= depth_after, before, after).clamp(0, width - 1)
    return torch.where(filled, warped, warped.gather(-1, edge.expand(image.shape)))
