"""Ray-traced moving balls: the truth for every camera and every time, by which fitted Gaussians are judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from stereo_core.cameras import Camera, Orbit

Vector = tuple[float, float, float]
_FINE = 2  # rays along each side of a pixel
_SOFT = 0.15  # how softly a stripe ends, of its width


class Ball(NamedTuple):
    """A ball with two colors in stripes that are fixed to it.

    Attributes:
        radius: in the world's unit.
        place: of its middle, by the time from 0 to 1.
        colors: of the stripes.
        stripes: how many from pole to pole, and along which of its axes.
        turn: about the vertical, in degrees, by the time.
        stretch: of the radius along the world's axes, by the time.
    """

    radius: float
    place: Callable[[float], Vector]
    colors: tuple[Vector, Vector]
    stripes: tuple[float, Vector]
    turn: Callable[[float], float] = lambda _: 0.0
    stretch: Callable[[float], Vector] = lambda _: (1.0, 1.0, 1.0)


class Seen(NamedTuple):
    """What a camera sees: color (3, H, W) on white, and the depth (1, H, W) of the pixels' middles, infinite behind."""

    color: Tensor
    depth: Tensor


RED = ((0.85, 0.15, 0.1), (0.95, 0.8, 0.3))
BLUE = ((0.1, 0.25, 0.7), (0.5, 0.8, 0.6))


def _still(place: Vector) -> Callable[[float], Vector]:
    return lambda _: place


def _half_orbit(t: float) -> Vector:
    return 0.33 * math.cos(math.pi * t), 0.1, 0.33 * math.sin(math.pi * t)


def _bouncing(t: float) -> Vector:
    """Falls, and rises from the middle of the time on, where the velocity jumps."""
    return 0.3 - 0.2 * t, 0.2 - 0.3 * (2 * min(t, 1 - t)) ** 2, 0.1


def _turned(radius: float, start: float, degrees: float, height: float) -> Callable[[float], Vector]:
    def place(t: float) -> Vector:
        angle = math.radians(start + degrees * t)
        return radius * math.sin(angle), height, radius * math.cos(angle)

    return place


def _squashed(t: float) -> Vector:
    """Twice flat and wide again, of about the same volume, faster than it rises."""
    height = 1 - 0.4 * abs(math.sin(2 * math.pi * t)) ** 0.7
    return height**-0.5, height, height**-0.5


def _darting(t: float) -> Vector:
    """Rests, crosses within a third of the time, and rests again."""
    share = min(max(3 * t - 1, 0.0), 1.0)
    return 0.28, 0.12 * share, -0.3 + 0.6 * share


def _limb() -> Iterator[Ball]:
    """Five balls in a row that touch; the last three swing about the second one, faster and faster."""
    for place in (-0.36, -0.2):
        yield Ball(0.11, _still((place, 0.0, 0.0)), RED, (3, (0.3, 1.0, 0.0)))
    for reach in (0.16, 0.32, 0.46):
        yield Ball(0.1, _bent(reach), BLUE, (3, (1.0, 0.6, 0.0)), lambda t: 110 * t**2)


def _bent(reach: float) -> Callable[[float], Vector]:
    def place(t: float) -> Vector:
        angle = math.radians(110 * t**2)
        return -0.2 + reach * math.cos(angle), 0.0, -reach * math.sin(angle)

    return place


SCENES: dict[str, Sequence[Ball]] = {
    "sway and orbit": (
        Ball(0.22, lambda t: (-0.1 + 0.12 * math.sin(2 * math.pi * t), -0.15, 0.0), RED, (4, (0.0, 1.0, 0.3))),
        Ball(0.16, _half_orbit, BLUE, (3, (1.0, 0.2, 0.0))),
    ),
    "bounce": (
        Ball(0.22, _still((-0.15, -0.2, -0.1)), RED, (4, (0.0, 1.0, 0.3))),
        Ball(0.16, _bouncing, BLUE, (3, (1.0, 0.2, 0.0))),
    ),
    "turn": (  # as one body about the vertical
        Ball(0.24, _still((0.0, -0.12, 0.0)), RED, (4, (1.0, 0.3, 0.0)), lambda t: 100 * t),
        Ball(0.14, _turned(0.34, 30, 100, 0.0), BLUE, (3, (1.0, 0.2, 0.0)), lambda t: 100 * t),
    ),
    "leave behind": (
        Ball(0.24, _still((0.0, 0.0, 0.1)), RED, (4, (0.0, 1.0, 0.3))),
        Ball(0.15, lambda t: (-0.36 + 0.5 * t, 0.05, 0.25 - 0.65 * t), BLUE, (3, (1.0, 0.2, 0.0))),
    ),
}

