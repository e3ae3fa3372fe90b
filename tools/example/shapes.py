"""Shapes that rays meet. Points and directions are (3, N) float32 arrays; lengths are metres, y points up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from .textures import Material

FAR = np.float32(np.inf)
NEAREST = 1e-4  # a hit before this is the surface that the ray starts on


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def normalize(a: np.ndarray) -> np.ndarray:
    return a / np.sqrt(np.maximum(dot(a, a), np.float32(1e-20)))


def vector(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def turn(yaw: float = 0, pitch: float = 0, roll: float = 0) -> np.ndarray:
    """A rotation (3, 3): by ``roll`` about z, then ``pitch`` about x, then ``yaw`` about y, in degrees."""
    a, b, c = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


def between(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """A matrix (3, 3) whose y axis goes from one point to the other, with axes of length 1 across."""
    along = np.asarray(end, float) - np.asarray(start, float)
    up = along / np.linalg.norm(along)
    side = np.cross(up, [0, 0, 1] if abs(up[2]) < 0.9 else [1, 0, 0])
    side /= np.linalg.norm(side)
    return np.stack([side, along, np.cross(side, up)], 1)


class Form(Protocol):
    """A shape in its own coordinates, around the origin.

    Attributes:
        radius: of a ball around ``centre`` that holds it.
    """

    centre: np.ndarray
    radius: float

    def hit(self, origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Distance (N,) along each ray in units of ``direction``, infinite where it misses."""

    def normal(self, point: np.ndarray) -> np.ndarray:
        """Normals (3, N) of points on the surface, of any length."""


