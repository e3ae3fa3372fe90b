"""Values at points of a frame, read from a picture there or averaged in a coarse grid of cells."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# Cells along the longer side of a frame.
_CELLS = 96


class PointCells:
    """A grid of cells over a frame, and where points lie in it."""

    def __init__(self, column: Tensor, row: Tensor, size: tuple[int, int]) -> None:
        """Place points, (N,) columns and rows, in a frame of ``size``, rows and columns."""
        height, width = size
        scale = min(1.0, _CELLS / max(size))
        self.rows, self.columns = max(1, round(height * scale)), max(1, round(width * scale))
        self._points = torch.stack(
            [(column + 0.5) * (self.columns / width) - 0.5, (row + 0.5) * (self.rows / height) - 0.5]
        )
        self._points.clamp_(min=0)
        self._points[0].clamp_(max=self.columns - 1)
        self._points[1].clamp_(max=self.rows - 1)
        column, row = self._points.round().long()
        self._cell = row * self.columns + column

    def sums(self, values: Tensor, index: Tensor) -> Tensor:
        """Sum up values (C, n) at the points ``index`` (n,) in every cell, (C, rows, columns)."""
        total = values.new_zeros(len(values), self.rows * self.columns)
        total.index_add_(1, self._cell[index], values)
        return total.view(-1, self.rows, self.columns)

    def means(self, values: Tensor, index: Tensor, support: float) -> Tensor:
        """Average values (C, n) at the points ``index`` (n,) in and around every cell, (C, rows, columns)."""
        sums = self.sums(torch.cat([values, values.new_ones(1, len(index))]), index)[None]
        return spread(sums[:, :-1], sums[:, -1:], support)[0]

    def read(self, cells: Tensor, index: Tensor | slice = slice(None)) -> Tensor:
        """Read cells (C, rows, columns) at points, linearly between their centres; (C, n)."""
        return read_points(cells, self._points[:, index])


def read_points(image: Tensor, points: Tensor) -> Tensor:
    """Read (C, H, W) at points (2, N) or more, column and row first, bilinearly and up to its border; (C, N)."""
    height, width = image.shape[-2:]
    x, y = points[0].clamp(0, width - 1), points[1].clamp(0, height - 1)
    left, top = x.floor(), y.floor()
    across, down = x - left, y - top
    at = (top * width + left).long()
    right = (left < width - 1).long()
    below = (top < height - 1).long() * width
    flat = image.flatten(1)
    upper = torch.lerp(flat[:, at], flat[:, at + right], across)
    return torch.lerp(upper, torch.lerp(flat[:, at + below], flat[:, at + below + right], across), down)


def spread(total: Tensor, weight: Tensor, support: float) -> Tensor:
    """Divide sums by their weights, on a grid; where these are small, coarser grids say what to expect (push-pull).

    Args:
        total: (B, C, h, w), sums of weighted values.
        weight: (B, 1, h, w), sums of the weights.
        support: the weight at which a cell's own mean and that of coarser grids count alike, above 0.

    Returns:
        (B, C, h, w) means; 0 where no weight is anywhere.

    Source:
        Gortler et al., "The lumigraph", SIGGRAPH 1996, section 3.4.
    """
    if weight.shape[-2:] == (1, 1):
        return total / weight.clamp(min=1e-12)
    sums = functional.avg_pool2d(torch.cat([total, weight], 1), 2, ceil_mode=True)
    expected = spread(sums[:, :-1], sums[:, -1:], support)
    expected = functional.interpolate(expected, total.shape[-2:], mode="bilinear")
    return (total + support * expected) / (weight + support)
