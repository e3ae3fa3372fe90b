"""Texture for smoothly filled holes: fine detail of the surface behind them, copied from elsewhere in the view."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .texture_offsets import Cells, Nodes, choose_offsets

# Most cells that a view is reduced to, whatever its shape: the search takes the same time at every size.
_CELLS = 40_000
# Disparities that differ by less, in columns of a 512 wide view, belong to one surface.
_SURFACE = 6.0
# Pixels textured at a time, so that memory does not grow with the holes.
_CHUNK = 1 << 14


@dataclass(frozen=True)
class Texture:
    """What ``add_texture`` was tuned by: see ``tools/benchmarks/texture.py``.

    Attributes:
        fine: how much is added of the band finer than a cell, which looks weaker than it is where cells are
            interpolated.
        coarse: the same of the band from there to three cells, which costs PSNR and is hardly seen.
        amplified: the most by which detail is amplified to reach the contrast that is found around a hole.
        hue: detail keeps its hue where the colours around it and around its copy differ less, of the picture's range.
        edge: columns of a 512 wide view over which the edge's own colour, which the smooth fill keeps, makes room for
            detail.
    """

    fine: float = 1.3
    coarse: float = 0.2
    amplified: float = 4.0
    hue: float = 0.15
    edge: float = 0.8


def add_texture(
    image: Tensor, disparity: Tensor, hole: Tensor, edge_distance: Tensor, texture: Texture = Texture()
) -> None:
    """Add to the smoothly filled holes of ``image``, in place, the detail that the surface behind them has elsewhere.

    The smooth fill stays the mean, for where lines and colours go is not known. What it lacks is what the view holds
    beyond its own low-pass: that is copied by whole offsets (a shift map), each of them shared by a neighbourhood, from
    known pixels of the same disparity, and scaled to the contrast that is found around the hole. Where two offsets meet
    the copies fade into each other at constant variance, and detail never exceeds the room that its mean leaves in the
    picture's range: black bars stay black.

    Args:
        image: (C, H, W) float32, every pixel filled, written at hole pixels.
        disparity: (H, W) float32 in columns of the view; in a hole, that of the surface behind.
        hole: (H, W) bool.
        edge_distance: (N,) int64, for each hole pixel in row-major order how many columns it lies from its edge.
        texture: what it was tuned by.

    Source:
        Pritch, Kav-Venaki and Peleg, "Shift-map image editing", ICCV 2009, for the offsets; Heitz and Neyret,
        "High-performance by-example noise using a histogram-preserving blending operator", HPG 2018, equation 2, for
        blending at constant variance.
    """
    height, width = hole.shape
    size = max(2, math.ceil(math.sqrt(height * width / _CELLS)))
    cells = _reduce(image, disparity, hole, size, _SURFACE * width / 512)
    if not (cells.known.any() and cells.unknown.any()):
        return
    copier = _Copier(image, disparity, hole, cells, choose_offsets(cells), texture)
    pixel = hole.flatten().nonzero().flatten()
    fade = 1 - torch.exp(edge_distance * (-512 / (texture.edge * width)))
    flat = image.view(image.shape[0], -1)
    for start in range(0, len(pixel), _CHUNK):
        part = slice(start, start + _CHUNK)
        flat[:, pixel[part]] += copier.detail(pixel[part], fade[part])


def _reduce(image: Tensor, disparity: Tensor, hole: Tensor, size: int, tolerance: float) -> Cells:
    """Reduce a view to cells that hold only the farthest surface in them."""
    height, width = hole.shape
    padding = (0, -width % size, 0, -height % size)
    near = F.pad(disparity[None], padding, value=torch.inf)
    farthest = -F.max_pool2d(-near, size)[0]
    same = near[0] <= (farthest + tolerance).repeat_interleave(size, 0).repeat_interleave(size, 1)
    seen = F.pad(~hole, padding)
    inside = F.pad(torch.ones_like(hole), padding)
    known, filled = (same & seen).float(), (same & ~seen & inside).float()
    colours = F.pad(image, padding)
    count, fills = _sums(known[None], size)[0], _sums(filled[None], size)[0]
    mean = _sums(colours * known, size) / count.clamp(min=1)
    square = _sums(colours.square().mul_(known), size) / count.clamp(min=1)
    fill = _sums(colours.mul_(filled), size) / fills.clamp(min=1)
    variance = (square - mean.square()).clamp_(min=0).mean(0)
    enough = 2 * count >= size * size
    low = _smooth(mean, enough, farthest, tolerance)
    energy = torch.stack((variance, (mean - low).square().mean(0)))
    energy = _smooth(_smooth(energy, enough, farthest, tolerance), enough, farthest, tolerance)
    return Cells(mean, low, fill, energy, farthest, enough, fills > count, size, tolerance)


def _sums(values: Tensor, size: int) -> Tensor:
    return F.avg_pool2d(values[None], size)[0] * size**2


def _smooth(values: Tensor, known: Tensor, near: Tensor, tolerance: float) -> Tensor:
    """Average known cells (C, h, w) of one surface with weights 1, 2, 1 along columns and rows."""
    for axis in (-2, -1):
        size = known.shape[axis]
        total, count = values * known * 2, known * 2.0
        for here, there in (((0, size - 1), (1, size - 1)), ((1, size - 1), (0, size - 1))):
            joined = (near.narrow(axis, *here) - near.narrow(axis, *there)).abs() < tolerance
            weight = (joined & known.narrow(axis, *there)).float()
            total.narrow(axis, *here).addcmul_(values.narrow(axis, *there), weight)
            count.narrow(axis, *here).add_(weight)
        values, known = total / count.clamp(min=1), count > 0
    return values


class _Taps(NamedTuple):
    """The four points of a grid around each of N positions: flat indices and bilinear weights, both (4, N)."""

    point: Tensor
    weight: Tensor


def _taps(row: Tensor, column: Tensor, spacing: int, shape: tuple[int, ...]) -> _Taps:
    """Find the grid points around pixels; a grid point stands at the centre of ``spacing`` x ``spacing`` pixels."""
    y, x = ((at + 0.5) / spacing - 0.5 for at in (row, column))
    top, left = y.floor(), x.floor()
    down, right = y - top, x - left
    rows = [(top + step).clamp_(0, shape[-2] - 1) for step in (0, 1)]
    columns = [(left + step).clamp_(0, shape[-1] - 1) for step in (0, 1)]
    index = torch.stack([r * shape[-1] + c for r in rows for c in columns]).long()
    weight = torch.stack([(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right])
    return _Taps(index, weight)


class _Copier:
    """Copies detail to hole pixels of one view by the offsets chosen for it."""

    def __init__(
        self, image: Tensor, disparity: Tensor, hole: Tensor, cells: Cells, nodes: Nodes, texture: Texture
    ) -> None:
        self._texture = texture
        self._image = image.view(image.shape[0], -1)
        self._near = disparity.flatten()
        self._hole = hole.flatten()
        self._shape = hole.shape
        self._cells, self._nodes = cells, nodes
        # What is read at every source, one row for each cell: both low-passes of all channels, then both contrasts.
        self._table = torch.cat((cells.colour, cells.low, cells.energy.sqrt())).flatten(1).t().contiguous()
        low, high = image.aminmax()
        self._range = float(low), float(high)

    def detail(self, pixel: Tensor, share: Tensor) -> Tensor:
        """Return what is added at N hole pixels, (C, N); ``share`` (N,) of it is wanted."""
        height, width = self._shape
        row, column = pixel // width, pixel % width
        nodes = self._nodes
        at = _taps(row, column, nodes.spacing, nodes.active.shape)
        down, right = nodes.offset[:, at.point]  # (4, N) each
        y, x = row + down, column + right
        source = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
        usable = nodes.active.flatten()[at.point] & (y >= 0) & (y < height) & (x >= 0) & (x < width)
        usable &= ~self._hole[source]
        usable &= (self._near[source] - self._near[pixel]).abs() < self._cells.tolerance
        values, found = self._read_cells(source.flatten())
        weight = at.weight * (usable & found.view(usable.shape))
        weight = weight / weight.sum(0).clamp(min=1e-6)
        wanted = (weight * nodes.contrast.flatten(1)[:, at.point]).sum(1)[:, None]  # (2, 1, N)
        contrast = values[-2:].view(2, *weight.shape).clamp_(min=1e-4)
        fine, coarse = (wanted / contrast).clamp_(max=self._texture.amplified)
        here, low = values[:-2].view(2, -1, *weight.shape)
        mean = self._image[:, pixel]
        detail = (self._image[:, source] - here) * (fine * self._texture.fine)
        detail += (here - low) * (coarse * self._texture.coarse)
        detail = (self._fit_hue(detail, low, mean) * weight).sum(1)
        detail = detail / _deviation(weight, down * width + right) * share
        room = torch.minimum(mean - self._range[0], self._range[1] - mean)
        return torch.minimum(torch.maximum(detail, -room), room)

    def _fit_hue(self, detail: Tensor, low: Tensor, mean: Tensor) -> Tensor:
        """Drop the hue of detail (C, 4, N) where its surroundings, ``low``, differ from those of its copy, (C, N)."""
        scale = self._texture.hue * max(self._range[1] - self._range[0], 1e-6)
        alike = torch.exp(-((low - mean[:, None]) / scale).square().mean(0))
        grey = detail.mean(0)
        return torch.lerp(grey.expand_as(detail), detail, alike.expand_as(detail))

    def _read_cells(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Read the table on the surface at M pixels, (2C + 2, M); the second result says where it holds anything."""
        cells, width = self._cells, self._shape[1]
        at = _taps(source // width, source % width, cells.size, cells.known.shape)
        same = (cells.disparity.flatten()[at.point] - self._near[source]).abs() < cells.tolerance
        weight = at.weight * (same & cells.known.flatten()[at.point])
        total = weight.sum(0)
        weight = weight / total.clamp(min=1e-6)
        return (self._table[at.point] * weight[..., None]).sum(0).t(), total > 1e-3


def _deviation(weight: Tensor, offset: Tensor) -> Tensor:
    """Return the standard deviation (N,) of a sum with weights (4, N) of unit textures, alike at equal offsets."""
    same = offset[:, None] == offset
    return (weight[:, None] * weight * same).sum((0, 1)).clamp(min=1e-6).sqrt()
