"""The still life: a table by a window, with near, thin and far things."""

from __future__ import annotations

import numpy as np

from .shapes import Ball, Box, Form, Lathe, Opening, Ring, Thing, Tube, between, normalize, turn, vector
from .textures import Material, band, checked, clouds, made, mix, noise, plain, planks, rgb, scatter, step, tiles
from .tracing import Lamp, Scene

WALL = 2.35  # where the wall stands
WINDOW = (-1.02, -0.06, 0.13, 1.3)


def scene() -> Scene:
    """Build it; the same every time."""
    groups = [
        *[[thing] for thing in room()],
        window(),
        mug((-0.225, 0, 0.89)),
        fruit_bowl((0.13, 0, 1.3)),
        lemons(),
        books((-0.43, 0, 1.3)),
        pencils((-0.47, 0.158, 1.31)),
        desk_lamp((0.6, 0, 1.62)),
        plant((-0.06, 0, 1.85)),
        bottle((0.37, 0, 1.78)),
        painting((0.45, 0.505, WALL - 0.02)),
        pencil_on_table(),
    ]
    lamps = [
        Lamp(vector(-1.5, 1.9, 0.1), 0.28, vector(1.0, 0.92, 0.8) * 6.4),
        Lamp(vector(*BULB), 0.03, vector(1.0, 0.6, 0.28) * 0.42),
    ]
    return Scene(groups, lamps, view_outside, room_light, mirrored_room)


def view_outside(direction: np.ndarray) -> np.ndarray:
    """Hills under an evening sky."""
    across = direction[0] / np.maximum(direction[2], 1e-3)
    height = direction[1] / np.maximum(direction[2], 1e-3)
    zero = 0 * across
    sky = mix(rgb("#ffd9a8"), rgb("#5f9fd8"), np.clip((height + 0.06) / 0.32, 0, 1) ** 0.8)
    puff = clouds(np.stack([across * 5, height * 16, zero]), 5)
    sky = mix(sky, rgb("#fff1df"), 0.85 * step(0.56, puff, 0.12))
    ridges = [("#8fa9c4", 0.03, 0.055, 6, 3), ("#6a93a0", -0.005, 0.05, 9, 40), ("#5d8a5a", -0.05, 0.035, 13, 90)]
    for code, base, rise, pitch, shift in ridges:
        line = base + rise * clouds(np.stack([across * pitch + shift, zero, zero]), 4)
        tone = 0.85 + 0.3 * clouds(np.stack([across * 60, height * 90, zero + shift]), 3)
        sky = mix(sky, rgb(code) * tone, step(0, line - height, 0.0015))
    rows = 0.5 + 0.5 * np.sin((across * 0.6 + height * 4) / np.maximum(0.02 - height, 0.02) * 6)  # of a vineyard
    sky = mix(sky, rgb("#48723c"), 0.55 * rows * step(0.03, -height, 0.012))
    for pitch, base, rise, shift in ((0.02, -0.012, 0.022, 3), (0.03, -0.02, 0.03, 7), (0.045, -0.035, 0.045, 12)):
        cell = np.floor(across / pitch)
        own, other = scatter(cell, zero + shift), scatter(cell, zero + shift + 1)
        middle, foot, top = (cell + 0.3 + 0.4 * own) * pitch, base - 0.02 * other, rise * (0.6 + 0.6 * own)
        part = np.clip((height - foot) / top, 0, 1)
        slim = 0.16 * pitch * np.sqrt(part * (1 - part)) * (1.2 - part)
        tree = (1 - step(0, np.abs(across - middle) - slim * 1.1, 0.0006)) * (other > 0.5) * (part > 0) * (part < 1)
        sky = mix(sky, rgb("#2f5a41") * (0.7 + 0.6 * noise(np.stack([across * 400, height * 400, zero]))), tree)
    return (sky * 1.3).astype(np.float32)


