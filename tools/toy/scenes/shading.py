"""The colour of what a ray meets: texture, light, shadow on the ground, haze. The same from every eye."""

from __future__ import annotations

import torch
from torch import Tensor

from .tracing import Hits, Rays
from .worlds import BACK, DISCS, ELLIPSOIDS, GROUND, LEFT_WALL, RIGHT_WALL, SKY, THINGS, World


def shade(world: World, rays: Rays, hits: Hits, pixel: float) -> Tensor:
    """Colours (B, 3, R) in [0, 1]; ``pixel`` is the width of one sample, in widths of the picture."""
    depth = hits.depth.nan_to_num(posinf=1e4).clamp_max(1e4)
    x, y, z = (rays.origin[:, i, None] + depth * d for i, d in enumerate(rays[1:]))
    part = hits.part
    own, normal = _own_axes(world, x, y, z, part)
    u, v = _surface(own, normal, part)
    slant = (normal[0] * rays.x + normal[1] * rays.y + normal[2] * rays.z).abs()
    length = (rays.x.square() + rays.y.square() + rays.z.square()).sqrt()
    blur = depth * pixel / world.focal[:, None] / (slant / length).clamp_min(0.08)
    mix = _texture(world, u, v, blur, part)

    sky = _sky(world, rays.y / length)
    lit = sum(normal[i] * world.light[:, i, None] for i in range(3)).clamp_min(0)
    lit = lit * torch.where(part == GROUND, _shadow(world, x, z), 1)
    rounded = 1 - 0.35 * torch.where(part > RIGHT_WALL, normal[1].clamp_min(0), 0)  # darker below
    level = (world.shade[:, None] + (1.15 - world.shade[:, None]) * lit) * rounded
    haze = torch.exp(-depth * world.fog[:, None])
    colors = world.colors.permute(0, 2, 3, 1)  # (B, 2, 3, PARTS)
    channels = []
    for i in range(3):
        first, second = colors[:, 0, i].gather(1, part), colors[:, 1, i].gather(1, part)
        surface = torch.lerp(first, second, mix) * level * world.lamp[:, i, None]
        channels.append(torch.where(part == SKY, sky[i], torch.lerp(sky[i], surface, haze)))
    return torch.stack(channels, dim=1).clamp(0, 1)


def _own_axes(world: World, x: Tensor, y: Tensor, z: Tensor, part: Tensor) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """The points in their parts' axes, and the normals towards the light's side in the world's."""
    center = [world.center[..., i].gather(1, part) for i in range(3)]
    half = [world.half[..., i].gather(1, part) for i in range(3)]
    yaw = world.yaw.gather(1, part)
    sine, cosine = yaw.sin(), yaw.cos()
    px, py, pz = x - center[0], y - center[1], z - center[2]
    own = [cosine * px - sine * pz, py, sine * px + cosine * pz]
    unit = [o / h for o, h in zip(own, half, strict=True)]
    largest = torch.maximum(torch.maximum(unit[0].abs(), unit[1].abs()), unit[2].abs())
    round_one = (part >= ELLIPSOIDS.start) & (part < ELLIPSOIDS.stop)
    disc = (part >= DISCS.start) & (part < DISCS.stop)
    plane = {GROUND: 1, BACK: 2, LEFT_WALL: 0, RIGHT_WALL: 0}
    axes = []
    for i, (one, size) in enumerate(zip(unit, half, strict=True)):
        flat = torch.where(one.abs() >= largest, one.sign(), 0)
        for index, axis in plane.items():
            sign = 1.0 if index == LEFT_WALL else -1.0
            flat = torch.where(part == index, sign if axis == i else 0.0, flat)
        flat = torch.where(disc, 1.0 if i == 2 else 0.0, flat)
        axes.append(torch.where(round_one, one / size, flat))
    length = (axes[0].square() + axes[1].square() + axes[2].square()).sqrt().clamp_min(1e-6)
    nx, ny, nz = (a / length for a in axes)
    # A disc's two faces are one: it is lit as the side that is seen, which looks at the camera.
    flip = torch.where(disc & (nz > 0), -1.0, 1.0)
    nx, ny, nz = nx * flip, ny, nz * flip
    return own, (cosine * nx + sine * nz, ny, -sine * nx + cosine * nz)


