"""How far a scene turns as a whole, found before its parts learn to move.

A fit follows what grows from where it is. Where a pattern passes by more than half its period from frame to frame, that
leads the wrong way; looking at the whole from all around does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from .image_matrix import Cell
from .splat_matrix import TargetMatrix
from .splatting import Gaussians, rasterize

_SIDE = 64  # pixels of the pictures that are compared
_VIEWS = 4  # of a frame, about
_REACH, _STEP = 48, 6  # degrees that are tried to each side of going on as before
_KEPT, _DIGITS = 512, 4  # pictures that are drawn, and decimals of their azimuths in which these are the same
_GAIN = 4.0  # dB that the frames must come nearer: less than that is the turn of a part


def turned(gaussians: Gaussians, degrees: float) -> Gaussians:
    """Return Gaussians turned about the vertical through the origin; the front goes to the right."""
    half = math.radians(degrees) / 2
    c, s = math.cos(half), math.sin(half)
    w, x, y, z = gaussians.rotations.unbind(-1)
    rotations = torch.stack([c * w - s * y, c * x + s * z, c * y + s * w, c * z - s * x], dim=-1)
    cosine, sine = math.cos(2 * half), math.sin(2 * half)
    turn = gaussians.positions.new_tensor([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    return gaussians._replace(positions=gaussians.positions @ turn.T, rotations=rotations)


@torch.no_grad()
def whole_turn(
    gaussians: Gaussians,
    target: TargetMatrix,
    known: Sequence[Cell],
    on_wait: Callable[[int, int], None] = lambda _done, _steps: None,
) -> list[float]:
    """Return for each frame the degrees by which the reference frame's Gaussians look most like it.

    Args:
        gaussians: of the reference frame.
        target: the pictures.
        known: cells that may be looked at.
        on_wait: called before each angle that is tried, with how many were and how many there are in all; what it
            raises ends the search.

    Returns:
        F angles, of which that of the reference frame is 0, and all are where turning the whole does not explain most
        of what changes.
    """
    start, gain = target.reference[1], 0.0
    angles = [0.0] * target.frames
    seen = _Seen(gaussians, target)
    offsets = range(-_REACH, _REACH + 1, _STEP)
    done, steps = 0, (target.frames - 1) * len(offsets)
    for way in (range(start + 1, target.frames), range(start - 1, -1, -1)):
        angle = step = 0.0
        for frame in way:
            cells = [cell for cell in known if cell[1] == frame]
            pictures = {cell: seen.given(cell) for cell in cells[:: max(1, len(cells) // _VIEWS)]}
            tried = {}
            for more in offsets:
                on_wait(done, steps)
                tried[angle + step + more] = seen.error(pictures, angle + step + more)
                done += 1
            found = min(tried, key=lambda degrees: tried[degrees])
            gain += 10 * math.log10(seen.error(pictures, 0.0) / tried[found])
            step, angle = found - angle, found
            angles[frame] = found
    return angles if gain > _GAIN * (target.frames - 1) else [0.0] * target.frames


class _Seen:
    """Gaussians from all around. As all frames are compared with the same ones, few directions need be drawn."""

    def __init__(self, gaussians: Gaussians, target: TargetMatrix) -> None:
        self._gaussians, self._target = gaussians, target
        height, width = target.images.shape[-2:]
        share = min(1.0, _SIDE / min(height, width))
        self._sides = round(share * height), round(share * width)
        self._from = lru_cache(maxsize=_KEPT)(self._draw)

    def given(self, cell: Cell) -> Tensor:
        """Return a cell's picture, (3, h, w)."""
        picture = self._target.image(cell)[None].to(self._gaussians.positions)
        return functional.interpolate(picture, self._sides, mode="area")[0]

    def error(self, pictures: Mapping[Cell, Tensor], degrees: float) -> float:
        """Return the squared error, when the cameras have gone around the other way, which looks the same."""
        azimuths = self._target.orbit.azimuths
        return 1e-9 + sum(
            float((self._from(round((azimuths[view] - degrees) % 360, _DIGITS)) - picture).square().mean())
            for (view, _), picture in pictures.items()
        )

    def _draw(self, azimuth: float) -> Tensor:
        height, width = self._sides
        camera = self._target.orbit.camera(azimuth, width, height)
        return rasterize(self._gaussians, camera, self._target.background).color
