"""Points where an object can be: inside its outline in every picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .cameras import Camera, Orbit

_DRAWN = 2**15  # points at a time
_ROUNDS = 60
_DISAGREE = 0.1  # of the views may see background at a point, where else nothing would be left
_FEWEST = 32  # points that make a start
_SPARSE = 4  # Gaussians at one point, beyond which what is small is looked for again around where it is
_AROUND = 0.05  # of the pictures' smaller side, by which outlines are widened to find where that is


def silhouettes(images: Tensor, background: Sequence[float], tolerance: float = 0.03) -> Tensor:
    """Return (..., H, W) bool, true where pictures (..., 3, H, W) in [0, 1] are not their background."""
    color = images.new_tensor(tuple(background))[:, None, None]
    return ((images - color).abs() > tolerance).any(dim=-3)


def seen_half(orbit: Orbit) -> float:
    """Return how far to each side of the origin the smaller side of a picture shows, in the world's unit."""
    camera = orbit.camera(0, 2, 2)
    return orbit.radius / camera.focal


def seen_box(orbit: Orbit, width: int, height: int) -> tuple[float, float, float]:
    """Return how far from the origin pictures of this shape show, along x, y and z, in the world's unit.

    What is as wide as a wide picture goes to the back from its sides, so that z reaches as far as x.
    """
    half, smaller = seen_half(orbit), min(width, height)
    return half * width / smaller, half * height / smaller, half * width / smaller


def hull_points(
    masks: Tensor,
    images: Tensor,
    cameras: Sequence[Camera],
    count: int,
    reach: Sequence[float],
    generator: torch.Generator,
    on_wait: Callable[[int, int], None] = lambda _done, _rounds: None,
) -> tuple[Tensor, Tensor, float]:
    """Draw points in the visual hull (Laurentini, 1994), colored by the mean of what all views show there.

    Args:
        masks: (V, H, W) bool, the object.
        images: (V, 3, H, W) in [0, 1].
        cameras: V of them.
        count: N.
        reach: (x, y, z) points are drawn in a box that reaches so far from the origin along each axis.
        generator: on the CPU.
        on_wait: called before each round of points that is drawn, with how many were and how many there are at most;
            what it raises ends the search.

    Returns:
        (N, 3) points and (N, 3) colors on the pictures' device, and the hull's volume.

    Raises:
        ValueError: no place is inside the outlines of nearly all views.
    """
    sides = torch.tensor(tuple(reach), dtype=torch.float64)  # on the CPU: not every device has it
    found = _inside(masks, cameras, (-sides, sides), count, generator, on_wait)
    if len(found.sure) * _SPARSE < count and (box := _box_around(masks, cameras, sides, generator)) is not None:
        nearer = _inside(masks, cameras, box, count, generator, on_wait)
        found = max(found, nearer, key=lambda drawn: (len(drawn.sure), len(drawn.likely)))
    chosen = found.sure if len(found.sure) >= _FEWEST else found.likely
    if len(chosen) < _FEWEST:
        raise ValueError(
            "The views do not agree with these azimuths: no place lies inside the object's outline in all of them. "
            "Check the azimuths, their order and sense (positive ones move the camera to the right), the elevation, "
            "and that the object stands in the middle of all pictures."
        )
    volume = len(chosen) / found.drawn * found.volume
    short = len(chosen) < count
    if short:
        chosen = chosen[torch.randint(len(chosen), (count,), generator=generator).to(chosen.device)]
    chosen = chosen[:count]
    shown = [_look(image, camera, chosen) for image, camera in zip(images, cameras, strict=True)]
    if short:  # what begins at one point with one color stays together: its gradients are the same
        apart = (volume / count) ** (1 / 3)
        chosen = chosen + apart * (torch.rand(count, 3, generator=generator) - 0.5).to(chosen)
    return chosen, torch.stack(shown).mean(dim=0), volume


class _Drawn(NamedTuple):
    sure: Tensor  # (K, 3) points inside all outlines
    likely: Tensor  # (L, 3) inside nearly all
    drawn: int  # how many were looked at
    volume: float  # of the box that they were drawn in


def _inside(
    masks: Tensor,
    cameras: Sequence[Camera],
    box: tuple[Tensor, Tensor],
    count: int,
    generator: torch.Generator,
    on_wait: Callable[[int, int], None],
) -> _Drawn:
    """Draw points between two corners (3,) of a box, until there are so many, or for so long."""
    low, high = box
    found: list[Tensor] = []
    doubtful: list[Tensor] = []
    drawn = kept = 0
    for done in range(_ROUNDS):
        on_wait(done, _ROUNDS)
        points, missed = _left(masks, cameras, box, generator)
        found.append(points[missed == 0])
        doubtful.append(points)
        drawn, kept = drawn + _DRAWN, kept + len(found[-1])
        if kept >= count:
            break
    return _Drawn(torch.cat(found), torch.cat(doubtful), drawn, float((high - low).prod()))


def _left(
    masks: Tensor, cameras: Sequence[Camera], box: tuple[Tensor, Tensor], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """(K, 3) points of one round that nearly all outlines hold, and (K,) how many do not."""
    low, high = box
    middle, half = (side.float().to(masks.device) for side in ((high + low) / 2, (high - low) / 2))
    points = (torch.rand(_DRAWN, 3, generator=generator) * 2 - 1).to(masks.device) * half + middle
    missed = torch.zeros(_DRAWN, dtype=torch.long, device=masks.device)
    for mask, camera in zip(masks, cameras, strict=True):
        missed += ~_look(mask[None], camera, points)[:, 0]
        left = missed <= _DISAGREE * len(cameras)
        points, missed = points[left], missed[left]
    return points, missed


def _box_around(
    masks: Tensor, cameras: Sequence[Camera], sides: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor] | None:
    """Return a box around what is small, by its outlines when they are wider, or none where there is no such place."""
    margin = max(1, round(_AROUND * min(masks.shape[-2:])))
    wide = functional.max_pool2d(masks[:, None].float(), 2 * margin + 1, 1, margin)[:, 0] > 0
    points, _ = _left(wide, cameras, (-sides, sides), generator)
    if len(points) == 0:
        return None
    beyond = 2 * sides * _AROUND
    first, last = (corner.cpu().double() for corner in (points.amin(dim=0), points.amax(dim=0)))
    return first - beyond, last + beyond


def _look(picture: Tensor, camera: Camera, points: Tensor) -> Tensor:
    """(N, C) values of a picture (C, H, W) at the pixels of points (N, 3); 0 outside."""
    places = camera.project(points).floor().long()
    column, row = places.unbind(-1)
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    values = picture[:, row.clamp(0, camera.height - 1), column.clamp(0, camera.width - 1)].T
    return values * inside[:, None]
