"""Depth of large pictures: a model looks at parts of them, too, and what it sees there refines what it sees of all."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .checks import expect_shape

Box = tuple[slice, slice]
"""Rows and columns of a picture."""

# A step of this share of the map's std makes a sample count half.
_STEP = 0.1


@dataclass(frozen=True, slots=True)
class Tiling:
    """How a picture is cut, and its parts are joined.

    Attributes:
        count: tiles along the longer side; 1 for the picture as a whole. Along the shorter side there are fewer, so
            that tiles have about the picture's shape.
        overlap: of neighbours, a fraction of a tile.
        cells: along either side of a tile, in each of which it takes the whole picture's mean of what is no edge.
    """

    count: int = 1
    overlap: float = 0.25
    cells: int = 24


class _Axis(NamedTuple):
    """One side of a picture, cut into tiles of the same length."""

    size: int
    length: int
    starts: tuple[int, ...]

    @classmethod
    def cut(cls, size: int, count: int, overlap: float) -> _Axis:
        length = min(size, -int(-size // (count - (count - 1) * overlap)))
        last = size - length
        return cls(size, length, tuple(round(last * number / max(1, count - 1)) for number in range(count)))

    def enlarged(self, size: int) -> int:
        """Return how many samples the whole has where a tile has ``size``; not more than there are pixels."""
        return min(self.size, round(size * self.size / self.length))


def tiles_of(size: tuple[int, int], tiling: Tiling) -> list[Box]:
    """Cut a picture of this size (H, W) into tiles of one size, row by row."""
    return [
        (slice(top, top + rows.length), slice(left, left + columns.length))
        for rows, columns in [_axes(size, tiling)]
        for top, left in itertools.product(rows.starts, columns.starts)
    ]


def tiled_size(size: tuple[int, int], map_size: tuple[int, int], tiling: Tiling) -> tuple[int, int]:
    """Return the (h, w) of the map of a picture (H, W) whose tiles have maps of ``map_size``."""
    rows, columns = (axis.enlarged(side) for axis, side in zip(_axes(size, tiling), map_size, strict=True))
    return rows, columns


def _axes(size: tuple[int, int], tiling: Tiling) -> tuple[_Axis, _Axis]:
    rows, columns = (
        _Axis.cut(side, max(1, round(tiling.count * side / max(size))), tiling.overlap if tiling.count > 1 else 0.0)
        for side in size
    )
    return rows, columns


def tiled_inverse_depth(pictures: Tensor, infer: Callable[[Tensor], Tensor], tiling: Tiling) -> Tensor:
    """Estimate the inverse depth of pictures as a whole and of their tiles, and join both.

    A model for single pictures gives every tile a scale and an offset of its own, and bends it. So each tile's map is
    brought to the whole picture's by least squares, and then to its means in a grid of cells, without their edges:
    surfaces lie where the whole picture has them, edges are as fine as the tile's. Tiles fade into each other where
    they overlap. What is at infinity in a tile's map stays there, if the whole picture has infinity around: a part of
    a wall alone can be taken for sky, and networks that see no sky give 0 to the farthest that they are shown.

    Args:
        pictures: (B, 3, H, W).
        infer: gives (b, 1, h, w) float32, larger is nearer, 0 at infinity, for pictures (b, 3, H', W').
        tiling: how they are cut.

    Returns:
        (B, 1, h, w) float32 in the scale of the whole picture's map, of ``tiled_size``.

    Raises:
        ValueError: pictures of another shape.
    """
    expect_shape("pictures", pictures, "B 3 H W")
    whole = infer(pictures)
    if tiling.count == 1:
        return whole
    size = (pictures.shape[-2], pictures.shape[-1])
    first, *others = tiles_of(size, tiling)
    tile = infer(pictures[..., first[0], first[1]])
    merged = _Merged.empty(whole, tiled_size(size, (tile.shape[-2], tile.shape[-1]), tiling))
    merged.add(_Tile.of(first, size, merged.size), whole, tile, tiling)
    for box in others:
        merged.add(_Tile.of(box, size, merged.size), whole, infer(pictures[..., box[0], box[1]]), tiling)
    return merged.finished()


class _Span(NamedTuple):
    """Samples of one side of the merged map that lie in a tile, and where: 0 to 1 of the tile and of the whole."""

    samples: slice
    in_tile: Tensor
    in_whole: Tensor

    @classmethod
    def of(cls, part: slice, size: int, samples: int) -> _Span:
        centres = (torch.arange(samples) + 0.5) * size / samples
        inside = ((centres >= part.start) & (centres < part.stop)).nonzero().flatten()
        centres = centres[inside]
        first, last = int(inside[0]), int(inside[-1]) + 1
        return cls(slice(first, last), (centres - part.start) / (part.stop - part.start), centres / size)

    def fading(self, overlap: float) -> Tensor:
        """Return weights that fall towards both ends of the tile."""
        return (torch.minimum(self.in_tile, 1 - self.in_tile) / overlap).clamp(max=1)


class _Tile(NamedTuple):
    rows: _Span
    columns: _Span

    @classmethod
    def of(cls, box: Box, size: tuple[int, int], samples: tuple[int, int]) -> _Tile:
        rows, columns = (_Span.of(*side) for side in zip(box, size, samples, strict=True))
        return cls(rows, columns)


@dataclass
class _Merged:
    """A map that tiles are added to.

    Attributes:
        total: (B, 1, h, w), their weighted sum.
        far: the sum of the weights of those that have infinity there.
        weights: (h, w), the sum of all weights.
    """

    total: Tensor
    far: Tensor
    weights: Tensor

    @classmethod
    def empty(cls, like: Tensor, size: tuple[int, int]) -> _Merged:
        total = like.new_zeros(*like.shape[:2], *size)
        return cls(total, torch.zeros_like(total), like.new_zeros(size))

    @property
    def size(self) -> tuple[int, int]:
        return (self.total.shape[-2], self.total.shape[-1])

    def add(self, place: _Tile, whole: Tensor, tile: Tensor, tiling: Tiling) -> None:
        rows, columns = place
        region = (..., rows.samples, columns.samples)
        weight = rows.fading(tiling.overlap)[:, None] * columns.fading(tiling.overlap)[None, :]
        weight = weight.to(self.total)
        own = _sampled(tile, rows.in_tile, columns.in_tile)
        given = _sampled(whole, rows.in_whole, columns.in_whole)
        self.total[region] += weight * _brought(own, given, tiling.cells)
        far = _sampled((tile == 0).to(tile), rows.in_tile, columns.in_tile)
        self.far[region] += weight * far * _around(given == 0, tiling.cells).to(far)
        self.weights[region] += weight

    def finished(self) -> Tensor:
        merged = (self.total / self.weights).clamp_(min=0)
        return merged.masked_fill_(self.far > 0.5 * self.weights, 0.0)


def _sampled(depth: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Sample maps (B, 1, h, w) linearly at places from 0 to 1 along either side; (B, 1, rows, columns)."""
    y, x = torch.meshgrid(2 * rows - 1, 2 * columns - 1, indexing="ij")
    grid = torch.stack([x, y], -1)[None].expand(len(depth), -1, -1, -1).to(depth)
    return functional.grid_sample(depth, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _brought(own: Tensor, given: Tensor, cells: int) -> Tensor:
    """Bring a tile's maps (B, 1, h, w) to what the whole picture's have there."""
    mean_own, mean_given = (values.mean((-2, -1), keepdim=True) for values in (own, given))
    around = own - mean_own
    variance = around.square().mean((-2, -1), keepdim=True)
    scale = (around * (given - mean_given)).mean((-2, -1), keepdim=True) / variance.clamp(min=1e-12)
    fitted = mean_given + scale.clamp(min=0) * around  # where both do not agree at all, the tile has nothing to add
    left, trust = given - fitted, _flat(given, cells) * _flat(fitted, cells)
    pooled, trusted = (functional.adaptive_avg_pool2d(each, cells) for each in (left * trust, trust))
    return fitted + functional.interpolate(pooled / trusted, own.shape[-2:], mode="bicubic", align_corners=False)


def _around(there: Tensor, cells: int) -> Tensor:
    """Tell where something (B, 1, h, w) is there, in the same or a neighbouring cell; of the same shape, 0 or 1."""
    found = functional.max_pool2d(functional.adaptive_max_pool2d(there.float(), cells), 3, 1, 1)
    return functional.interpolate(found, there.shape[-2:], mode="nearest")


def _flat(depth: Tensor, cells: int) -> Tensor:
    """Return weights, 1 where maps are flat and near 0 less than half a cell from edges."""
    step = _highest(depth, cells) + _highest(-depth, cells)
    return 1 / (1 + (step / (_STEP * depth.std((-2, -1), correction=0, keepdim=True) + 1e-6)).square())


def _highest(depth: Tensor, cells: int) -> Tensor:
    rows, columns = (2 * (side // (2 * cells)) + 1 for side in depth.shape[-2:])
    return functional.max_pool2d(
        functional.max_pool2d(depth, (rows, 1), 1, (rows // 2, 0)), (1, columns), 1, (0, columns // 2)
    )