@dataclass
class Ball:
    """The unit ball; a matrix makes an ellipsoid or a leaf of it."""

    centre: np.ndarray = field(default_factory=lambda: vector(0, 0, 0))
    radius: float = 1.0

    def hit(self, origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
        a, b, c = dot(direction, direction), dot(origin, direction), dot(origin, origin) - 1
        root = np.sqrt(np.maximum(b * b - a * c, 0))
        first, second = (-b - root) / a, (-b + root) / a
        t = np.where(first > NEAREST, first, second)
        return np.where((b * b > a * c) & (t > NEAREST), t, FAR)

    def normal(self, point: np.ndarray) -> np.ndarray:
        return point


@dataclass
class Box:
    """The cube from -1 to 1."""

    centre: np.ndarray = field(default_factory=lambda: vector(0, 0, 0))
    radius: float = 3**0.5

    def hit(self, origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
        inverse = 1 / np.where(np.abs(direction) < 1e-9, np.float32(1e-9), direction)
        one, other = (-1 - origin) * inverse, (1 - origin) * inverse
        enter, leave = np.minimum(one, other).max(0), np.maximum(one, other).min(0)
        t = np.where(enter > NEAREST, enter, leave)
        return np.where((enter <= leave) & (t > NEAREST), t, FAR)

    def normal(self, point: np.ndarray) -> np.ndarray:
        size = np.abs(point)
        return np.where(size >= size.max(0) - 1e-6, np.sign(point), 0).astype(np.float32)


@dataclass
class Tube:
    """A cylinder or cone about y from 0 to 1, closed by discs."""

    bottom: float
    top: float

    def __post_init__(self) -> None:
        self.centre = vector(0, 0.5, 0)
        self.radius = (0.25 + max(self.bottom, self.top) ** 2) ** 0.5

    def hit(self, origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
        slope = np.float32(self.top - self.bottom)
        (x, y, z), (u, v, w) = origin, direction
        across = self.bottom + slope * y
        a = u * u + w * w - (slope * v) ** 2
        b = x * u + z * w - slope * v * across
        c = x * x + z * z - across * across
        a = np.where(np.abs(a) < 1e-12, np.float32(1e-12), a)
        inside = b * b - a * c
        root = np.sqrt(np.maximum(inside, 0))
        best = np.full(x.shape, FAR)
        for t in ((-b - root) / a, (-b + root) / a):
            height = y + t * v
            good = (inside > 0) & (t > NEAREST) & (height >= 0) & (height <= 1) & (t < best)
            best = np.where(good, t, best)
        v = np.where(np.abs(v) < 1e-9, np.float32(1e-9), v)
        for height, radius in ((0, self.bottom), (1, self.top)):
            t = (height - y) / v
            good = (t > NEAREST) & (t < best) & ((x + t * u) ** 2 + (z + t * w) ** 2 <= radius**2)
            best = np.where(good, t, best)
        return best

    def normal(self, point: np.ndarray) -> np.ndarray:
        x, y, z = point
        across = np.sqrt(x * x + z * z)
        side = np.stack([x, across * (self.bottom - self.top), z])
        on_disc = ((y < 1e-3) & (across < self.bottom * 0.995)) | ((y > 1 - 1e-3) & (across < self.top * 0.995))
        disc = np.stack([0 * x, np.where(y > 0.5, np.float32(1), np.float32(-1)), 0 * z])
        return np.where(on_disc, disc, side)


class Traced(ABC):
    """A shape known by its distance function, met by sphere tracing (Hart, 1996)."""

    centre: np.ndarray
    radius: float
    STEPS = 72

    @abstractmethod
    def distance(self, point: np.ndarray) -> np.ndarray:
        """Distance (N,) of points (3, N) to the surface, negative inside."""

    def hit(self, origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
        middle = dot(self.centre[:, None] - origin, direction)
        offset = origin + direction * middle - self.centre[:, None]
        reach = np.sqrt(np.maximum(self.radius**2 - dot(offset, offset), 0))
        t, end = np.maximum(middle - reach, 1e-3), middle + reach
        result = np.full(t.shape, FAR)
        alive = np.arange(t.size)
        for _ in range(self.STEPS):
            away = np.abs(self.distance(origin[:, alive] + direction[:, alive] * t[alive]))
            here = away < 2e-4
            result[alive[here]] = t[alive[here]]
            t[alive] += away
            alive = alive[~here & (t[alive] < end[alive])]
            if not alive.size:
                break
        return result

    def normal(self, point: np.ndarray) -> np.ndarray:
        step = np.float32(4e-4)
        corners = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], np.float32)
        return sum(corner[:, None] * self.distance(point + corner[:, None] * step) for corner in corners)


class Lathe(Traced):
    """A wall of round edges turned about y: its middle line is a polyline of (radius, height)."""

    def __init__(self, line: list[tuple[float, float]], thickness: float) -> None:
        self.line, self.half = np.array(line, np.float32), np.float32(thickness / 2)
        low, high = self.line[:, 1].min(), self.line[:, 1].max()
        self.centre = vector(0, (low + high) / 2, 0)
        self.radius = float(np.hypot(self.line[:, 0].max(), (high - low) / 2) + thickness)

    def distance(self, point: np.ndarray) -> np.ndarray:
        across, height = np.sqrt(point[0] ** 2 + point[2] ** 2), point[1]
        best = np.full(across.shape, FAR)
        for (r, y), (u, v) in zip(self.line[:-1], self.line[1:] - self.line[:-1], strict=True):
            share = np.clip(((across - r) * u + (height - y) * v) / (u * u + v * v), 0, 1)
            best = np.minimum(best, (across - r - share * u) ** 2 + (height - y - share * v) ** 2)
        return np.sqrt(best) - self.half


class Ring(Traced):
    """A torus about z."""

    def __init__(self, ring: float, thickness: float) -> None:
        self.ring, self.half = np.float32(ring), np.float32(thickness / 2)
        self.centre, self.radius = vector(0, 0, 0), ring + thickness

    def distance(self, point: np.ndarray) -> np.ndarray:
        x, y, z = point
        return np.sqrt((np.sqrt(x * x + y * y) - self.ring) ** 2 + z * z) - self.half


@dataclass
class Opening:
    """A wall in the plane z = 0 without the rectangle of a window."""

    window: tuple[float, float, float, float]  # left, right, bottom, top
    radius: float = 10.0
    centre: np.ndarray = field(default_factory=lambda: vector(0, 0, 0))

    def hit(self, origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
        t = -origin[2] / np.where(np.abs(direction[2]) < 1e-9, np.float32(1e-9), direction[2])
        x, y = (origin[axis] + t * direction[axis] for axis in (0, 1))
        left, right, bottom, top = self.window
        open_here = (x > left) & (x < right) & (y > bottom) & (y < top)
        return np.where((t > NEAREST) & ~open_here, t, FAR)

    def normal(self, point: np.ndarray) -> np.ndarray:
        return np.stack([0 * point[0], 0 * point[0], -np.ones_like(point[0])])


class Thing:
    """A form placed in the world, of a material.

    Args:
        form: in its own coordinates.
        material: of its surface.
        at: where the origin lies.
        matrix: (3, 3), its axes in the world; for ``Traced`` forms a rotation.
    """

    def __init__(self, form: Form, material: Material, at: tuple[float, ...], matrix: np.ndarray | None = None) -> None:
        matrix = np.eye(3) if matrix is None else np.asarray(matrix, float)
        self.form, self.material = form, material
        self.at = vector(*at)
        self.inverse = np.linalg.inv(matrix).astype(np.float32)
        self.centre = (matrix @ form.centre).astype(np.float32) + self.at
        self.radius = float(form.radius * np.linalg.norm(matrix, 2))

    def local(self, point: np.ndarray) -> np.ndarray:
        return self.inverse @ (point - self.at[:, None])

    def hit(self, origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
        return self.form.hit(self.local(origin), self.inverse @ direction)

    def normal(self, local: np.ndarray) -> np.ndarray:
        """Unit normals (3, N) in the world, of points in the form's coordinates."""
        return normalize(self.inverse.T @ self.form.normal(local))