def room_light(direction: np.ndarray) -> np.ndarray:
    """Soft light from above and from the window's side, warm from below."""
    up, left = 0.5 + 0.5 * direction[1], 0.5 - 0.5 * direction[0]
    return mix(rgb("#6b5642"), rgb("#b8c4d4") * (0.75 + 0.5 * left), np.clip(up, 0, 1)) * np.float32(0.8)


def mirrored_room(direction: np.ndarray) -> np.ndarray:
    """The room with a window of four panes behind the camera's left shoulder."""
    x, y, z = direction
    away = np.maximum(-z, 1e-3)
    u, v = x / away + 0.9, y / away - 0.75
    pane = band(-0.5, 0.5, u, 0.04) * band(-0.5, 0.5, v, 0.04) * (z < 0)
    cross = np.maximum(band(-0.03, 0.03, u, 0.02), band(-0.03, 0.03, v, 0.02))
    return room_light(direction) + np.float32(9) * pane * (1 - cross)


def thing(form: Form, material: Material, *at: float, matrix: np.ndarray | None = None) -> Thing:
    return Thing(form, material, at, matrix)


def rod(start: tuple[float, ...], end: tuple[float, ...], radius: float, material: Material, top: float = 1.0) -> Thing:
    """A straight rod; its far end is ``top`` times as thick."""
    matrix = between(np.array(start), np.array(end)) @ np.diag([radius, 1, radius])
    return Thing(Tube(1, top), material, start, matrix)


def room() -> list[Thing]:
    wood = made(planks("#c08a57", "#7d4a26", 0.165), "#a06a3c", 0.35)
    plaster, low = rgb("#7f9a94"), tiles(0.118)

    def wall(local: np.ndarray, world: np.ndarray, normal: np.ndarray) -> np.ndarray:
        upper = plaster * (0.86 + 0.28 * clouds(world * np.float32(9), 5))
        rail = rgb("#d9d2c0") * (0.9 + 0.1 * noise(world * 80))
        colour = mix(low(local, world, normal), rail, step(0.354, world[1], 0.001))
        return mix(colour, upper, step(0.378, world[1], 0.001))

    def cloth(local: np.ndarray, world: np.ndarray, normal: np.ndarray) -> np.ndarray:
        return checked(0.105, "#efe6d6", "#a83a32")(local * np.array([[0.4], [1], [0.27]], np.float32), world, normal)

    return [
        thing(Box(), wood, 0, -0.03, 1.1, matrix=np.diag([1.6, 0.03, 1.0])),
        thing(Opening(WINDOW), made(wall, "#8b968f"), 0, 0, WALL),
        thing(Box(), made(cloth, "#c79a8c"), 0.2, 0.0015, 1.24, matrix=turn(24) @ np.diag([0.4, 0.002, 0.27])),
    ]


def window() -> list[Thing]:
    paint = plain("#efeae0", 0.2, 0.03)
    left, right, bottom, top = WINDOW
    middle, height = (left + right) / 2, (bottom + top) / 2
    bars = [
        (left, height, 0.03, (top - bottom) / 2, 0.05),
        (right, height, 0.03, (top - bottom) / 2, 0.05),
        (middle, height, 0.022, (top - bottom) / 2, 0.03),
        (middle, bottom + 0.02, (right - left) / 2, 0.025, 0.05),
        (middle, top, (right - left) / 2, 0.03, 0.05),
        (middle, 0.5, (right - left) / 2, 0.013, 0.02),
        (middle, bottom - 0.012, (right - left) / 2 + 0.07, 0.016, 0.09),
    ]
    return [thing(Box(), paint, x, y, WALL, matrix=np.diag(half)) for x, y, *half in bars]