# Nothing of the fit was chosen on these: by them its forms, and shares of its warm-up, are compared.
UNTUNED: dict[str, Sequence[Ball]] = {
    "crossing": (
        Ball(0.17, lambda t: (-0.32 + 0.64 * t, -0.05, 0.18), RED, (4, (0.0, 1.0, 0.3))),
        Ball(0.15, lambda t: (0.32 - 0.64 * t**2, 0.05, -0.2), BLUE, (3, (1.0, 0.2, 0.0))),
    ),
    "squash and grow": (
        Ball(0.22, _still((-0.18, -0.15, 0.0)), RED, (4, (0.0, 1.0, 0.3)), stretch=_squashed),
        Ball(0.12, _still((0.25, 0.1, 0.1)), BLUE, (3, (1.0, 0.2, 0.0)), stretch=lambda t: (1 + 0.8 * t,) * 3),
    ),
    "fast beside still": (
        Ball(0.24, _still((-0.12, -0.1, 0.05)), RED, (4, (0.0, 1.0, 0.3))),
        Ball(0.12, _darting, BLUE, (3, (1.0, 0.2, 0.0))),
    ),
    "bending limb": tuple(_limb()),
}


def trace(balls: Sequence[Ball], camera: Camera, time: float) -> Seen:
    """Follow rays to the nearest ball: the smaller root of |(eye + s d - place) / stretch|^2 = radius^2."""
    middle, width, height = 0.5, camera.width, camera.height
    depth, _ = _meet(balls, camera, _grid(camera, middle, middle), time)
    color = torch.zeros(height, width, 3)
    for row in range(_FINE):
        for column in range(_FINE):
            pixels = _grid(camera, (column + 0.5) / _FINE, (row + 0.5) / _FINE)
            color += _meet(balls, camera, pixels, time)[1] / _FINE**2
    return Seen(color.movedim(-1, 0), depth[None])


def trace_matrix(balls: Sequence[Ball], orbit: Orbit, times: Sequence[float], size: int) -> Tensor:
    """Return the (V, F, 3, size, size) pictures of an orbit's cameras at all times."""
    return torch.stack(
        [
            torch.stack([trace(balls, orbit.camera(azimuth, size, size), time).color for time in times])
            for azimuth in orbit.azimuths
        ]
    )


def _grid(camera: Camera, column: float, row: float) -> Tensor:
    rows, columns = torch.meshgrid(
        torch.arange(camera.height) + row, torch.arange(camera.width) + column, indexing="ij"
    )
    return torch.stack([columns, rows], dim=-1)


def _meet(balls: Sequence[Ball], camera: Camera, pixels: Tensor, time: float) -> tuple[Tensor, Tensor]:
    """(H, W) depths and (H, W, 3) colors."""
    ahead = (pixels - torch.tensor(camera.center)) / camera.focal
    ahead = torch.cat([ahead, torch.ones_like(ahead[..., :1])], dim=-1)  # of depth 1, so that s below is the depth
    direction = ahead @ camera.rotation
    nearest = torch.full(pixels.shape[:2], torch.inf)
    color = torch.ones(*pixels.shape[:2], 3)
    for ball in balls:
        sides = ball.radius * torch.tensor(ball.stretch(time))
        offset, along = (camera.position - torch.tensor(ball.place(time))) / sides, direction / sides
        a, b = along.square().sum(-1), (along * offset).sum(-1)
        root = b * b - a * (offset.square().sum() - 1)
        depth = (-b - root.clamp(min=0).sqrt()) / a
        met = (root > 0) & (depth > 0) & (depth < nearest)
        normal = offset + depth[..., None] * along
        color = torch.where(met[..., None], _paint(ball, normal, time), color)
        nearest = torch.where(met, depth, nearest)
    return nearest, color


def _paint(ball: Ball, normal: Tensor, time: float) -> Tensor:
    angle = math.radians(ball.turn(time))
    cosine, sine = math.cos(angle), math.sin(angle)
    back = torch.tensor([[cosine, 0.0, -sine], [0.0, 1.0, 0.0], [sine, 0.0, cosine]])
    count, axis = ball.stripes
    along = (normal @ back.T) @ functional.normalize(torch.tensor(axis), dim=0)
    wave = (math.pi * count * along).sin()
    share = (wave / (2 * _SOFT)).clamp(-0.5, 0.5)[..., None] + 0.5
    first, second = (torch.tensor(color) for color in ball.colors)
    return first * share + second * (1 - share)
