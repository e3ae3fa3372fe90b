"""Surfaces that are computed, not photographed: each maps points to linear RGB, (3, N) in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Of points in the thing's coordinates, points in the world, and normals in the thing's coordinates, all (3, N).
Texture = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    Attributes:
        texture: its colour.
        mean: its colour as others see it in their shade.
        gloss: how much of a clear coat lies on it, 0 to 1.
        glow: light that it gives, linear RGB.
    """

    texture: Texture
    mean: tuple[float, float, float]
    gloss: float = 0.0
    glow: tuple[float, float, float] = (0.0, 0.0, 0.0)


def rgb(code: str) -> np.ndarray:
    """``#rrggbb`` as linear (3, 1)."""
    values = np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)], np.float32) / 255
    return (values**2.2)[:, None]


def plain(code: str, gloss: float = 0.0, grain: float = 0.06) -> Material:
    """One colour, a little uneven."""
    colour = rgb(code)

    def texture(local: np.ndarray, world: np.ndarray, normal: np.ndarray) -> np.ndarray:  # noqa: ARG001
        return colour * (1 + grain * (2 * clouds(world * 45, 2) - 1))

    return Material(texture, tuple(colour[:, 0]), gloss)


def made(texture: Texture, mean: str, gloss: float = 0.0) -> Material:
    return Material(texture, tuple(rgb(mean)[:, 0]), gloss)


def mix(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    return a + (b - a) * share


def step(edge: float, x: np.ndarray, soft: float) -> np.ndarray:
    """0 below ``edge``, 1 above it, smooth over ``soft`` to either side."""
    s = np.clip((x - edge) / (2 * soft) + 0.5, 0, 1)
    return s * s * (3 - 2 * s)


def band(low: float, high: float, x: np.ndarray, soft: float) -> np.ndarray:
    """1 from ``low`` to ``high``."""
    return step(low, x, soft) * (1 - step(high, x, soft))


def scatter(*cells: np.ndarray) -> np.ndarray:
    """A value in [0, 1) for each cell of whole numbers, without a pattern."""
    mixed = np.zeros(cells[0].shape, np.uint32)
    for cell, prime in zip(cells, (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D), strict=False):
        mixed ^= cell.astype(np.int64).astype(np.uint32) * np.uint32(prime)
        mixed ^= mixed >> np.uint32(15)
        mixed *= np.uint32(0x2C1B3C6D)
        mixed ^= mixed >> np.uint32(12)
    return (mixed >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)


def noise(point: np.ndarray) -> np.ndarray:
    """Value noise in [0, 1] (N,) of points (3, N), one value for each whole number."""
    cell = np.floor(point)
    part = point - cell
    part = part * part * (3 - 2 * part)
    result = np.zeros(point.shape[1], np.float32)
    for x in (0, 1):
        for y in (0, 1):
            for z in (0, 1):
                share = np.ones_like(result)
                for axis, side in enumerate((x, y, z)):
                    share = share * (part[axis] if side else 1 - part[axis])
                result += share * scatter(cell[0] + x, cell[1] + y, cell[2] + z)
    return result


def clouds(point: np.ndarray, octaves: int = 4) -> np.ndarray:
    """Noise of several scales, in [0, 1]."""
    total, weight = np.zeros(point.shape[1], np.float32), 0.0
    for octave in range(octaves):
        total += noise(point * 2**octave + 17 * octave) * 0.5**octave
        weight += 0.5**octave
    return total / np.float32(weight)


def planks(light: str, dark: str, width: float, axis: int = 2) -> Texture:
    """Boards along an axis of the world, with grain and gaps."""
    pale, deep = rgb(light), rgb(dark)

    def texture(local: np.ndarray, world: np.ndarray, normal: np.ndarray) -> np.ndarray:  # noqa: ARG001
        across, along = world[2 - axis] / width, world[axis]
        board = np.floor(across)
        own = scatter(board, 0 * board)
        point = np.stack([across * width * 14 + 31 * own, 0 * across, along * 1.1 + 9 * own]).astype(np.float32)
        bend = clouds(point, 3)
        rings = 0.5 + 0.5 * np.sin(2 * np.pi * (bend * 9 + across * 1.5))
        fibre = noise(np.stack([across * width * 420, 0 * across, along * 14 + 50 * own]).astype(np.float32))
        colour = mix(pale, deep, 0.35 * rings + 0.3 * fibre + 0.35 * own)
        gap = np.abs(across - np.round(across)) * width
        return colour * (0.25 + 0.75 * step(0.0016, gap, 0.0012))

    return texture


def tiles(size: float) -> Texture:
    """Blue and white tiles on a wall, a flower in each, grout between."""
    white, blue, pale, grout = rgb("#eceade"), rgb("#23508c"), rgb("#7fa6cf"), rgb("#b9b2a2")

    def texture(local: np.ndarray, world: np.ndarray, normal: np.ndarray) -> np.ndarray:  # noqa: ARG001
        x, y = world[0] / size, world[1] / size
        u, v = x - np.floor(x) - 0.5, y - np.floor(y) - 0.5
        radius, angle = np.hypot(u, v), np.arctan2(v, u)
        soft = 0.012
        petal = 0.17 + 0.12 * np.cos(4 * angle)
        flower = band(0.06, 1, radius, soft) * (1 - step(0, radius - petal, soft))
        leaf = 1 - step(0, radius - 0.13 - 0.09 * np.cos(4 * angle + np.pi), soft)
        corner = np.hypot(0.5 - np.abs(u), 0.5 - np.abs(v))
        arcs = band(0.24, 0.3, corner, soft) + band(0, 0.12, corner, soft)
        colour = mix(white * np.ones_like(x), pale, leaf)
        colour = mix(colour, blue, np.clip(flower + arcs + band(0, 0.035, radius, soft), 0, 1))
        colour = colour * (0.93 + 0.14 * scatter(np.floor(x), np.floor(y)))
        edge = 0.5 - np.maximum(np.abs(u), np.abs(v))
        return mix(grout, colour, step(0.018, edge, 0.008))

    return texture


def checked(size: float, ground: str, stripe: str) -> Texture:
    """Woven cloth of a check: two stripes crossing are darker, and the threads show."""
    white, colour = rgb(ground), rgb(stripe)

    def texture(local: np.ndarray, world: np.ndarray, normal: np.ndarray) -> np.ndarray:  # noqa: ARG001
        x, z = local[0] / size, local[2] / size
        one, two = (band(0.0, 0.5, a - np.floor(a), 0.02) for a in (x, z))
        fine = np.maximum(band(0.72, 0.78, x - np.floor(x), 0.01), band(0.72, 0.78, z - np.floor(z), 0.01))
        share = np.clip(0.45 * one + 0.45 * two + 0.5 * fine, 0, 0.95)
        thread = 0.86 + 0.14 * np.sin(local[0] * 2200) * np.sin(local[2] * 2200)
        wear = 0.9 + 0.2 * clouds(world * 30, 3)
        return mix(white, colour, share) * thread * wear

    return texture
