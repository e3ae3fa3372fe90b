"""Rays through a scene: what they meet, and the light that comes back along them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .shapes import FAR, Thing, dot, normalize, vector

Groups = list[list[Thing]]  # things that lie close together


@dataclass(frozen=True)
class Lamp:
    """A ball of light.

    Attributes:
        at: its centre.
        radius: the larger, the softer the shadows.
        power: linear RGB at a distance of one metre.
    """

    at: np.ndarray
    radius: float
    power: np.ndarray


@dataclass(frozen=True)
class Scene:
    """What is there to see.

    Attributes:
        groups: the things, those that lie close together in one group.
        lamps: what casts shadows.
        sky: linear RGB (3, N) behind everything, by direction (3, N): the view out of the window.
        room: the same for light that comes from the room behind the camera.
        mirrored: the same for what shiny surfaces mirror.
    """

    groups: Groups
    lamps: list[Lamp]
    sky: Callable[[np.ndarray], np.ndarray]
    room: Callable[[np.ndarray], np.ndarray]
    mirrored: Callable[[np.ndarray], np.ndarray]

    def __post_init__(self) -> None:
        balls = []
        for group in self.groups:
            middle = np.mean([thing.centre for thing in group], 0)
            reach = max(np.linalg.norm(thing.centre - middle) + thing.radius for thing in group)
            balls.append((middle.astype(np.float32), float(reach)))
        object.__setattr__(self, "balls", balls)
        object.__setattr__(self, "things", [thing for group in self.groups for thing in group])


def meets(
    origin: np.ndarray, direction: np.ndarray, centre: np.ndarray, radius: float, limit: np.ndarray
) -> np.ndarray:
    """Which rays (unit directions) come within ``radius`` of ``centre`` before ``limit``."""
    offset = centre[:, None] - origin
    along = dot(offset, direction)
    return np.flatnonzero(
        (dot(offset, offset) - along * along < radius * radius) & (along > -radius) & (along - radius < limit)
    )


def nearest(scene: Scene, origin: np.ndarray, direction: np.ndarray, limit: float = FAR) -> tuple[np.ndarray, ...]:
    """Return the distance (N,) to the first thing on each ray, at most ``limit``, and its number, -1 for none."""
    t = np.full(origin.shape[1], limit, np.float32)
    number = np.full(t.shape, -1)
    first = 0
    for group, ball in zip(scene.groups, scene.balls, strict=True):
        near = meets(origin, direction, *ball, t)
        if near.size:
            start, to = origin[:, near], direction[:, near]
            for index, thing in enumerate(group, first):
                some = meets(start, to, thing.centre, thing.radius, t[near])
                if some.size:
                    here = thing.hit(start[:, some], to[:, some])
                    closer = here < t[near[some]]
                    t[near[some[closer]]] = here[closer]
                    number[near[some[closer]]] = index
        first += len(group)
    return t, number


def blocked(scene: Scene, origin: np.ndarray, direction: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Whether (N,) something lies on each ray before ``limit`` (N,)."""
    limit = limit.copy()
    for group, ball in zip(scene.groups, scene.balls, strict=True):
        near = meets(origin, direction, *ball, limit)
        for thing in group if near.size else ():
            some = near[meets(origin[:, near], direction[:, near], thing.centre, thing.radius, limit[near])]
            if some.size:
                here = thing.hit(origin[:, some], direction[:, some])
                limit[some[here < limit[some]]] = -1e9  # no ball reaches there: the ray is done
    return limit < 0


def on_ball(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Directions (3, N) spread evenly, from two numbers in [0, 1)."""
    height = 1 - 2 * a
    across, angle = np.sqrt(np.maximum(1 - height * height, 0)), np.float32(2 * np.pi) * b
    return np.stack([across * np.cos(angle), height, across * np.sin(angle)])


def radiance(scene: Scene, origin: np.ndarray, direction: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Light along rays, in parts.

    Direct light of the lamps, one bounce of the room's light and of the things' mean colours, and a clear coat
    (Schlick, 1994) that mirrors the room.

    Args:
        scene: what is there.
        origin, direction: (3, N), directions of length 1.
        chance: (6, N) in [0, 1): where the lamps are sampled (two for each of two lamps), and the bounce (two).

    Returns:
        (3, 3, N) linear RGB: what the surface scatters, the light that falls on it, and what it mirrors and gives
        itself. The first two together show the surface's colour; the sky is all in the last.
    """
    t, number = nearest(scene, origin, direction)
    parts = np.zeros((3, *direction.shape), np.float32)
    outside = number < 0
    parts[2][:, outside] = scene.sky(direction[:, outside])
    inside = np.flatnonzero(~outside)
    if not inside.size:
        return parts
    to, which, chance = direction[:, inside], number[inside], chance[:, inside]
    point = origin[:, inside] + to * t[inside]
    normal, colour, glow, gloss = (np.empty((3, inside.size), np.float32) for _ in range(4))
    for index in np.unique(which):
        here, thing = which == index, scene.things[index]
        local = thing.local(point[:, here])
        normal[:, here] = thing.normal(local)
        colour[:, here] = thing.material.texture(local, point[:, here], thing.form.normal(local))
        glow[:, here] = vector(*thing.material.glow)[:, None]
        gloss[:, here] = thing.material.gloss
    normal = np.where(dot(normal, to) > 0, -normal, normal)
    start = point + normal * np.float32(1e-3)

    total = np.zeros_like(point)
    lit = np.zeros(inside.size, np.float32)
    for index, lamp in enumerate(scene.lamps):
        way = lamp.at[:, None] - start
        spot = lamp.radius * on_ball(*chance[2 * index : 2 * index + 2])
        way = way + np.where(dot(spot, way) > 0, -spot, spot)  # the side that faces the point
        far = np.sqrt(dot(way, way))
        way = way / far
        facing = np.maximum(dot(way, normal), 0)
        seen = np.zeros_like(facing)
        front = np.flatnonzero(facing > 0)
        seen[front] = ~blocked(scene, start[:, front], way[:, front], far[front])
        total += lamp.power[:, None] * (facing * seen / (far * far))
        if index == 0:
            lit = seen
    bounce = normalize(normal + on_ball(*chance[4:6]))
    other, met = nearest(scene, start, bounce, 1.5)
    around = scene.room(bounce)
    means = np.array([thing.material.mean for thing in scene.things] + [(0, 0, 0)], np.float32).T
    glows = np.array([thing.material.glow for thing in scene.things] + [(0, 0, 0)], np.float32).T
    shade = 0.36 + 0.35 * np.clip(other / 1.5, 0, 1)
    total += np.where(met < 0, around, means[:, met] * scene.room(normal) * shade + glows[:, met])

    facing = np.clip(-dot(to, normal), 0, 1)
    coat = gloss * (0.04 + 0.96 * (1 - facing) ** 5)
    mirror = to + 2 * facing * normal
    free = 0.25 + 0.75 * np.maximum(lit, met < 0)
    parts[:, :, inside] = (1 - coat) * colour * total, total, coat * scene.mirrored(mirror) * free + glow
    return parts


def surfaces(scene: Scene, origin: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What rays meet: the distance (N,), the point (3, N), and the normal (3, N), which is 0 for the sky."""
    t, number = nearest(scene, origin, direction)
    point = origin + direction * np.where(number < 0, np.float32(1e4), t)
    normal = np.zeros_like(direction)
    for index in np.unique(number[number >= 0]):
        here = number == index
        normal[:, here] = scene.things[index].normal(scene.things[index].local(point[:, here]))
    return t, point, normal
