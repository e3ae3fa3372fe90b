"""Texture for smoothly filled holes: fine detail of the surface behind them, copied from elsewhere in the view."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .parallel import operation_threads, share_out
from .texture_offsets import Cells, Nodes, choose_offsets
from .texture_strength import PARTS, Parts, count_rough, finest_energy, reduce_parts, smooth, strength, sums

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
        wanted: the energy of the finest detail in holes, as a share of that of the surface beside them.
        fine: how much is added of the band between the finest detail, a third of a cell, and a cell.
        coarse: the same of the band from there to three cells, which costs PSNR and is hardly seen.
        amplified: the most by which detail is amplified to reach the contrast that is found around a hole.
        strengthened: the same for all detail of a neighbourhood together, to reach what is wanted.
        hue: detail keeps its hue where the colours around it and around its copy differ less, of the picture's range.
        edge: columns of a 512 wide view over which the edge's own colour, which the smooth fill keeps, makes room for
            detail.
        root: energies are averaged by their roots of this degree, so that the few strong lines of an outline count less
            than texture all over a surface.
        unlike: what it costs to copy detail that is far weaker or stronger than that beside the hole, for it is that of
            another material: see ``choose_offsets``.
    """

    wanted: float = 1.15
    fine: float = 0.1
    coarse: float = 0.05
    amplified: float = 2.5
    strengthened: float = 4.0
    hue: float = 0.15
    edge: float = 0.8
    root: float = 4.0
    unlike: float = 0.5