def mug(at: tuple[float, float, float]) -> list[Thing]:
    cream, blue, red = rgb("#f3ead8"), rgb("#1f5f8b"), rgb("#d9542b")

    def glaze(local: np.ndarray, world: np.ndarray, normal: np.ndarray) -> np.ndarray:  # noqa: ARG001
        angle = np.arctan2(local[2], local[0]) / (2 * np.pi)
        y = local[1]
        outer = np.hypot(local[0], local[2]) > 0.0475
        stripes = band(0.078, 0.088, y, 0.0006) + band(0.016, 0.026, y, 0.0006)
        u = angle * 14 - np.floor(angle * 14) - 0.5
        dots = 1 - step(0, np.hypot(u * 0.0225, y - 0.052) - 0.0075, 0.0006)
        zigzag = band(-0.0012, 0.0012, y - 0.052 - 0.016 * np.sign(dots - 2) * (2 * np.abs(u) - 0.5) * 2, 0.0006)
        colour = mix(cream * np.ones_like(y), blue, outer * np.clip(stripes + zigzag, 0, 1))
        return mix(colour, red, outer * dots) * (0.95 + 0.1 * noise(world * 300))

    pot, steel = made(glaze, "#cfc6b4", 1.0), plain("#aab0b5", 1.0)
    body = Lathe([(0.001, 0.004), (0.036, 0.004), (0.0465, 0.014), (0.05, 0.03), (0.05, 0.107)], 0.0065)
    x, y, z = at
    return [
        thing(body, pot, *at),
        thing(Ring(0.028, 0.011), plain("#1f5f8b", 1.0), x + 0.063, y + 0.057, z - 0.012, matrix=turn(18)),
        thing(Tube(0.047, 0.047), plain("#2a140a", 0.5), x, y + 0.083, z, matrix=np.diag([1, 0.005, 1])),
        rod((x - 0.01, y + 0.02, z + 0.02), (x - 0.068, y + 0.168, z + 0.045), 0.0028, steel, 0.8),
        thing(
            Ball(), steel, x - 0.0695, y + 0.172, z + 0.0458, matrix=turn(0, -20, 21) @ np.diag([0.0065, 0.015, 0.003])
        ),
    ]


def peel(light: str, dark: str, pitch: float = 260) -> Material:
    pale, deep = rgb(light), rgb(dark)

    def texture(local: np.ndarray, world: np.ndarray, normal: np.ndarray) -> np.ndarray:  # noqa: ARG001
        pores = noise(world * pitch)
        blush = clouds(local * np.float32(1.7) + 5, 3)
        return mix(pale, deep, np.clip(1.5 * blush - 0.4, 0, 1)) * (0.84 + 0.26 * pores)

    return made(texture, dark, 0.55)


def apple(light: str, dark: str) -> Material:
    pale, deep = rgb(light), rgb(dark)

    def texture(local: np.ndarray, world: np.ndarray, normal: np.ndarray) -> np.ndarray:  # noqa: ARG001
        angle = np.arctan2(local[2], local[0])
        streak = noise(np.stack([angle * 14, local[1] * 1.5, 0 * angle]))
        cheek = np.clip(0.5 + 0.7 * local[0] - 0.4 * local[2] + 0.7 * (streak - 0.5), 0, 1)
        freckles = step(0.86, noise(world * 330), 0.05)
        return mix(mix(pale, deep, cheek), rgb("#f4e7a6"), 0.5 * freckles)

    return made(texture, dark, 0.9)


