"""Filling of holes in a warped view from the surface behind them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


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
    pixel = hole.flatten().nonzero().flatten()
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
class SmoothFill:
    """What ``fill_smoothly`` was tuned by: see ``tools/benchmarks/quality.py``.

    Attributes:
        blur: std of the blur along columns, in distances to the edge.
        likeness: how unlike a row may be for half its weight in that blur, as the variance of its colour in
            variances of the texture beside the edge.
        kept: the share of the row's own edge in the blurred colour.
        relaxations: steps of the Laplace equation.
        drawn: the share by which each of them is drawn back to the blurred colour, so that where rows of the disparity
            are torn, what lies around does not wash the row's own colour away.
        fade: cells over which the edge pixel's own colour fades to 1/e.
        surface: disparities that differ by less, in columns of a 512 wide view, belong to one surface; within a
            cell by less than half of it.
    """

    blur: float = 1.5
    likeness: float = 256.0
    kept: float = 0.5
    relaxations: int = 20
    drawn: float = 0.05
    fade: float = 1.0
    surface: float = 4.0


_CELLS = 256  # across a square view
_SAMPLES = 3  # pixels of a cell that are read in one direction
_KNOWN = 0.1  # a cell of which no more than this fraction is known is filled
_TEXTURE = 8  # cells beside the edge whose variance is the texture's


class _Cells(NamedTuple):
    """A view reduced to cells, in row-major order, that hold only the farthest surface in them.

    Attributes:
        colour: (C, N), the mean over the pixels that are on that surface and not in a hole.
        disparity: (N,) of that surface; in a hole, of its edge.
        empty: (N,) bool, nearly nothing is known.
        shape: rows and columns.
    """

    colour: Tensor
    disparity: Tensor
    empty: Tensor
    shape: tuple[int, int]


def fill_smoothly(
    image: Tensor, disparity: Tensor, hole: Tensor, edges: HoleEdges, form: SmoothFill = SmoothFill()
) -> None:
    """Fill the holes of ``image``, in place, from the surface behind them, smoother with the distance.

    The mean of what may be there has the least squared error, and the farther away the edge lies the less
    is known. On cells: the row's colour at the edge; a blur along columns on the same surface, wider with the
    distance, over rows that are no more unlike than the texture at the edge is uneven; then relaxation of the
    Laplace equation without flow from nearer surfaces. Close to the edge its own colour takes over, so that
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
    _blur_columns(cells, own, tolerance, form)
    _relax(cells, own.pixel, tolerance, form)
    pixel, edge = edges
    smooth = _sample(cells, disparity, pixel, size, tolerance)
    flat = image.view(image.shape[0], -1)
    close = torch.exp((pixel - edge).abs() / (-form.fade * size))
    flat[:, pixel] = torch.lerp(smooth, flat[:, edge], close)


def _reduce(image: Tensor, disparity: Tensor, hole: Tensor, tolerance: float) -> tuple[_Cells, int]:
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
    return _Cells(colour.flatten(1), farthest.flatten(), empty.flatten(), (rows, columns)), size * stride


def _blur_columns(cells: _Cells, edges: HoleEdges, tolerance: float, form: SmoothFill) -> None:
    """Give empty cells the colour of their edge, blurred along columns with a std that grows with the distance.

    The kernel is built from steps of 1, 2, 4... cells, each with three taps and as much of the variance as is left.
    """
    rows, columns = cells.shape
    pixel, edge = edges
    row, near = pixel // columns, cells.disparity[pixel]
    own = cells.colour[:, edge]
    cells.colour[:, pixel] = blurred = own
    precision = 0.5 / (form.likeness * _texture(cells, edges, tolerance) + _least_texture(cells.colour))
    variance = (form.blur * (pixel - edge).abs()).square()
    step = 1
    while step < rows:
        share = (variance / (2 * step**2)).clamp_(max=1 / 3)
        variance -= 2 * step**2 * share
        other = torch.stack((row - step, row + step))
        inside = (other >= 0) & (other < rows)
        other = torch.where(inside, other, row) * columns + pixel % columns
        like = inside & ((cells.disparity[other] - near).abs_() < tolerance)
        colour = _take(cells.colour, other)
        weight = torch.exp((colour - blurred[:, None]).square_().mean(0).mul_(-precision)).mul_(share * like)
        rest = 1 - 2 * share
        blurred = (blurred * rest + (colour * weight).sum(1)).div_(rest + weight.sum(0))
        cells.colour.index_copy_(1, pixel, blurred)
        step *= 2
    cells.colour[:, pixel] = torch.lerp(blurred, own, form.kept)


