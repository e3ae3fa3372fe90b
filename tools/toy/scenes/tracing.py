"""Rays against the parts of a scene: which part is nearest, and how far along the ray."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .worlds import BACK, BOXES, DISCS, ELLIPSOIDS, GROUND, LEFT_WALL, RIGHT_WALL, SKY, World

_NEAR = 0.05
_OUTLINE = (0.35, 0.9, 1.9, 3.7)  # radians per length of the hills' waves


class Rays(NamedTuple):
    """Rays with origin (B, 3) and direction x, y, z (B, R); one unit along a ray is one unit of camera depth."""

    origin: Tensor
    x: Tensor
    y: Tensor
    z: Tensor


class Hits(NamedTuple):
    """The camera depth (B, R), infinite for the sky, and the part (B, R) int64."""

    depth: Tensor
    part: Tensor


def eye_rays(world: World, columns: Tensor, rows: Tensor, right: bool = False) -> Rays:
    """Rays of one eye through points of its picture.

    Args:
        columns: (R,) or (B, R), in widths from the middle of the picture.
        rows: (R,) likewise, in widths from the middle.
    """
    x = columns.expand(len(world.eye), -1) / world.focal[:, None]
    y = rows / world.focal[:, None]
    sine, cosine = world.pitch.sin()[:, None], world.pitch.cos()[:, None]
    origin = world.eye.clone()
    if right:
        origin[:, 0] += world.baseline
    return Rays(origin, x, y * cosine + sine, cosine - y * sine)


def trace(world: World, rays: Rays) -> Hits:
    """Find what each ray meets first."""
    depth = torch.full_like(rays.x, torch.inf)
    part = torch.full(rays.x.shape, SKY, dtype=torch.int64, device=rays.x.device)
    for index, reach in _meetings(world, rays):
        nearer = reach < depth
        part.masked_fill_(nearer, index)
        depth = torch.where(nearer, reach, depth)
    return Hits(depth, part)


def _meetings(world: World, rays: Rays) -> Iterator[tuple[int, Tensor]]:
    """Each part with the depths (B, R) at which the rays meet it, infinite where they do not."""
    ox, oy, oz = (rays.origin[:, i, None] for i in range(3))
    yield GROUND, _ahead((world.center[:, GROUND, 1, None] - oy) / rays.y)
    yield BACK, _back(world, rays)
    for index in (LEFT_WALL, RIGHT_WALL):
        if bool((world.center[:, index, 0].abs() < 100).any()):
            yield index, _ahead((world.center[:, index, 0, None] - ox) / rays.x)
    for index in (*ELLIPSOIDS, *BOXES, *DISCS):
        if not bool((world.center[:, index, 2] > world.eye[:, 2]).any()):
            continue
        sine, cosine = world.yaw[:, index, None].sin(), world.yaw[:, index, None].cos()
        hx, hy, hz = (world.half[:, index, i, None] for i in range(3))
        px, py, pz = (o - world.center[:, index, i, None] for i, o in enumerate((ox, oy, oz)))
        # The ray in the part's own axes, in which the part has size one.
        start = (cosine * px - sine * pz) / hx, py / hy, (sine * px + cosine * pz) / hz
        along = (
            (cosine / hx) * rays.x - (sine / hx) * rays.z,
            rays.y / hy,
            (sine / hz) * rays.x + (cosine / hz) * rays.z,
        )
        if index in ELLIPSOIDS:
            yield index, _sphere(start, along)
        elif index in BOXES:
            yield index, _cube(start, along)
        else:
            yield index, _disc(start, along, world.diamond[:, index, None])


def _ahead(depth: Tensor) -> Tensor:
    return torch.where(depth > _NEAR, depth, torch.inf)


def _back(world: World, rays: Rays) -> Tensor:
    """The wall of a room, or hills and houses with an outline."""
    reach = (world.center[:, BACK, 2, None] - rays.origin[:, 2, None]) / rays.z
    x = rays.origin[:, 0, None] + reach * rays.x
    y = rays.origin[:, 1, None] + reach * rays.y
    sharp = world.sharp[:, None]
    stepped = torch.lerp(x, (x / 1.4).floor() * 1.4, sharp)
    height = 0.9
    for i, rate in enumerate(_OUTLINE):
        share, phase = world.waves[:, 0, i, None], world.waves[:, 1, i, None]
        height = height + share * ((stepped * rate + phase).sin() * 0.9 + 0.5)
    indoors = world.center[:, LEFT_WALL, 0, None].abs() < 100
    return torch.where(indoors | (1 - y < height), _ahead(reach), torch.inf)


def _sphere(start: tuple[Tensor, ...], along: tuple[Tensor, ...]) -> Tensor:
    a = along[0].square() + along[1].square() + along[2].square()
    b = start[0] * along[0] + start[1] * along[1] + start[2] * along[2]
    c = start[0].square() + start[1].square() + start[2].square() - 1
    root = (b.square() - a * c).clamp_min(0).sqrt()
    return torch.where(root > 0, _ahead((-b - root) / a), torch.inf)


def _cube(start: tuple[Tensor, ...], along: tuple[Tensor, ...]) -> Tensor:
    enter = leave = None
    for s, d in zip(start, along, strict=True):
        middle, reach = -s / d, d.reciprocal().abs()
        first, last = middle - reach, middle + reach
        enter = first if enter is None else torch.maximum(enter, first)
        leave = last if leave is None else torch.minimum(leave, last)
    return torch.where(enter < leave, _ahead(enter), torch.inf)


def _disc(start: tuple[Tensor, ...], along: tuple[Tensor, ...], diamond: Tensor) -> Tensor:
    reach = -start[2] / along[2]
    x, y = start[0] + reach * along[0], start[1] + reach * along[1]
    size = torch.where(diamond > 0, x.abs() + y.abs(), x.square() + y.square())
    return torch.where(size < 1, _ahead(reach), torch.inf)