def fruit_bowl(at: tuple[float, float, float]) -> list[Thing]:
    white, blue = rgb("#e9edf0"), rgb("#2c5aa0")

    def glaze(local: np.ndarray, world: np.ndarray, normal: np.ndarray) -> np.ndarray:  # noqa: ARG001
        angle = np.arctan2(local[2], local[0]) / (2 * np.pi) * 24
        u, y = angle - np.floor(angle) - 0.5, local[1]
        arch = band(0.0, 0.004, y - 0.062 + 0.11 * u * u, 0.0008) + band(0.0, 0.002, y - 0.05 + 0.09 * u * u, 0.0008)
        rims = band(0.088, 0.1, y, 0.0008) + band(0.072, 0.075, y, 0.0008) + band(0.012, 0.017, y, 0.0008)
        bloom = 1 - step(0, np.hypot(u * 0.035, y - 0.04) - 0.005, 0.0008)
        return mix(white, blue, np.clip(arch + rims + bloom, 0, 1))

    x, y, z = at
    wall = [(0.07 + 0.086 * np.sin(a), 0.1 - 0.088 * np.cos(a)) for a in np.linspace(0, 1.5, 9)]
    bowl = [(0.001, 0.012), (0.066, 0.012), (0.066, 0.004), (0.068, 0.012), *wall]
    orange, green, red = peel("#f6a21e", "#e0700f"), apple("#b9cf45", "#8fb02b"), apple("#d9a23a", "#a51d1d")
    places = [
        (-0.068, 0.088, -0.05, 0.052, orange),
        (0.05, 0.092, -0.066, 0.05, red),
        (0.09, 0.098, 0.03, 0.05, orange),
        (-0.05, 0.092, 0.062, 0.05, green),
        (0.03, 0.088, 0.085, 0.045, red),
        (-0.005, 0.152, 0.002, 0.053, green),
        (0.072, 0.158, 0.0, 0.043, peel("#f9d84a", "#eebb1c")),
    ]
    fruits = [
        thing(Ball(), skin, x + u, y + v, z + w, matrix=turn(40 * n, 25 * n) @ np.diag([size, size * 0.94, size]))
        for n, (u, v, w, size, skin) in enumerate(places)
    ]
    stem = rod((x - 0.005, 0.196, z), (x + 0.008, 0.224, z - 0.006), 0.0024, plain("#4a3220"), 1.3)
    leaf = Thing(Ball(), leaf_green(), (x + 0.03, 0.222, z - 0.004), turn(20, -50, 24) @ np.diag([0.03, 0.0015, 0.014]))
    return [thing(Lathe(bowl, 0.007), made(glaze, "#c9d2dc", 1.0), *at), *fruits, stem, leaf]


def lemons() -> list[Thing]:
    skin = peel("#fbe15a", "#f0c020")

    def cut(local: np.ndarray, world: np.ndarray, normal: np.ndarray) -> np.ndarray:
        radius, angle = np.hypot(local[0], local[2]), np.arctan2(local[2], local[0])
        wedge = np.abs(np.sin(4.5 * angle)) * radius
        flesh = band(0.1, 0.78, radius, 0.02) * step(0.045, wedge, 0.02)
        pulp = rgb("#f6d24a") * (0.75 + 0.5 * noise(np.stack([angle * 14, radius * 4, 0 * angle])))
        face = mix(mix(rgb("#fbf3d0"), pulp, flesh), rgb("#f0c020"), step(0.93, radius, 0.02))
        return mix(skin.texture(local, world, normal), face, (normal[1] > 0.5).astype(np.float32))

    half = between(np.zeros(3), normalize(vector(-0.25, 0.52, -0.82))) @ np.diag([0.037, 0.012, 0.037])
    return [
        thing(Ball(), skin, 0.262, 0.036, 0.965, matrix=turn(-35, 0, 8) @ np.diag([0.05, 0.036, 0.036])),
        thing(Ball(), skin, 0.301, 0.042, 0.992, matrix=turn(-35, 0, 8) @ np.diag([0.012, 0.01, 0.01])),
        thing(Tube(0.85, 1), made(cut, "#eecb3a", 0.6), 0.148, 0.03, 0.9, matrix=half),
    ]