def _texture(cells: _Cells, edges: HoleEdges, tolerance: float) -> Tensor:
    """Return the variance of the colour beside the edge of every empty cell, (N,)."""
    columns = cells.shape[1]
    pixel, edge = edges
    away, near = (edge - pixel).sign(), cells.disparity[pixel]
    first = _take(cells.colour, edge)
    total, squares, count = torch.zeros_like(first), torch.zeros_like(first), torch.ones_like(near)
    for step in range(1, _TEXTURE):
        at = edge + step * away
        inside = (at >= 0) & (at // columns == edge // columns)
        at = torch.where(inside, at, edge)
        known = inside & ~cells.empty[at] & ((cells.disparity[at] - near).abs_() < tolerance)
        beyond = _take(cells.colour, at).sub_(first).mul_(known)
        total += beyond
        squares.addcmul_(beyond, beyond)
        count += known
    return (squares.div_(count) - total.div_(count).square_()).mean(0)


def _take(colour: Tensor, at: Tensor) -> Tensor:
    """Return the colours (C, ...) at the flat indices ``at`` (...)."""
    return colour.index_select(1, at.flatten()).view(-1, *at.shape)


def _least_texture(colour: Tensor) -> Tensor:
    """Return what keeps rows alike on a surface without any texture: a thousandth of the view's variance."""
    return colour.var(correction=0) * 1e-3 + 1e-12


def _relax(cells: _Cells, pixel: Tensor, tolerance: float, form: SmoothFill) -> None:
    rows, columns = cells.shape
    row, column = pixel // columns, pixel % columns
    inside = torch.stack((row > 0, row < rows - 1, column > 0, column < columns - 1))
    around = torch.stack((pixel - columns, pixel + columns, pixel - 1, pixel + 1))
    around = torch.where(inside, around, pixel)
    flow = (inside & (cells.disparity[around] - cells.disparity[pixel] < tolerance)).float()
    flow *= (1 - form.drawn) / flow.sum(0).clamp_(min=1)
    drawn = _take(cells.colour, pixel).mul_(form.drawn)
    stays = 1 - form.drawn - flow.sum(0)  # where nothing flows
    for _ in range(form.relaxations):
        relaxed = _take(cells.colour, around).mul_(flow).sum(1)
        cells.colour.index_copy_(1, pixel, relaxed.add_(_take(cells.colour, pixel).mul_(stays)).add_(drawn))


def _sample(cells: _Cells, disparity: Tensor, pixel: Tensor, size: int, tolerance: float) -> Tensor:
    """Read cells at pixels, interpolating linearly between the cells of the pixel's own surface; (C, N)."""
    rows, columns = cells.shape
    width = disparity.shape[-1]
    y, x = ((at.float() + 0.5) / size - 0.5 for at in (pixel // width, pixel % width))
    own = disparity.flatten()[pixel]
    top, left = y.floor(), x.floor()
    total = cells.colour.new_zeros(len(cells.colour), len(pixel))
    count = cells.colour.new_zeros(len(pixel))
    for down in (0, 1):
        for right in (0, 1):
            bilinear = (1 - (y - top - down).abs()) * (1 - (x - left - right).abs())
            row, column = (top + down).clamp_(0, rows - 1), (left + right).clamp_(0, columns - 1)
            cell = (row * columns + column).int()
            # A trace of every cell keeps the sum above zero.
            weight = bilinear * ((cells.disparity[cell] - own).abs_() <= tolerance).float().add_(1e-3)
            total.addcmul_(cells.colour.index_select(1, cell), weight)
            count += weight
    return total / count
