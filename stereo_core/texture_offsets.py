"""Offsets from holes to known pixels of the same surface, by which texture is copied."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .hole_filling import find_hole_edges
from .parallel import share_out


class Cells(NamedTuple):
    """A view reduced to h x w cells of ``size`` pixels that hold only the farthest surface in them.

    Attributes:
        colour: (C, h, w), the mean of the known pixels.
        low: (C, h, w), the same smoothed along the surface; 0 where nothing near is known.
        fill: (C, h, w), the mean of the filled pixels.
        energy: (2, h, w), the variance of known pixels around ``colour``, and that of ``colour`` around ``low``; means
            of the channels and of the surroundings.
        disparity: (h, w) in columns of the view.
        known: (h, w) bool, enough pixels are known to copy from.
        unknown: (h, w) bool, most pixels are in a hole.
        size: pixels of the view along one side of a cell.
        tolerance: by how many columns the disparity of one surface differs at most.
    """

    colour: Tensor
    low: Tensor
    fill: Tensor
    energy: Tensor
    disparity: Tensor
    known: Tensor
    unknown: Tensor
    size: int
    tolerance: float


class Nodes(NamedTuple):
    """What holes are textured with, at points of a grid of ``spacing`` pixels.

    Attributes:
        offset: (2, M) int64 rows and columns of the view, from a hole to the source, M grid points in row-major order.
        contrast: (2, n, m), the standard deviations that both bands of the texture shall have.
        active: (n, m) bool, true where a hole is near.
        spacing: pixels of the view between grid points.
    """

    offset: Tensor
    contrast: Tensor
    active: Tensor
    spacing: int


_NODE = 2  # cells from one grid point to the next
_RIM = 6  # cells around a hole that a copy is compared on
_NEIGHBOURHOOD = 5  # cells up and down whose copies are judged together
_STEP = 4  # cells between the offsets that are tried
_ROWS = 24  # cells up and down that are searched
# Squared differences of colour, relative to the variance of the picture, count no more than this.
_DIFFERENT = 1.0
# What else counts, in the same unit: a source that may repeat within a hole; one that is no known pixel of the surface;
# an offset that differs from those around it.
_REPEATED = 1.0
_MISSING = 10.0
_ALONE = 1.0
_AT_ONCE = 8  # offsets judged at a time
_VOTES = 4  # rounds in which neighbours agree


def choose_offsets(cells: Cells, unlike: float, threads: int = 1) -> Nodes:
    """Choose for every hole the offsets that continue its rim best, few of them and each for a large part.

    A copy is compared with what is known within six cells of the hole, and its low-pass with the smooth fill. All cells
    of a hole in one row are judged together, with those of the rows above and below: a hole is filled by one piece
    where one can be had, at an offset that is longer than the hole is wide, so that nothing shows twice.

    Args:
        cells: the reduced view; some cells are known, some are not.
        unlike: the cost, of the same unit as the squared difference of colours relative to the variance of the picture,
            of a source whose detail is far weaker or stronger than that beside the hole.
        threads: in which offsets are judged.

    Returns:
        The offsets, and the contrast of the known surroundings.
    """
    judge = _Judge(cells, unlike)
    down, right = _candidates(cells.known)
    parts = -(-len(right) // _AT_ONCE)
    costs = judge.active.new_empty((len(down), len(right), *judge.active.shape), dtype=torch.float32)

    def judge_rows(row: int) -> None:
        costs[row] = torch.cat([judge.costs(int(down[row]), part) for part in right.tensor_split(parts)])

    share_out(judge_rows, range(len(down)), threads)
    label = _agree(costs.flatten(0, 1), judge.active)  # of (K, n, m)
    offset = torch.cartesian_prod(down, right).t() * cells.size  # (2, K)
    return Nodes(offset[:, label.flatten()], judge.contrast(), judge.active, _NODE * cells.size)


def _candidates(known: Tensor) -> tuple[Tensor, Tensor]:
    """Return the offsets tried along columns and along rows, in cells: longer ones at longer steps."""
    (height, width), device = known.shape, known.device
    rows = range(-min(_ROWS, height // 2 // _STEP * _STEP), min(_ROWS, height // 2) + 1, _STEP)
    columns, reach = [0], _STEP
    while reach <= max(width // 3, _STEP):
        columns += [reach, -reach]
        reach = max(reach + _STEP, reach * 5 // 4)
    return torch.tensor(list(rows), device=device), torch.tensor(columns, device=device)


class _Judge:
    """Says how well offsets suit the holes of a view."""

    def __init__(self, cells: Cells, unlike: float) -> None:
        known, unknown = cells.known, cells.unknown
        self._cells, self._unlike = cells, unlike
        self._rim = known & _beside(unknown, cells.disparity, cells.tolerance)
        self._runs = _Runs(unknown)
        self.active = self._gather(unknown.float()[None])[0] > 0
        self._weight = self._gather(self._runs.sum((self._rim | unknown).float()[None]))[0].clamp(min=1e-4)
        colours = cells.colour[:, known]
        variance = (colours - colours.mean(1, keepdim=True)).square().mean().clamp(min=1e-8)
        # One row for each cell, within a border of nothing known: what is compared at a source.
        border = int(_candidates(known)[1].max())
        self._pitch = known.shape[1] + 2 * border
        rough = cells.energy[:1].sqrt()
        values = torch.cat((cells.colour / variance.sqrt(), cells.low / variance.sqrt(), rough, cells.disparity[None]))
        values[-1, ~known] = torch.inf
        padding = (border, border, _ROWS, _ROWS)
        self._table = F.pad(values, padding, value=torch.inf).flatten(1).t().contiguous()
        self._place = (self._rim | unknown).flatten().nonzero().flatten()
        row, column = self._place // known.shape[1], self._place % known.shape[1]
        self._at = (row + _ROWS) * self._pitch + column + border
        self._in_hole = unknown.flatten()[self._place]
        target = torch.where(unknown, cells.fill, cells.colour) / variance.sqrt()
        self._target = target.flatten(1).t()[self._place]
        self._near = cells.disparity.flatten()[self._place]
        edges = find_hole_edges(unknown, cells.disparity)
        wanted = rough.flatten().index_copy(0, edges.pixel, rough.flatten()[edges.edge])
        self._rough = wanted[self._place] + 1e-3 * variance.sqrt()
        self._length = self._runs.length.flatten()[self._place]

    def costs(self, down: int, right: Tensor) -> Tensor:
        """Return the cost of D offsets, ``down`` and each of ``right``, at every grid point: (D, n, m)."""
        channels = self._target.shape[1]
        values = self._table[self._at + (down * self._pitch + right)[:, None]]  # (D, N, 2C + 2)
        missing = (values[..., -1] - self._near).abs().ge(self._cells.tolerance)
        difference = torch.where(self._in_hole[:, None], values[..., channels:-2], values[..., :channels])
        cost = (difference - self._target).square().mean(-1).clamp_(max=_DIFFERENT)
        rough = values[..., -2]
        cost += self._unlike * ((rough - self._rough) / (rough + self._rough)).square()
        cost = torch.where(missing, _DIFFERENT + self._unlike, cost)
        cost += _REPEATED * (self._length > right.abs()[:, None])
        pooled = self._gather(self._runs.sum(self._scatter(cost))) / self._weight
        lost = self._gather(self._scatter((missing & self._in_hole).float()), near=False)
        return pooled + _MISSING * lost / self._gather(self._cells.unknown.float()[None], near=False).clamp(min=1)

    def contrast(self) -> Tensor:
        """Return the contrast of both bands on the rim of every grid point's hole, (2, n, m)."""
        rim = self._rim.float()
        energy, count = (self._gather(self._runs.sum(of)) for of in (self._cells.energy * rim, rim[None]))
        return (energy / count.clamp(min=1)).sqrt()

    def _scatter(self, values: Tensor) -> Tensor:
        grid = values.new_zeros(len(values), self._cells.known.numel())
        grid[:, self._place] = values
        return grid.view(-1, *self._cells.known.shape)

    def _gather(self, values: Tensor, near: bool = True) -> Tensor:
        """Sum cells (D, h, w) at grid points, (D, n, m): their own and, if ``near``, those above and below."""
        height, width = values.shape[-2:]
        padded = F.pad(values, (0, -width % _NODE, 0, -height % _NODE))
        sums = F.avg_pool2d(padded[:, None], _NODE)[:, 0] * _NODE**2
        return _box(sums, _NEIGHBOURHOOD // _NODE, -2) if near else sums


def _beside(unknown: Tensor, near: Tensor, tolerance: float) -> Tensor:
    """Mark cells within the rim of unknown ones whose disparity is that of such an unknown cell."""
    low, high = (
        F.max_pool2d(torch.where(unknown, sign * near, -torch.inf)[None], 2 * _RIM + 1, 1, _RIM)[0] for sign in (-1, 1)
    )
    return (near > -low - tolerance) & (near < high + tolerance)


class _Runs:
    """Unbroken runs of unknown cells along rows.

    Attributes:
        length: (h, w) int64, of the run that a cell belongs to; 0 where it is known.
    """

    def __init__(self, unknown: Tensor) -> None:
        width = unknown.shape[1]
        column = torch.arange(width, device=unknown.device).expand_as(unknown)
        before = column.masked_fill(unknown, -1).cummax(1).values
        after = column.masked_fill(unknown, width).flip(1).cummin(1).values.flip(1)
        self.length = (after - before - 1) * unknown
        self._unknown = unknown
        self._start = (before + 1 - _RIM).clamp(0, width)
        self._end = (after + _RIM).clamp(0, width)

    def sum(self, values: Tensor) -> Tensor:
        """Sum (D, h, w), at every unknown cell, over its run and the rim at its ends; 0 at known cells."""
        total = F.pad(values.cumsum(-1), (1, 0))
        ends = (total.gather(-1, at.expand_as(values)) for at in (self._end, self._start))
        return (next(ends) - next(ends)) * self._unknown


def _box(values: Tensor, reach: int, axis: int) -> Tensor:
    """Sum (D, n, m) over ``reach`` neighbours on both sides along an axis."""
    total = F.pad(values.cumsum(axis), (1, 0) if axis == -1 else (0, 0, 1, 0))
    size = values.shape[axis]
    at = torch.arange(size, device=values.device)
    ends = (at + reach + 1).clamp(max=size), (at - reach).clamp(min=0)
    return total.index_select(axis, ends[0]) - total.index_select(axis, ends[1])


def _agree(costs: Tensor, active: Tensor) -> Tensor:
    """Return the cheapest label at every grid point, (n, m), where one that its neighbours share costs less."""
    reach = _NEIGHBOURHOOD // _NODE + 1
    labels = torch.arange(len(costs), device=costs.device)[:, None, None]
    around = _box(_box(active.float()[None], reach, -1), reach, -2).clamp(min=1)
    label = costs.argmin(0)
    for _ in range(_VOTES):
        votes = ((label == labels) & active).float()
        label = (costs - _ALONE * _box(_box(votes, reach, -1), reach, -2) / around).argmin(0)
    return label