def books(at: tuple[float, float, float]) -> list[Thing]:
    def cover(code: str, print_code: str, seed: int) -> Material:
        ground, ink, paper = rgb(code), rgb(print_code), rgb("#e8dcc0")

        def texture(local: np.ndarray, world: np.ndarray, normal: np.ndarray) -> np.ndarray:  # noqa: ARG001
            x, y, z = local
            letters = scatter(np.floor((x + 1) * 55), np.full_like(x, seed)) > 0.35
            title = band(-0.42, 0.36, x, 0.004) * band(-0.3, 0.3, y, 0.05) * letters
            bands = band(0.55, 0.6, np.abs(x), 0.003) + band(0.66, 0.68, np.abs(x), 0.003)
            spine = mix(ground * (0.85 + 0.3 * noise(world * 900)), ink, np.clip(title + bands, 0, 1))
            pages = paper * (0.7 + 0.3 * noise(np.stack([0 * x, y * 22, 0 * x + seed])))
            edge = (np.abs(y) < 0.8) & (np.abs(x) > 0.99)
            frame = band(0.8, 0.84, np.maximum(np.abs(x), np.abs(z)), 0.004)
            top = mix(ground * (0.85 + 0.3 * noise(world * 900)), ink, frame)
            return np.where(edge, pages, np.where(np.abs(y) > 0.985, top, spine))

        return made(texture, code, 0.25)

    x, _, z = at
    stack = [
        (0.125, 0.026, 0.088, 14, "#24505c", "#e0b65a", 0.0),
        (0.118, 0.031, 0.082, 6, "#a8402d", "#f2dfb0", 0.012),
        (0.108, 0.021, 0.078, 21, "#d9a441", "#5a2a1c", -0.004),
    ]
    things, y = [], 0.0
    for seed, (a, b, c, yaw, code, ink, shift) in enumerate(stack):
        things.append(thing(Box(), cover(code, ink, seed), x + shift, y + b, z, matrix=turn(yaw) @ np.diag([a, b, c])))
        y += 2 * b
    return things


PENCILS = ("#e2b714", "#c0392b", "#2e86ab", "#3c8d40", "#e67e22", "#7d3c98", "#16191d")


def pencil(start: np.ndarray, end: np.ndarray, code: str, radius: float = 0.0042) -> list[Thing]:
    """A sharpened pencil; its point is at ``end``."""
    along = (end - start) / np.linalg.norm(end - start)
    neck, lead = end - 0.024 * along, end - 0.007 * along
    return [
        rod(tuple(start), tuple(neck), radius, plain(code, 0.8)),
        rod(tuple(neck), tuple(lead), radius, plain("#e3bf8a"), 0.3),
        rod(tuple(lead), tuple(end), radius * 0.3, plain(code), 0.05),
    ]


def pencils(at: tuple[float, float, float]) -> list[Thing]:
    x, y, z = at

    def glaze(local: np.ndarray, world: np.ndarray, normal: np.ndarray) -> np.ndarray:  # noqa: ARG001
        drip = 0.055 + 0.012 * noise(np.stack([np.arctan2(local[2], local[0]) * 3, 0 * local[0], 0 * local[0]]))
        speckle = step(0.8, noise(world * 520), 0.04)
        clay = rgb("#c9a27a") * (0.9 + 0.2 * noise(world * 150))
        return mix(mix(clay, rgb("#e9e2d2"), step(0, local[1] - drip + 0.02, 0.001)), rgb("#5b4636"), 0.6 * speckle)

    jar = Lathe([(0.001, 0.003), (0.036, 0.003), (0.039, 0.01), (0.036, 0.09), (0.038, 0.096)], 0.005)
    things = [thing(jar, made(glaze, "#c8b79c", 0.6), *at)]
    for n, code in enumerate(PENCILS):
        angle = 2 * np.pi * n / len(PENCILS) + 0.4
        lean, height = 0.026, 0.172 + 0.02 * ((n * 3) % 5) / 4
        foot = np.array([x - 0.02 * np.cos(angle), y + 0.01, z - 0.02 * np.sin(angle)])
        tip = np.array([x + (0.03 + lean) * np.cos(angle), y + height, z + (0.03 + lean) * np.sin(angle)])
        things += pencil(foot, tip, code)
    return things


def pencil_on_table() -> list[Thing]:
    return pencil(np.array([0.05, 0.0042, 1.0]), np.array([-0.055, 0.0042, 0.862]), "#e2b714")


BULB = (0.42, 0.42, 1.5)