def add_texture(
    image: Tensor, disparity: Tensor, hole: Tensor, edge_distance: Tensor, texture: Texture = Texture()
) -> None:
    """Add to the smoothly filled holes of ``image``, in place, the detail that the surface behind them has elsewhere.

    The smooth fill stays the mean, for where lines and colours go is not known. What it lacks is what the view holds
    beyond its own low-pass: that is copied by whole offsets (a shift map), each of them shared by a neighbourhood, from
    known pixels of the same disparity, and scaled to the contrast that is found around the hole. Where two offsets meet
    the copies fade into each other at constant variance. What comes of it is measured, and all of it multiplied by what
    its finest detail still differs from that beside the hole, on the farther side; beside what is drawn, flat but for
    its lines, nothing is added. Detail never exceeds the room that its mean leaves in the picture's range: black bars
    stay black.

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
    size = PARTS * math.ceil(math.sqrt(height * width / _CELLS) / PARTS)
    cells = _reduce(image, disparity, hole, size, _SURFACE * width / 512)
    if not (cells.known.any() and cells.unknown.any()):
        return
    pixel = hole.flatten().nonzero().flatten()
    fade = 1 - torch.exp(edge_distance * (-512 / (texture.edge * width)))
    detail = torch.zeros_like(image)
    flat, added = image.view(image.shape[0], -1), detail.view(image.shape[0], -1)
    parts = [slice(start, start + _CHUNK) for start in range(0, len(pixel), _CHUNK)]
    with operation_threads(1) as threads:
        beside = reduce_parts(image, disparity, ~hole, size, cells.tolerance)
        copier = _Copier(image, disparity, hole, cells, beside, choose_offsets(cells, texture.unlike, threads), texture)

        def copy(part: slice) -> None:
            added[:, pixel[part]] = copier.detail(pixel[part], fade[part])

        share_out(copy, parts, threads)
        inside = (reduce_parts(of, disparity, hole, size, cells.tolerance) for of in (image, detail))
        around, fill, added_energy = (finest_energy(of, cells.tolerance, texture.root) for of in (beside, *inside))
        surfaces = cells.unknown, cells.disparity, cells.tolerance
        rough = count_rough(image, disparity, ~hole, size, cells.tolerance)
        factor, told = strength(around, rough, fill, added_energy, *surfaces, texture.wanted, texture.root)
        factor.clamp_(max=texture.strengthened)

        def add(part: slice) -> None:
            at = _taps(pixel[part] // width, pixel[part] % width, size, told.shape)
            weight = at.weight * told.flatten()[at.point]
            total = weight.sum(0)
            by = (weight * factor.flatten()[at.point]).sum(0) / total.clamp(min=1e-6)
            by = torch.where(total > 1e-3, by, 1.0)
            flat[:, pixel[part]] += copier.within_range(added[:, pixel[part]] * by, flat[:, pixel[part]])

        share_out(add, parts, threads)


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
    count, fills = sums(known[None], size)[0], sums(filled[None], size)[0]
    mean = sums(colours * known, size) / count.clamp(min=1)
    square = sums(colours.square().mul_(known), size) / count.clamp(min=1)
    fill = sums(colours.mul_(filled), size) / fills.clamp(min=1)
    variance = (square - mean.square()).clamp_(min=0).mean(0)
    enough = 2 * count >= size * size
    low = smooth(mean, enough, farthest, tolerance)
    energy = torch.stack((variance, (mean - low).square().mean(0)))
    energy = smooth(smooth(energy, enough, farthest, tolerance), enough, farthest, tolerance)
    return Cells(mean, low, fill, energy, farthest, enough, fills > count, size, tolerance)


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


class _Grid(NamedTuple):
    """What is read at sources: a row of values, (h * w, channels), for each of h x w squares of ``spacing`` pixels."""

    values: Tensor
    disparity: Tensor
    known: Tensor
    spacing: int


class _Copier:
    """Copies detail to hole pixels of one view by the offsets chosen for it."""

    def __init__(
        self, image: Tensor, disparity: Tensor, hole: Tensor, cells: Cells, parts: Parts, nodes: Nodes, texture: Texture
    ) -> None:
        self._texture = texture
        self._image = image.view(image.shape[0], -1)
        self._near = disparity.flatten()
        self._hole = hole.flatten()
        self._shape = hole.shape
        self._cells, self._nodes = cells, nodes
        # What is read at every source, one row for each cell: both low-passes of all channels, then both contrasts.
        table = torch.cat((cells.colour, cells.low, cells.energy.sqrt())).flatten(1).t().contiguous()
        self._table = _Grid(table, cells.disparity, cells.known, cells.size)
        low_parts = smooth(*parts, cells.tolerance).flatten(1).t().contiguous()
        self._parts = _Grid(low_parts, parts.disparity, parts.known, cells.size // PARTS)
        low, high = image.aminmax()
        self._range = float(low), float(high)

    def detail(self, pixel: Tensor, share: Tensor) -> Tensor:
        """Return the detail for N hole pixels, (C, N); ``share`` (N,) of it is wanted."""
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
        values, found = self._read(self._table, source.flatten())
        parts = self._read(self._parts, source.flatten())[0].view(-1, *source.shape)
        weight = at.weight * (usable & found.view(usable.shape))
        weight = weight / weight.sum(0).clamp(min=1e-6)
        wanted = (weight * nodes.contrast.flatten(1)[:, at.point]).sum(1)[:, None]  # (2, 1, N)
        contrast = values[-2:].view(2, *weight.shape).clamp_(min=1e-4)
        fine, coarse = (wanted / contrast).clamp_(max=self._texture.amplified)
        here, low = values[:-2].view(2, -1, *weight.shape)
        detail = (parts - here).mul_(self._texture.fine).add_(self._image[:, source] - parts).mul_(fine)
        detail += (here - low) * (coarse * self._texture.coarse)
        mixed: Tensor = (self._fit_hue(detail, low, self._image[:, pixel], fine) * weight).sum(1)
        return mixed / _deviation(weight, down * width + right) * share

    def within_range(self, detail: Tensor, mean: Tensor) -> Tensor:
        """Cut detail off where its mean, both (C, N), leaves it no room in the picture's range."""
        room = torch.minimum(mean - self._range[0], self._range[1] - mean)
        return torch.minimum(torch.maximum(detail, -room), room)

    def _fit_hue(self, detail: Tensor, low: Tensor, mean: Tensor, amplified: Tensor) -> Tensor:
        """Drop the hue of detail (C, 4, N) where its surroundings, ``low``, differ from those of its copy, (C, N).

        And where it is amplified, (4, N), for a camera's noise is as strong in hue as in brightness.
        """
        scale = self._texture.hue * max(self._range[1] - self._range[0], 1e-6)
        alike = torch.exp(-((low - mean[:, None]) / scale).square().mean(0)) / amplified.clamp(min=1).square()
        grey = detail.mean(0)
        return torch.lerp(grey.expand_as(detail), detail, alike.expand_as(detail))

    def _read(self, grid: _Grid, source: Tensor) -> tuple[Tensor, Tensor]:
        """Read a grid on the surface at M pixels, (channels, M); the second result says where it holds anything."""
        width = self._shape[1]
        at = _taps(source // width, source % width, grid.spacing, grid.known.shape)
        same = (grid.disparity.flatten()[at.point] - self._near[source]).abs() < self._cells.tolerance
        weight = at.weight * (same & grid.known.flatten()[at.point])
        total = weight.sum(0)
        weight = weight / total.clamp(min=1e-6)
        return (grid.values[at.point] * weight[..., None]).sum(0).t(), total > 1e-3


def _deviation(weight: Tensor, offset: Tensor) -> Tensor:
    """Return the standard deviation (N,) of a sum with weights (4, N) of unit textures, alike at equal offsets."""
    same = offset[:, None] == offset
    return (weight[:, None] * weight * same).sum((0, 1)).clamp(min=1e-6).sqrt()