def _surface(own: list[Tensor], normal: tuple[Tensor, ...], part: Tensor) -> tuple[Tensor, Tensor]:
    """Two coordinates on the part's surface, in lengths."""
    round_one = (part >= ELLIPSOIDS.start) & (part < ELLIPSOIDS.stop)
    top = (part == GROUND) | (~round_one & (normal[1].abs() > 0.5))
    side = ~top & ((part == LEFT_WALL) | (part == RIGHT_WALL))
    u = torch.where(side, own[2], own[0] + torch.where(top | (part == BACK), 0.0, own[2] * 0.999))
    return u, torch.where(top, own[2], own[1])


def _texture(world: World, u: Tensor, v: Tensor, blur: Tensor, part: Tensor) -> Tensor:
    """Share of the second colour, 0 to 1; patterns finer than a sample fade to their mean."""
    scale, turn, kind = (values.gather(1, part) for values in (world.scale, world.turn, world.texture))
    sine, cosine = turn.sin(), turn.cos()
    tilt = torch.where(part >= ELLIPSOIDS.start, sine * 0.7, sine * 0.2)
    rate = 2 * torch.pi * scale
    a, b = rate * (u + tilt * v) + turn * 5, rate * (v - tilt * u) + cosine * 3
    fine = (blur * rate).clamp(1e-3, 20)  # radians of the pattern under one sample
    fade = torch.exp(-(fine * 0.45).square())
    edge = (0.7 / fine).clamp(0.5, 12)
    sin_a, sin_b = a.sin(), b.sin()

    def hard(wave: Tensor) -> Tensor:
        return 0.5 + 0.5 * (wave * edge).clamp(-1, 1) * fade

    wave = (0.31 * a + 1.7 * (0.23 * b).sin()).sin() + (0.47 * b + 1.3 * (0.37 * a + 2).sin()).sin()
    cloud = 0.5 + 0.22 * wave + 0.10 * (1.9 * a + 2 * sin_b).sin() * fade
    row = (b / torch.pi).floor()
    brick = torch.minimum((b.sin().abs() - 0.25), ((a * 0.5 + row * 1.571).sin().abs() - 0.13)) * 3
    patterns = (
        cloud * 0.8,
        hard(sin_a * sin_b * 2),
        hard(sin_a),
        hard(sin_a + sin_b - 0.9),
        cloud + 0.35 * (2.3 * a + 4 * wave).sin() * fade,
        1 - hard(brick),
        0.3 + 0.25 * hard(sin_b) + 0.3 * (cloud - 0.5),
    )
    mix = patterns[0]
    for index, pattern in enumerate(patterns[1:], start=1):
        mix = torch.where(kind == index, pattern, mix)
    # Houses have windows; hills have none.
    windows = hard(torch.minimum((u * 9).sin(), (v * 9).sin()) - 0.1)
    return torch.where((part == BACK) & (world.sharp[:, None] > 0) & (world.fog[:, None] > 0), windows, mix)


def _sky(world: World, upward: Tensor) -> list[Tensor]:
    height = (-upward * 2.2).clamp(0, 1).sqrt()
    return [torch.lerp(world.colors[:, SKY, 1, i, None], world.colors[:, SKY, 0, i, None], height) for i in range(3)]


def _shadow(world: World, x: Tensor, z: Tensor) -> Tensor:
    """Light on the ground, less under and behind each thing; soft, and the same from both eyes."""
    light = torch.ones_like(x)
    for index in THINGS:
        if not bool((world.center[:, index, 2] > 0).any()):
            continue
        lift = (1 - world.center[:, index, 1, None]).clamp_min(0)
        across, along = (-world.light[:, i, None] / -world.light[:, 1, None] * lift * 0.6 for i in (0, 2))
        reach = world.half[:, index, 0, None].maximum(world.half[:, index, 1, None] * 0.6) * 1.1
        dx = (x - world.center[:, index, 0, None] - across) / reach
        dz = (z - world.center[:, index, 2, None] - along) / reach
        light = light * (1 - 0.65 / (1 + 0.7 * (dx.square() + dz.square())).square())
    return light