def desk_lamp(at: tuple[float, float, float]) -> list[Thing]:
    metal, brass = plain("#2f4a3f", 0.8), plain("#b98a3e", 1.0)
    x, y, z = at
    knee = (x + 0.06, 0.4, z + 0.02)
    head = (BULB[0] + 0.012, BULB[1] + 0.085, BULB[2] + 0.008)
    glowing = Material(plain("#ffffff").texture, (1, 0.8, 0.5), 0, (7.0, 4.6, 2.4))
    inner = Material(plain("#f0e2c4").texture, (0.8, 0.7, 0.5), 0.2)
    tilt = turn(0, -8, -14)
    shade = [(0.022, 0.078), (0.03, 0.062), (0.088, -0.022)]
    return [
        thing(Lathe([(0.001, 0.008), (0.078, 0.008)], 0.016), metal, *at),
        rod((x, y + 0.016, z), knee, 0.0055, brass),
        rod(knee, head, 0.0055, brass),
        thing(Ball(), metal, *knee, matrix=np.eye(3) * 0.012),
        Thing(Lathe(shade, 0.004), metal, BULB, tilt),
        Thing(Lathe([(a - 0.004, b - 0.002) for a, b in shade[1:]], 0.002), inner, BULB, tilt),
        thing(Ball(), metal, *head, matrix=np.eye(3) * 0.026),
        thing(Ball(), glowing, *BULB, matrix=np.eye(3) * 0.022),
    ]


def leaf_green(light: str = "#6fae4a", dark: str = "#2f6b34") -> Material:
    pale, deep = rgb(light), rgb(dark)

    def texture(local: np.ndarray, world: np.ndarray, normal: np.ndarray) -> np.ndarray:  # noqa: ARG001
        x, z = local[0], local[2]
        rib = 1 - step(0.05, np.abs(z), 0.02)
        veins = band(0.0, 0.12, (x * 6 - np.abs(z) * 3) % 1, 0.04) * (1 - rib)
        return mix(deep * (0.8 + 0.5 * clouds(world * 60, 3)), pale, np.clip(0.9 * rib + 0.5 * veins, 0, 1))

    return Material(texture, tuple(deep[:, 0]), 0.5, (0.01, 0.045, 0.008))  # light shines through


def plant(at: tuple[float, float, float]) -> list[Thing]:
    clay, x, z = rgb("#b5603a"), at[0], at[2]

    def terracotta(local: np.ndarray, world: np.ndarray, normal: np.ndarray) -> np.ndarray:  # noqa: ARG001
        stain = step(0.5, clouds(world * 24, 4), 0.15)
        rings = 0.92 + 0.08 * np.sin(local[1] * 900)
        return mix(clay, rgb("#d8b99a"), 0.45 * stain) * rings

    pot = Lathe([(0.001, 0.006), (0.066, 0.006), (0.09, 0.128), (0.1, 0.13), (0.104, 0.16)], 0.011)
    earth = thing(Tube(0.094, 0.094), plain("#3a281c", 0, 0.5), x, 0.128, z, matrix=np.diag([1, 0.012, 1]))
    things = [thing(pot, made(terracotta, "#b06a48", 0.1), *at), earth]
    random = np.random.default_rng(12)
    for n in range(19):
        angle, reach = 2.4 * n + random.uniform(-0.3, 0.3), random.uniform(0.04, 0.16)
        height = 0.52 - 0.95 * reach + random.uniform(-0.06, 0.04) - (0.08 if n % 3 == 0 else 0)
        foot = np.array([x + 0.03 * np.cos(angle), 0.13, z + 0.03 * np.sin(angle)])
        knee = foot + [0.4 * reach * np.cos(angle), 0.62 * (height - 0.13), 0.4 * reach * np.sin(angle)]
        top = np.array([x + (0.03 + reach) * np.cos(angle), height, z + (0.03 + reach) * np.sin(angle)])
        green = leaf_green("#86bb55" if n % 2 else "#6aa84f", "#356f38" if n % 3 else "#2a5e3a")
        things += [rod(tuple(foot), tuple(knee), 0.003, green), rod(tuple(knee), tuple(top), 0.0028, green, 0.6)]
        length, width = random.uniform(0.06, 0.085), random.uniform(0.03, 0.042)
        out = normalize(vector(np.cos(angle), random.uniform(-0.5, 0.35), 0.8 * np.sin(angle)))
        face = vector(random.uniform(-0.4, 0.1), random.uniform(0.5, 0.9), -0.9)  # to the light and the camera
        face = normalize(face - out * (face @ out))
        matrix = np.stack([out, face, np.cross(out, face)], 1)
        centre = top + 0.85 * length * out
        things.append(Thing(Ball(), green, tuple(centre), matrix @ np.diag([length, 0.0022, width])))
    return things


