"""What a surface looks like beyond the edge of a hole, as the view itself tells where the surface goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

# Distances in cells, each _RATIO times the one before, at which the view is asked, and in how many of its columns.
_DISTANCES, _RATIO, _COLUMNS = (4, 12, 36), 3.0, 8
# Cells whose variance is the texture's: those beside an edge, or around a cell.
_TEXTURE = 8
# So many rows tell how far the cells at a border of the view can be trusted.
_LEAST_ROWS = 8
# A share of a blur below which it has ended, and only rounding is left.
_ENDED = 1e-3


@dataclass(frozen=True)
class Prediction:
    """What ``predict`` was tuned by: see ``tools/benchmarks/quality.py``.

    Attributes:
        blur: std of the narrower blur along columns, in distances to the edge.
        wide: the same of the wider one.
        likeness: how unlike a row may be for half its weight in these blurs, as the variance of its colour in
            variances of the texture beside the edge.
        kept: the share of the row's own edge, the rest being the narrower blur's, where the view tells nothing.
        doubt: how much this counts against what the view tells.
    """

    blur: float = 1.5
    wide: float = 4.0
    likeness: float = 256.0
    kept: float = 0.5
    doubt: float = 0.1


class Cells(NamedTuple):
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


def predict(cells: Cells, pixel: Tensor, edge: Tensor, tolerance: float, form: Prediction) -> None:
    """Give empty cells, in place, the colour that is likely there.

    It is a linear function of the colour at the edge of the row and of two blurs of such colours along columns, over
    rows that are no more unlike than the texture at the edge is uneven. How much each counts at a distance, the view
    tells: it is what foretells known cells best from the columns so far beside them. Where rows go on, as a horizon
    does, they keep their own colour; of a heap of things the mean is the better guess.

    Args:
        cells: their colour is written.
        pixel: (N,) int64, the empty cells.
        edge: (N,) int64, for each the cell in its row with which the surface behind starts.
        tolerance: disparities that differ by less belong to one surface.
        form: what it was tuned by.
    """
    if not len(pixel):
        return
    shares = _shares(cells, tolerance, form)
    distance = (pixel - edge).abs().float()
    precision = _precision(cells, _texture(cells, pixel, edge, tolerance), form)
    own = _edge_colours(cells, pixel, edge, tolerance)
    narrow, wide = _blur(cells, pixel, own, distance, precision, tolerance, form)
    # Between the distances at which the view was asked the shares go over into each other.
    place = (distance.clamp_(min=1) / _DISTANCES[0]).log_().div_(math.log(_RATIO)).clamp_(0, len(shares) - 1)
    first = place.long().clamp_(max=max(0, len(shares) - 2))
    second = (first + 1).clamp_(max=len(shares) - 1)
    share = torch.lerp(shares[first], shares[second], (place - first)[:, None]).t()
    cells.colour[:, pixel] = wide + share[0] * (own - wide) + share[1] * (narrow - wide)


def _shares(cells: Cells, tolerance: float, form: Prediction) -> Tensor:
    """Ask the view how much the edge's own colour and the narrower blur count beside the wider one; (distances, 2).

    By ridge regression (Hoerl and Kennard, "Ridge regression: Biased estimation for nonorthogonal problems",
    Technometrics 12, 1970), whose ridge draws toward the usual shares instead of 0.

    Columns stand for edges, the known cells on either side of them for what lies in a hole.
    """
    rows, columns = cells.shape
    prior = cells.colour.new_tensor([form.kept, 1 - form.kept])
    distances = [distance for distance in _DISTANCES if columns > 2 * distance]
    if not distances:
        return prior[None]
    at = torch.cat([torch.linspace(d, columns - 1 - d, _COLUMNS).round().long() for d in distances]).to(prior.device)
    away = torch.tensor(distances, device=prior.device).repeat_interleave(_COLUMNS)
    colour, near, known = cells.colour.view(-1, rows, columns), cells.disparity.view(rows, columns), ~cells.empty
    known = known.view(rows, columns)
    around = torch.arange(-_TEXTURE // 2, _TEXTURE // 2, device=prior.device)
    beside = colour[..., (at + around[:, None]).clamp_(0, columns - 1)]  # (C, rows, steps, columns)
    uneven = beside.square().mean(2).sub_(beside.mean(2).square_()).mean(0).clamp_(min=0)
    edges = Cells(
        colour[..., at].flatten(1),
        near[:, at].masked_fill(~known[:, at], torch.inf).flatten(),
        ~known[:, at].flatten(),
        (rows, len(at)),
    )
    pixel = (~edges.empty).nonzero().flatten()
    own = edges.colour[:, pixel]
    precision = _precision(cells, uneven.flatten()[pixel], form)
    narrow, wide = _blur(edges, pixel, own, away[pixel % len(at)].float(), precision, tolerance, form)
    basis = colour.new_zeros(3, *edges.colour.shape)
    basis[:, :, pixel] = torch.stack((own - wide, narrow - wide, wide))
    basis = basis.view(3, -1, rows, len(distances), _COLUMNS)
    matrix, right = prior.new_zeros(2, 2, len(distances)), prior.new_zeros(2, len(distances))
    for there in (at + away, at - away):
        same = known[:, there] & ((near[:, there] - edges.disparity.view(rows, -1)).abs() < tolerance)
        seen = basis[:2] * same.view(rows, len(distances), _COLUMNS)
        gap = colour[..., there].view(basis.shape[1:]) - basis[2]
        matrix += torch.einsum("acrdn,bcrdn->abd", seen, basis[:2])
        right += torch.einsum("acrdn,crdn->ad", seen, gap)
    ridge = form.doubt * (matrix[0, 0] + matrix[1, 1]) / 2 + 1e-9
    own_own, both, blur_blur = matrix[0, 0] + ridge, matrix[0, 1], matrix[1, 1] + ridge
    right += ridge * prior[:, None]
    found = torch.stack((blur_blur * right[0] - both * right[1], own_own * right[1] - both * right[0]), 1)
    return (found / (own_own * blur_blur - both.square())[:, None]).clamp_(0, 1)


def _edge_colours(cells: Cells, pixel: Tensor, edge: Tensor, tolerance: float) -> Tensor:
    """Return the colour with which the surface of every empty cell starts, (C, N).

    It is that of the edge. The outermost columns of a photograph, though, often are darker than the rest: in strips at
    a border the next cell counts as well, by how much more the outermost differ from it than others do.
    """
    rows, columns = cells.shape
    own = take(cells.colour, edge)
    empty = cells.empty.view(rows, columns).int()
    border = (empty.cumprod(1) + empty.flip(1).cumprod(1).flip(1)).flatten()[pixel] > 0
    away = (edge - pixel).sign()
    steps, same = [own], border
    for step in range(1, 4):
        at = edge + step * away
        inside = (at >= 0) & (at // columns == edge // columns)
        at = torch.where(inside, at, edge)
        same = same & inside & ~cells.empty[at] & ((cells.disparity[at] - cells.disparity[pixel]).abs() < tolerance)
        steps.append(take(cells.colour, at))
    change = torch.stack([(one - two).square().mean(0) for one, two in zip(steps[:-1], steps[1:], strict=True)])
    for side in (-1, 1):
        told = same & (away == side)
        first = told & ((edge - pixel).abs() == 1)  # one of each row
        outer, *inner = (change * first).sum(1)
        usual = (inner[0] + inner[1]) / 2
        beyond = (outer - usual).clamp(min=0) / outer.clamp(min=1e-9)
        share = beyond * (first.sum() >= _LEAST_ROWS)
        own = torch.lerp(own, steps[1], share * told)
    return own


def _blur(
    cells: Cells,
    pixel: Tensor,
    own: Tensor,
    distance: Tensor,
    precision: Tensor,
    tolerance: float,
    form: Prediction,
) -> tuple[Tensor, Tensor]:
    """Blur the colours ``own`` of cells along columns with two stds that grow with the distance; return both, (C, N).

    The kernel is built from steps of 1, 2, 4... cells, each with three taps and as much of the variance as is left. The
    narrower one goes along with the wider one until its variance is used up.

    Args:
        cells: overwritten at ``pixel``.
        pixel: (N,) int64.
        own: (C, N), the colours there.
        distance: (N,) float, in cells.
        precision: (N,), one over the variance by which a row may be unlike.
        tolerance: of one surface.
        form: the stds.
    """
    rows, columns = cells.shape
    row, column, near = pixel // columns, pixel % columns, cells.disparity[pixel]
    left = (distance * distance.new_tensor([[form.blur], [form.wide]])).square_()
    cells.colour[:, pixel] = narrow = wide = own
    step = 1
    while step < rows:
        share = (left / (2 * step**2)).clamp_(max=1 / 3)
        left -= 2 * step**2 * share
        other = torch.stack((row - step, row + step))
        inside = (other >= 0) & (other < rows)
        other = torch.where(inside, other, row) * columns + column
        like = inside & ((cells.disparity[other] - near).abs_() < tolerance)
        colour = take(cells.colour, other)
        weight = torch.exp((colour - wide[:, None]).square_().mean(0).mul_(-precision)).mul_(like)
        total, count = colour.mul_(weight).sum(1), weight.sum(0)
        narrower, wider = (
            (wide * (1 - 2 * part)).addcmul_(total, part).div_((1 - 2 * part).addcmul_(count, part)) for part in share
        )
        narrow, wide = torch.where(share[0] > _ENDED, narrower, narrow), wider
        cells.colour.index_copy_(1, pixel, wide)
        step *= 2
    return narrow, wide


def _texture(cells: Cells, pixel: Tensor, edge: Tensor, tolerance: float) -> Tensor:
    """Return the variance of the colour beside the edge of every empty cell, (N,)."""
    columns = cells.shape[1]
    away, near = (edge - pixel).sign(), cells.disparity[pixel]
    first = take(cells.colour, edge)
    total, squares, count = torch.zeros_like(first), torch.zeros_like(first), torch.ones_like(near)
    for step in range(1, _TEXTURE):
        at = edge + step * away
        inside = (at >= 0) & (at // columns == edge // columns)
        at = torch.where(inside, at, edge)
        known = inside & ~cells.empty[at] & ((cells.disparity[at] - near).abs_() < tolerance)
        beyond = take(cells.colour, at).sub_(first).mul_(known)
        total += beyond
        squares.addcmul_(beyond, beyond)
        count += known
    return (squares.div_(count) - total.div_(count).square_()).mean(0)


def _precision(cells: Cells, texture: Tensor, form: Prediction) -> Tensor:
    """Return one over the variance by which rows may differ; a thousandth of the view's where there is no texture."""
    return 0.5 / (form.likeness * texture + (cells.colour.var(correction=0) * 1e-3 + 1e-12))


def take(colour: Tensor, at: Tensor) -> Tensor:
    """Return the colours (C, ...) at the flat indices ``at`` (...)."""
    return colour.index_select(1, at.flatten()).view(len(colour), *at.shape)
