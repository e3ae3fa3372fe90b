"""What stands in a scene: drawn from its seed, the same on every machine, then stacked over the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from .palettes import PALETTES, Palette, rgb

# The order of a scene's parts: the planes, then the things, then the sky.
GROUND, BACK, LEFT_WALL, RIGHT_WALL = range(4)
ELLIPSOIDS, BOXES, DISCS = range(4, 8), range(8, 11), range(11, 13)
THINGS = range(ELLIPSOIDS.start, DISCS.stop)
SKY = DISCS.stop
PARTS = SKY + 1
TEXTURES = 7

_NUMBERS = 512  # drawn for each scene, more than are used: a new use does not change older ones
_WAVES = 4
_FAR_AWAY = 1e4


@dataclass(frozen=True, slots=True)
class World:
    """B scenes. Lengths are in camera heights; x to the right, y down, z ahead; the left eye is at ``eye``.

    Attributes:
        label: (B,) int64, the index in ``PALETTES``.
        eye: (B, 3). pitch: (B,) how far the cameras look down, radians. focal: (B,) in widths of the picture.
        baseline: (B,) from the left eye to the right one.
        center, half: (B, PARTS, 3) of each part. yaw: (B, PARTS) radians about y. diamond: (B, PARTS) 0 or 1.
        colors: (B, PARTS, 2, 3) in [0, 1]. texture: (B, PARTS) int64. scale, turn: (B, PARTS) of the texture.
        waves: (B, 2, 4) heights and phases of the outline of the hills. sharp: (B,) 1 where they are houses.
        light: (B, 3) towards the lamp, of length 1. lamp: (B, 3) its colour. shade: (B,). fog: (B,) per length.
        speed: (B, PARTS, 3) lengths per frame. spin: (B, PARTS) radians per frame. drift: (B, 3) of the eye.
    """

    label: Tensor
    eye: Tensor
    pitch: Tensor
    focal: Tensor
    baseline: Tensor
    center: Tensor
    half: Tensor
    yaw: Tensor
    diamond: Tensor
    colors: Tensor
    texture: Tensor
    scale: Tensor
    turn: Tensor
    waves: Tensor
    sharp: Tensor
    light: Tensor
    lamp: Tensor
    shade: Tensor
    fog: Tensor
    speed: Tensor
    spin: Tensor
    drift: Tensor

    def take(self, index: slice) -> World:
        return World(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    def to(self, device: torch.device | str) -> World:
        return World(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def moved(world: World, frame: float, moving_camera: bool = False) -> World:
    """The world ``frame`` frames later: things move, the camera only on request."""
    eye = world.eye + frame * world.drift if moving_camera else world.eye
    return replace(world, center=world.center + frame * world.speed, yaw=world.yaw + frame * world.spin, eye=eye)


def make_worlds(seeds: Sequence[int]) -> World:
    """Draw the scenes of ``seeds``, on the CPU."""
    drawn = _Numbers(np.stack([np.random.default_rng(seed).random(_NUMBERS) for seed in seeds]))
    batch = len(seeds)
    label = (drawn.one() * len(PALETTES)).astype(np.int64)
    indoors = ~np.array([palette.outdoors for palette in PALETTES])[label]

    z_back = np.where(indoors, drawn.between(5.5, 10), drawn.between(10, 18))
    wall = np.where(indoors, drawn.between(2.4, 4.5), _FAR_AWAY)
    center, half = np.zeros((batch, PARTS, 3)), np.ones((batch, PARTS, 3))
    yaw = np.zeros((batch, PARTS))
    center[:, GROUND, 1] = 1
    center[:, BACK, 2] = z_back
    center[:, LEFT_WALL, 0], center[:, RIGHT_WALL, 0] = -wall, wall

    # Things stand in rows of depth, each somewhere in the cone that the camera sees. Those left out are far away.
    order = np.argsort(drawn.many(len(THINGS)), axis=1)
    depth = 1.9 + (order + drawn.many(len(THINGS))) / len(THINGS) * (np.minimum(z_back, 9.5) - 2.6)[:, None]
    side = (drawn.many(len(THINGS)) * 2 - 1) * 0.42 * depth
    size = (0.20 + 0.28 * drawn.many(len(THINGS))) * (0.55 + 0.16 * depth)
    tall = 0.7 + 0.9 * drawn.many(len(THINGS))
    thin = 0.6 + 0.5 * drawn.many(len(THINGS))
    lifted = np.where(drawn.many(len(THINGS)) < 0.22, drawn.many(len(THINGS)), 0)
    present = drawn.many(len(THINGS)) < 0.62
    present[:, 0] = True
    things = slice(THINGS.start, THINGS.stop)
    half[:, things] = np.stack([size * thin, size * tall, size * thin[:, ::-1]], axis=-1)
    round_ones = slice(ELLIPSOIDS.start, ELLIPSOIDS.start + 2)  # half of the ellipsoids are balls
    half[:, round_ones] = half[:, round_ones, :1]
    half[:, DISCS.start : DISCS.stop, 2] = 1e-3
    center[:, things] = np.stack([side, 1 - half[:, things, 1] - lifted, np.where(present, depth, -50)], axis=-1)
    yaw[:, things] = (drawn.many(len(THINGS)) - 0.5) * 1.6

    colors = _colors(drawn, label)
    texture = (drawn.many(PARTS) * TEXTURES).astype(np.int64)
    azimuth, height = drawn.between(-2.2, 2.2), drawn.between(0.5, 1.1)
    light = np.stack([np.sin(azimuth) * np.cos(height), -np.sin(height), -np.cos(azimuth) * np.cos(height)], axis=-1)

    focal, pitch = drawn.between(0.95, 1.25), drawn.between(0.0, 0.28)
    # Of the things in front, and of the ground at the lower edge of the picture.
    nearest = np.where(present, depth - half[:, things].max(axis=-1), np.inf).min(axis=1)
    nearest = np.minimum(nearest, 1 / (0.5 / focal * np.cos(pitch) + np.sin(pitch)))
    speed, spin = np.zeros((batch, PARTS, 3)), np.zeros((batch, PARTS))
    moves = drawn.many(len(THINGS)) < 0.5
    speed[:, things, 0] = moves * (drawn.many(len(THINGS)) - 0.5) * 0.16
    speed[:, things, 2] = moves * (drawn.many(len(THINGS)) - 0.5) * 0.10
    spin[:, things] = moves * (drawn.many(len(THINGS)) - 0.5) * 0.12
    parts = World(
        label=label,
        eye=np.zeros((batch, 3)),
        pitch=pitch,
        focal=focal,
        # The nearest point's disparity is 8 to 16 percent of the width.
        baseline=drawn.between(0.08, 0.16) * nearest / focal,
        center=center,
        half=half,
        yaw=yaw,
        diamond=(drawn.many(PARTS) < 0.35).astype(float),
        colors=colors,
        texture=texture,
        scale=_texture_scales(drawn, half),
        turn=drawn.many(PARTS) * np.pi,
        waves=np.stack([drawn.many(_WAVES) * [1.0, 0.6, 0.3, 0.2], drawn.many(_WAVES) * 2 * np.pi], axis=1),
        sharp=(drawn.one() < 0.4).astype(float),
        light=light,
        lamp=rgb([PALETTES[i].light for i in label]),
        shade=np.array([PALETTES[i].shade for i in label]),
        fog=np.where(indoors, 0.0, drawn.between(0.005, 0.04)),
        speed=speed,
        spin=spin,
        drift=(np.stack([drawn.one(), drawn.one() * 0.2, drawn.one()], axis=-1) - [0.5, 0.1, 0.5]) * 0.08,
    )  # fmt: skip
    return World(**{field.name: _tensor(getattr(parts, field.name)) for field in fields(parts)})


def _colors(drawn: _Numbers, label: np.ndarray) -> np.ndarray:
    """(B, PARTS, 2, 3): two colours of each part from the palette, each a little off."""
    table = np.stack([rgb(_pairs(palette)) for palette in PALETTES])[label]
    things = table[:, THINGS.start : THINGS.stop].copy()
    shuffled = np.argsort(drawn.many(len(THINGS)), axis=1)
    table[:, THINGS.start : THINGS.stop] = np.take_along_axis(things, shuffled[..., None, None], axis=1)
    # Some things have two shades of one colour, others two colours.
    plain = drawn.many(len(THINGS))[..., None] < 0.5
    pair = table[:, THINGS.start : THINGS.stop]
    pair[:, :, 1] = np.where(plain, pair[:, :, 0] * 0.62, pair[:, :, 1])
    jitter = (drawn.many(PARTS * 3).reshape(len(label), PARTS, 1, 3) - 0.5) * 0.10
    return np.clip(table + jitter, 0, 1)


def _pairs(palette: Palette) -> list[tuple[int, int]]:
    """Two colours for each part, before they are shuffled."""
    things = [(palette.things[i % 5], palette.things[(i + 2) % 5]) for i in range(len(THINGS))]
    return [palette.ground, palette.far, palette.far, palette.far, *things, palette.sky]


def _texture_scales(drawn: _Numbers, half: np.ndarray) -> np.ndarray:
    """Periods per length: about two to six across a thing, about one to two per camera height on a plane."""
    scale = (1.0 + 2.0 * drawn.many(PARTS)) / half.max(axis=-1)
    scale[:, : ELLIPSOIDS.start] = 0.5 + 1.0 * drawn.many(ELLIPSOIDS.start)
    return scale


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values if values.dtype == np.int64 else values.astype(np.float32))


class _Numbers:
    """Hands out the columns of (B, N) uniform numbers, each once."""

    def __init__(self, numbers: np.ndarray) -> None:
        self._numbers, self._next = numbers, 0

    def many(self, count: int) -> np.ndarray:
        start, self._next = self._next, self._next + count
        if self._next > self._numbers.shape[1]:
            raise RuntimeError(f"a scene draws {self._next} numbers of {self._numbers.shape[1]}")
        return self._numbers[:, start : self._next]

    def one(self) -> np.ndarray:
        return self.many(1)[:, 0]

    def between(self, low: float, high: float) -> np.ndarray:
        return low + (high - low) * self.one()