def bottle(at: tuple[float, float, float]) -> list[Thing]:
    def label(local: np.ndarray, world: np.ndarray, normal: np.ndarray) -> np.ndarray:  # noqa: ARG001
        angle, y = np.arctan2(local[0], -local[2]), local[1]
        here = band(-1.0, 1.0, angle, 0.01) * band(0.05, 0.14, y, 0.0008)
        lines = band(0.062, 0.066, y, 0.0006) + band(0.128, 0.132, y, 0.0006)
        words = band(0.1, 0.116, y, 0.0008) * (scatter(np.floor(angle * 15), 0 * angle) > 0.4) * (np.abs(angle) < 0.7)
        small = band(0.075, 0.08, y, 0.0008) * (scatter(np.floor(angle * 34), 0 * angle) > 0.4) * (np.abs(angle) < 0.6)
        paper = mix(rgb("#f1e4c3"), rgb("#7a2230"), np.clip(lines + words + small, 0, 1))
        return mix(rgb("#1d3f2a") * np.ones_like(y), paper, here)

    glass = Lathe([(0.001, 0.005), (0.046, 0.005), (0.048, 0.17), (0.034, 0.21), (0.015, 0.245), (0.015, 0.315)], 0.006)
    x, y, z = at
    cork = rod((x, 0.305, z), (x, 0.335, z), 0.0135, plain("#c49a6c"))
    return [thing(glass, made(label, "#2a4a34", 1.0), x, y, z), cork]


def painting(at: tuple[float, float, float]) -> list[Thing]:
    def canvas(local: np.ndarray, world: np.ndarray, normal: np.ndarray) -> np.ndarray:  # noqa: ARG001
        x, y = local[0], local[1]
        zero = 0 * x
        sky = mix(rgb("#f2b774"), rgb("#3c6f8f"), np.clip(0.5 + 0.6 * y, 0, 1))
        sky = mix(sky, rgb("#fff0c9"), 1 - step(0.2, np.hypot(x * 1.25 - 0.35, y - 0.25), 0.01))
        for code, base, seed in (("#c96f4a", -0.05, 3), ("#8c3f43", -0.3, 8), ("#3a2a45", -0.55, 21)):
            line = base + 0.45 * clouds(np.stack([x * 1.6 + seed, zero, zero]), 3) - 0.2
            sky = mix(sky, rgb(code), step(0, line - y, 0.01))
        strokes = 0.85 + 0.3 * clouds(np.stack([x * 14 + y * 5, y * 40, zero]), 3)
        mount = (np.abs(x) > 0.78) | (np.abs(y) > 0.7)
        return np.where(mount, rgb("#efe9dc"), sky * strokes)

    x, y, z = at
    frame = plain("#4b2f1f", 0.4, 0.3)
    sides = [(0, 0.165, 0.22, 0.014), (0, -0.165, 0.22, 0.014), (0.206, 0, 0.014, 0.165), (-0.206, 0, 0.014, 0.165)]
    bars = [thing(Box(), frame, x + u, y + v, z, matrix=np.diag([a, b, 0.018])) for u, v, a, b in sides]
    return [thing(Box(), made(canvas, "#b08a78"), x, y, z, matrix=np.diag([0.2, 0.16, 0.006])), *bars]
