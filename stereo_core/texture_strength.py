"""How strong the finest detail of a surface is, beside holes and in them."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .hole_filling import find_hole_edges

PARTS = 3
"""Parts of a cell, along rows and along columns, whose differences are its finest detail."""
# Steps, in cells, of the means over holes and of those over what lies beside them: stds of two and of three cells.
_WITHIN, _BESIDE = (1, 2), (1, 2, 4)
# The mean beside a hole counts up to so many times the narrower one: where one surface ends and a rougher one begins
# is not known to a pixel.
_NARROWER = 2.0
_LEAST = 1e-9
# Neighbours that differ by less of the picture's range, half a step of 8 bits, are flat. Photographs and their noise
# leave hardly any; of what is drawn most is flat. Where no more than the first share is rough, lines are all the detail
# there is, and copied without what they bound they are wrong; from the second share on texture is as strong as it is.
_FLAT = 0.5 / 255
_DRAWN, _ROUGH = 0.6, 0.8


def sums(values: Tensor, size: int) -> Tensor:
    """Sum (C, H, W) over cells of ``size`` x ``size`` pixels."""
    return F.avg_pool2d(values[None], size)[0] * size**2


def smooth(values: Tensor, known: Tensor, near: Tensor, tolerance: float) -> Tensor:
    """Average known cells (C, h, w) of one surface with weights 1, 2, 1 along columns and rows."""
    total, count = values * known, known.float()
    for axis in (-2, -1):
        total, count = _spread(total, count, near, tolerance, 1, axis)
        total, count = total / count.clamp(min=_LEAST), (count > 0).float()
        total *= count
    return total


def _spread(
    total: Tensor, count: Tensor, near: Tensor, tolerance: float, step: int, axis: int
) -> tuple[Tensor, Tensor]:
    """Add sums (..., h, w) and counts (h, w) of the cells ``step`` before and after on the same surface."""
    rest = near.shape[axis] - step
    totals, counts = total * 2, count * 2
    if rest <= 0:
        return totals, counts
    joined = ((near.narrow(axis, 0, rest) - near.narrow(axis, step, rest)).abs() < tolerance).float()
    for here, there in ((0, step), (step, 0)):
        totals.narrow(axis, here, rest).addcmul_(total.narrow(axis, there, rest), joined)
        counts.narrow(axis, here, rest).addcmul_(count.narrow(axis, there, rest), joined)
    return totals, counts


def _spread_over(
    total: Tensor, count: Tensor, near: Tensor, tolerance: float, steps: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    for step in steps:
        for axis in (-2, -1):
            total, count = _spread(total, count, near, tolerance, step, axis)
            total, count = total / 4, count / 4
    return total, count


def _mean(total: Tensor, count: Tensor) -> Tensor:
    return total / count.clamp(min=_LEAST)


class Parts(NamedTuple):
    """Pixels reduced to h x w parts of cells that hold only the farthest surface in them.

    Attributes:
        colour: (C, h, w), the mean; 0 where nothing is known.
        known: (h, w) bool.
        disparity: (h, w) in columns of the view.
    """

    colour: Tensor
    known: Tensor
    disparity: Tensor


def reduce_parts(image: Tensor, disparity: Tensor, mask: Tensor, size: int, tolerance: float) -> Parts:
    """Reduce the masked pixels of (C, H, W) to parts of cells of ``size`` pixels, a multiple of ``PARTS``."""
    height, width = mask.shape
    padding = (0, -width % size, 0, -height % size)
    near = F.pad(disparity[None], padding, value=torch.inf)
    part = size // PARTS
    farthest = -F.max_pool2d(-near, part)[0]
    same = near[0] <= (farthest + tolerance).repeat_interleave(part, 0).repeat_interleave(part, 1)
    inside = F.pad(mask, padding).logical_and_(same).float()
    count = sums(inside[None], part)[0]
    colour = sums(F.pad(image, padding).mul_(inside), part) / count.clamp(min=1)
    return Parts(colour, count > 0, farthest)


def count_rough(image: Tensor, disparity: Tensor, mask: Tensor, size: int, tolerance: float) -> tuple[Tensor, Tensor]:
    """Count the masked pixels of (C, H, W) that differ from a masked neighbour, and all, in cells of ``size`` pixels.

    Of a cell only those on its farthest surface count; both results are (h, w).
    """
    low, high = image.aminmax()
    flat = (high - low) * _FLAT
    rough = torch.zeros_like(mask)
    for axis in (-2, -1):
        rest = mask.shape[axis] - 1
        differs = image.narrow(axis, 1, rest).sub(image.narrow(axis, 0, rest)).abs_().amax(0) > flat
        differs &= mask.narrow(axis, 0, rest) & mask.narrow(axis, 1, rest)
        for start in (0, 1):
            rough.narrow(axis, start, rest).logical_or_(differs)
    padding = (0, -mask.shape[1] % size, 0, -mask.shape[0] % size)
    near = F.pad(disparity[None], padding, value=torch.inf)
    farthest = -F.max_pool2d(-near, size)[0]
    same = near[0] <= (farthest + tolerance).repeat_interleave(size, 0).repeat_interleave(size, 1)
    both = F.pad(torch.stack((rough, mask)), padding).logical_and_(same)
    counts = sums(both.float(), size)
    return counts[0], counts[1]


def finest_energy(parts: Parts, tolerance: float, root: float) -> tuple[Tensor, Tensor]:
    """Measure the energy of what is finer than about a third of a cell.

    Args:
        parts: of the cells.
        tolerance: by how many columns the disparity of one surface differs at most.
        root: the degree of the root of energies that is averaged. With 1 a single outline on a flat surface counts as
            much as texture all over it; the higher, the less.

    Returns:
        For every cell the sum, over its parts, of the root of their squared difference from the mean around them on
        their surface, mean of the channels, and how many parts count; both (h, w) of the cells.
    """
    colour, known, near = parts
    low = smooth(smooth(colour, known, near, tolerance), known, near, tolerance)
    energy = (colour - low).square().mean(0).pow_(1 / root) * known
    both = sums(torch.stack((energy, known.float())), PARTS)
    return both[0], both[1]


def strength(
    around: tuple[Tensor, Tensor],
    rough: tuple[Tensor, Tensor],
    smooth_fill: tuple[Tensor, Tensor],
    texture: tuple[Tensor, Tensor],
    unknown: Tensor,
    near: Tensor,
    tolerance: float,
    wanted: float,
    root: float,
) -> tuple[Tensor, Tensor]:
    """Tell by how much texture in holes must be multiplied to be as strong as what lies beside them.

    Args:
        around: ``finest_energy`` of the known pixels.
        rough: ``count_rough`` of them. Where most are flat, as in drawings, texture is left out.
        smooth_fill: that of the holes without texture.
        texture: that of the texture alone, before it is multiplied.
        unknown: (h, w) bool, the cells of holes.
        near: (h, w), the disparity of cells, in holes of the surface behind.
        tolerance: by how many columns the disparity of one surface differs at most.
        wanted: the energy in holes as a share of that beside them, on the farther side.
        root: that of ``finest_energy``.

    Returns:
        The factor of every cell, and where it is told, both (h, w).
    """
    share = _mean(*_spread_over(*rough, near, tolerance, _BESIDE))
    drawn = ((share - _DRAWN) / (_ROUGH - _DRAWN)).clamp_(0, 1).pow_(1 / root)
    narrow = _mean(*_spread_over(*around, near, tolerance, _WITHIN))
    total, count = _spread_over(*around, near, tolerance, _BESIDE)
    edges = find_hole_edges(unknown, near)
    beside, told = torch.zeros_like(total), torch.zeros_like(total)
    at_edge = torch.minimum(_mean(total, count), _NARROWER ** (1 / root) * narrow).mul_(drawn).flatten()[edges.edge]
    beside.view(-1)[edges.pixel] = at_edge
    told.view(-1)[edges.pixel] = (count.flatten()[edges.edge] > 0).float()
    told *= texture[1] * unknown
    means = torch.stack((beside, *(energy / parts.clamp(min=1) for energy, parts in (smooth_fill, texture)))) * told
    means, told = _spread_over(means, told, near, tolerance, _WITHIN)
    means = _mean(means, told) ** root
    missing = (wanted * means[0] - means[1]).clamp(min=0)
    factor = (missing / means[2].clamp(min=_LEAST * 1e-3)).sqrt()
    return factor, told > 0
