"""Both views of scenes, with the truth about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .shading import shade
from .tracing import eye_rays, trace
from .worlds import World, make_worlds, moved

_MOST_RAYS = {"cpu": 2**16, "cuda": 2**23}  # at once: what a cache holds, or what keeps a GPU busy
_SAME = 2e-3  # of the depth: nearer to each other two points are one


class Pair(NamedTuple):
    """B rendered scenes, or the frames of clips, scene by scene.

    Attributes:
        left, right: (B, 3, H, W) in [0, 1], of parallel cameras: a point at column x of the left view lies at x - d
            in the right one, in the same row.
        disparity: (B, 1, H, W) of the left view's pixel centres, in columns, 0 for the sky.
        left_only: (B, 1, H, W) bool, pixels of the left view that the right one does not see.
        right_only: (B, 1, H, W) bool, pixels of the right view that the left one does not see.
        label: (B,) int64, the index in ``PALETTES``.
    """

    left: Tensor
    right: Tensor
    disparity: Tensor
    left_only: Tensor
    right_only: Tensor
    label: Tensor


def render_scenes(seeds: Sequence[int], size: int = 128, device: str = "cpu", samples: int = 2) -> Pair:
    """Render the scenes of ``seeds``.

    Args:
        seeds: one for each scene; the same seed gives the same scene at every size.
        size: rows and columns.
        device: where to compute; the result lies there.
        samples: per pixel and axis; their mean is the pixel.
    """
    return _render(make_worlds(seeds), size, device, samples)


def render_clips(
    seeds: Sequence[int],
    frames: int,
    size: int = 128,
    device: str = "cpu",
    samples: int = 2,
    moving_camera: bool = False,
) -> Pair:
    """Render clips in which things move, and the cameras, too, on request; the first frame is the scene's picture."""
    world = make_worlds(seeds)
    clips = [_render(moved(world, frame, moving_camera), size, device, samples) for frame in range(frames)]
    return Pair(*(torch.stack(parts, dim=1).flatten(0, 1) for parts in zip(*clips, strict=True)))


def _render(world: World, size: int, device: str, samples: int) -> Pair:
    at_once = max(_MOST_RAYS[torch.device(device).type] // (size * samples) ** 2, 1)
    starts = range(0, len(world.eye), at_once)
    chunks = [_render_chunk(world.take(slice(i, i + at_once)).to(device), size, samples) for i in starts]
    return Pair(*(torch.cat(parts) for parts in zip(*chunks, strict=True)))


def _render_chunk(world: World, size: int, samples: int) -> Pair:
    views = [_view(world, size, samples, right) for right in (False, True)]
    left_depth, left_only = _truth(world, size, right=False)
    _, right_only = _truth(world, size, right=True)
    disparity = _shift(world, left_depth) * size
    maps = (part.unflatten(1, (1, size, size)) for part in (disparity, left_only, right_only))
    return Pair(*views, *maps, world.label)


def _grid(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Columns and rows (size * size,) of the sample centres, in widths from the middle."""
    line = (torch.arange(size, device=device, dtype=torch.float32) + 0.5) / size - 0.5
    return line.repeat(size), line.repeat_interleave(size)


def _view(world: World, size: int, samples: int, right: bool) -> Tensor:
    rays = eye_rays(world, *_grid(size * samples, world.eye.device), right=right)
    colors = shade(world, rays, trace(world, rays), 1 / (size * samples))
    fine = colors.unflatten(2, (size * samples, size * samples))
    return torch.nn.functional.avg_pool2d(fine, samples)


def _shift(world: World, depth: Tensor) -> Tensor:
    """Disparity in widths."""
    return (world.focal * world.baseline)[:, None] / depth


def _truth(world: World, size: int, right: bool) -> tuple[Tensor, Tensor]:
    """The depth of one view's pixel centres, and whether the other eye does not see them."""
    columns, rows = _grid(size, world.eye.device)
    own = trace(world, eye_rays(world, columns, rows, right))
    shift = _shift(world, own.depth)
    there = columns + shift if right else columns - shift
    other = trace(world, eye_rays(world, there, rows, not right))
    hidden = (other.depth < own.depth * (1 - _SAME)) | (there.abs() > 0.5)
    return own.depth, hidden
