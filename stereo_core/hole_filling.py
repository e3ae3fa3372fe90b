"""Filling of holes in a warped view from the surface behind them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .edge_prediction import Cells, Prediction, predict, take
from .masks import true_places


class HoleEdges(NamedTuple):
    """For each of N hole pixels, in row-major order, where the surface behind it starts; all (N,) int64.

    Attributes:
        pixel: flat index of the hole pixel in (H, W).
        edge: flat index of the covered pixel at the farther (smaller disparity) end of its run; the pixel
            itself if its row has no covered pixel.
    """

    pixel: Tensor
    edge: Tensor


def find_hole_edges(hole: Tensor, disparity: Tensor) -> HoleEdges:
    """Find, for every hole pixel, the end of its run that belongs to the surface behind.

    Args:
        hole: (H, W) bool.
        disparity: (H, W) float32 of the warped view; only covered pixels are read.

    Returns:
        The hole pixels and their edges.
    """
    height, width = hole.shape
    pixel = true_places(hole)
    if not len(pixel):
        return HoleEdges(pixel, pixel)
    starts = torch.ones_like(pixel, dtype=torch.bool)
    starts[1:] = (pixel[1:] != pixel[:-1] + 1) | (pixel[1:] % width == 0)
    run = starts.cumsum(0).sub_(1)
    first = pixel[starts]
    last = pixel[torch.cat((starts[1:], starts.new_ones(1)))]
    before = torch.where(first % width > 0, first - 1, -1)
    after = torch.where(last % width < width - 1, last + 1, -1)
    flat = disparity.flatten()
    near_before = flat[before].masked_fill_(before < 0, torch.inf)
    near_after = flat[after].masked_fill_(after < 0, torch.inf)
    edge = torch.where(near_before <= near_after, before, after)[run]
    return HoleEdges(pixel, torch.where(edge < 0, pixel, edge))


def stretch(image: Tensor, edges: HoleEdges) -> None:
    """Copy the colour of its edge to every hole pixel of ``image`` (C, H, W), in place."""
    flat = image.view(image.shape[0], -1)
    flat.index_copy_(1, edges.pixel, flat.index_select(1, edges.edge))


@dataclass(frozen=True)
class SmoothFill(Prediction):
    """What ``fill_smoothly`` was tuned by: see ``tools/benchmarks/quality.py``.

    Attributes:
        relaxations: steps of the Laplace equation.
        drawn: the share by which each of them is drawn back to the predicted colour, so that where rows of the
            disparity are torn, what lies around does not wash the row's own colour away.
        fade: cells over which the edge pixel's own colour fades to 1/e.
        surface: disparities that differ by less, in columns of a 512 wide view, belong to one surface; within a
            cell by less than half of it.
    """

    relaxations: int = 20
    drawn: float = 0.05
    fade: float = 1.0
    surface: float = 4.0


_CELLS = 256  # across a square view
_SAMPLES = 3  # pixels of a cell that are read in one direction
_KNOWN = 0.1  # a cell of which no more than this fraction is known is filled


def fill_smoothly(
    image: Tensor, disparity: Tensor, hole: Tensor, edges: HoleEdges, form: SmoothFill = SmoothFill()
) -> None:
    """Fill the holes of ``image``, in place, from the surface behind them, smoother with the distance.

    The mean of what may be there has the least squared error, and the farther away the edge lies the less
    is known. On cells: what ``predict`` makes of the colours at the edges of the same surface; then relaxation of
    the Laplace equation without flow from nearer surfaces. Close to the edge its own colour takes over, so that
    lines continue. What lies behind the edge is not averaged in: where another material begins there, its
    colour would be wrong for the whole hole.

    Args:
        image: (C, H, W) float32, written at hole pixels.
        disparity: (H, W) float32 of the warped view; in a hole, that of its edge.
        hole: (H, W) bool.
        edges: the hole pixels and their edges.
        form: what it was tuned by.
    """
    tolerance = form.surface * hole.shape[1] / 512
    cells, size = _reduce(image, disparity, hole, tolerance / 2)
    own = find_hole_edges(cells.empty.view(cells.shape), cells.disparity.view(cells.shape))
    predict(cells, own.pixel, own.edge, tolerance, form)
    _relax(cells, own.pixel, tolerance, form)
    pixel, edge = edges
    smooth = _sample(cells, disparity, pixel, size, tolerance)
    flat = image.view(image.shape[0], -1)
    close = torch.exp((pixel - edge).abs() / (-form.fade * size))
    flat.index_copy_(1, pixel, torch.lerp(smooth, flat.index_select(1, edge), close))


def _reduce(image: Tensor, disparity: Tensor, hole: Tensor, tolerance: float) -> tuple[Cells, int]:
    """Reduce a view to cells; return also how many pixels they measure in one direction."""
    wished = math.sqrt(hole.numel()) / _CELLS
    stride = max(1, round(wished / _SAMPLES))
    size = max(1, round(wished / stride))
    start = slice(stride // 2, None, stride) if min(hole.shape) > stride else slice(None)
    read = (..., start, start)
    image, disparity, hole = image[read], disparity[read], hole[read]
    height, width = hole.shape
    padding = (0, -width % size, 0, -height % size)
    rows, columns = (height + padding[3]) // size, (width + padding[1]) // size
    near = F.pad(disparity, padding, value=torch.inf).view(rows, size, -1)
    farthest = near.amin(1).view(rows, columns, size).amin(-1)
    limit = (farthest + tolerance).repeat_interleave(size, 1)[:, None]
    usable = F.pad(~hole, padding).view(rows, size, -1).logical_and(near <= limit).float()
    colours = F.pad(image, padding).view(-1, rows, size, columns * size) * usable
    known = usable.sum(1).view(rows, columns, size).sum(-1)
    colour = colours.sum(2).view(-1, rows, columns, size).sum(-1) / known.clamp(min=1)
    empty = known <= _KNOWN * size**2
    return Cells(colour.flatten(1), farthest.flatten(), empty.flatten(), (rows, columns)), size * stride


def _relax(cells: Cells, pixel: Tensor, tolerance: float, form: SmoothFill) -> None:
    rows, columns = cells.shape
    row, column = pixel // columns, pixel % columns
    inside = torch.stack((row > 0, row < rows - 1, column > 0, column < columns - 1))
    around = torch.stack((pixel - columns, pixel + columns, pixel - 1, pixel + 1))
    around = torch.where(inside, around, pixel)
    flow = (inside & (cells.disparity[around] - cells.disparity[pixel] < tolerance)).float()
    flow *= (1 - form.drawn) / flow.sum(0).clamp_(min=1)
    drawn = take(cells.colour, pixel).mul_(form.drawn)
    stays = 1 - form.drawn - flow.sum(0)  # where nothing flows
    for _ in range(form.relaxations):
        relaxed = take(cells.colour, around).mul_(flow).sum(1)
        cells.colour.index_copy_(1, pixel, relaxed.add_(take(cells.colour, pixel).mul_(stays)).add_(drawn))


def _sample(cells: Cells, disparity: Tensor, pixel: Tensor, size: int, tolerance: float) -> Tensor:
    """Read cells at pixels, interpolating linearly between the cells of the pixel's own surface; (C, N)."""
    rows, columns = cells.shape
    width = disparity.shape[-1]
    row = pixel // width
    own = disparity.flatten().index_select(0, pixel)
    total = cells.colour.new_zeros(len(cells.colour), len(pixel))
    count = torch.zeros_like(own)
    across = _neighbours(pixel - row * width, size, columns)
    for start, down in _neighbours(row, size, rows):
        start = start * columns
        for column, right in across:
            cell = start + column
            # A trace of every cell keeps the sum above zero.
            weight = cells.disparity.index_select(0, cell).sub_(own).abs_().le_(tolerance).add_(1e-3)
            weight.mul_(down).mul_(right)
            total.addcmul_(cells.colour.index_select(1, cell), weight)
            count += weight
    return total.div_(count)


def _neighbours(at: Tensor, size: int, count: int) -> list[tuple[Tensor, Tensor]]:
    """Return the two of ``count`` cells in a row whose centres lie around pixels, int32, and their linear weights."""
    place = at.float().add_(0.5).div_(size).sub_(0.5)
    first = place.floor()
    part = place.sub_(first)
    low = first.int()
    return [(low.clamp(0, count - 1), 1 - part), ((low + 1).clamp_(0, count - 1), part)]
