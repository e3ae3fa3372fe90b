"""Drawn diagrams of what a workflow takes and what it makes: a small landscape, as picture, depth map, clip or pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

SIZE = 512  # of a thumbnail, in pixels either way
PAPER, INK, QUIET = (28, 31, 38), (235, 238, 242), (150, 158, 170)
CYAN, RED, ORANGE = (0, 200, 210), (240, 70, 70), (255, 166, 0)

# Layers from far to near: colour, inverse depth, and the outline in shares of the picture.
_LAYERS: list[tuple[tuple[int, int, int], float, list[tuple[float, float]]]] = [
    ((104, 128, 168), 0.30, [(-0.3, 1), (-0.3, 0.62), (0.05, 0.34), (0.3, 0.56), (0.62, 0.26), (1.3, 0.66), (1.3, 1)]),
    ((70, 116, 98), 0.55, [(-0.3, 1), (-0.3, 0.7), (0.2, 0.6), (0.7, 0.74), (1.3, 0.62), (1.3, 1)]),
    ((44, 84, 58), 0.75, [(-0.3, 1), (-0.3, 0.86), (0.5, 0.8), (1.3, 0.88), (1.3, 1)]),
]
_SKY, _SUN, _TRUNK, _TREE = (178, 206, 232), (252, 226, 150), (92, 62, 44), (30, 112, 62)
_SHIFT = 0.16  # of the nearest layer between the views, in widths: enough to be seen


def landscape(size: tuple[int, int], eye: float = 0, time: float = 0, depth: bool = False) -> Image.Image:
    """The landscape.

    Args:
        size: width and height in pixels.
        eye: 0 for the left view, 1 for the right one.
        time: 0 to 1; a balloon rises.
        depth: grey levels in place of colours, white near.
    """
    scale = 3  # drawn larger, for smooth edges
    width, height = size[0] * scale, size[1] * scale

    def colour(real: tuple[int, int, int], near: float) -> tuple[int, int, int]:
        grey = round(30 + 220 * near)
        return (grey, grey, grey) if depth else real

    def place(x: float, near: float) -> float:
        return (x - _SHIFT * eye * (near - 0.3)) * width

    picture = Image.new("RGB", (width, height), colour(_SKY, 0))
    draw = ImageDraw.Draw(picture)

    def disc(x: float, y: float, radius: float, near: float, real: tuple[int, int, int]) -> None:
        centre, r = (place(x, near), y * height), radius * width
        draw.ellipse((centre[0] - r, centre[1] - r, centre[0] + r, centre[1] + r), fill=colour(real, near))

    disc(0.8, 0.2, 0.07, 0.05, _SUN)
    for real, near, outline in _LAYERS:
        draw.polygon([(place(x, near), y * height) for x, y in outline], fill=colour(real, near))
    disc(0.62, 0.5 - 0.26 * time, 0.075, 0.65, RED)
    trunk = place(0.26, 1)
    draw.rectangle((trunk - 0.018 * width, 0.66 * height, trunk + 0.018 * width, 0.97 * height), fill=colour(_TRUNK, 1))
    disc(0.26, 0.52, 0.15, 1, _TREE)
    return picture.resize(size, Image.Resampling.LANCZOS)


def grain(size: tuple[int, int]) -> Image.Image:
    """Noise alone, always the same; its grains are three pixels wide, so that its file stays small."""
    small = (-(-size[1] // 3), -(-size[0] // 3))
    values = np.random.default_rng(0).normal(128, 160, small).clip(0, 255).astype(np.uint8)
    return Image.fromarray(values.repeat(3, 0).repeat(3, 1)[: size[1], : size[0]]).convert("RGB")


def noise(size: tuple[int, int], eye: float = 0, time: float = 0, amount: float = 0.65) -> Image.Image:
    """The landscape behind noise, of which ``amount`` is 0 to 1."""
    return Image.blend(landscape(size, eye, time), grain(size), amount)


Cell = Callable[[tuple[int, int]], Image.Image]


def picture(eye: float = 0, time: float = 0) -> Cell:
    return lambda size: landscape(size, eye, time)


def depth_map(size: tuple[int, int]) -> Image.Image:
    return landscape(size, depth=True)


def words(text: str) -> Cell:
    """A prompt on a card."""

    def draw(size: tuple[int, int]) -> Image.Image:
        card = Image.new("RGB", size, (46, 51, 62))
        middle = (size[0] / 2, size[1] / 2)
        ImageDraw.Draw(card).multiline_text(
            middle, text, fill=INK, font_size=24, anchor="mm", align="center", spacing=8
        )
        return card

    return draw


def film(frame: Callable[[tuple[int, int], float], Image.Image], count: int = 3) -> Cell:
    """Frames on a strip of film."""

    def draw(size: tuple[int, int]) -> Image.Image:
        strip = Image.new("RGB", size, (8, 8, 10))
        edge, gap = max(10, size[1] // 8), 4
        inner = ((size[0] - gap * (count + 1)) // count, size[1] - 2 * edge)
        for number in range(count):
            strip.paste(frame(inner, number / max(1, count - 1)), (gap + number * (inner[0] + gap), edge))
        pen = ImageDraw.Draw(strip)
        for x in range(6, size[0] - 6, 18):
            for y in (edge // 2, size[1] - edge // 2):
                pen.rectangle((x, y - 2, x + 7, y + 2), fill=QUIET)
        return strip

    return draw


def matrix(rows: int, columns: int, given: Callable[[int, int], bool]) -> Cell:
    """Views below each other, frames beside each other; what is given has a frame."""

    def draw(size: tuple[int, int]) -> Image.Image:
        sheet = Image.new("RGB", size, PAPER)
        gap = 6
        inner = ((size[0] - gap * (columns + 1)) // columns, (size[1] - gap * (rows + 1)) // rows)
        pen = ImageDraw.Draw(sheet)
        for row in range(rows):
            for column in range(columns):
                corner = (gap + column * (inner[0] + gap), gap + row * (inner[1] + gap))
                sheet.paste(landscape(inner, 1.6 * row / (rows - 1), column / (columns - 1)), corner)
                if given(row, column):
                    box = (corner[0] - 4, corner[1] - 4, corner[0] + inner[0] + 3, corner[1] + inner[1] + 3)
                    pen.rectangle(box, outline=ORANGE, width=5)
        return sheet

    return draw


def beside(*cells: Cell) -> Cell:
    """Cells in a row."""

    def draw(size: tuple[int, int]) -> Image.Image:
        row = Image.new("RGB", size, PAPER)
        gap = 8
        width = (size[0] - gap * (len(cells) - 1)) // len(cells)
        for number, cell in enumerate(cells):
            row.paste(cell((width, size[1])), (number * (width + gap), 0))
        return row

    return draw


def alone(cell: Cell) -> Cell:
    """A picture in its own shape, in the middle."""

    def draw(size: tuple[int, int]) -> Image.Image:
        row = Image.new("RGB", size, PAPER)
        width = min(size[0], size[1] * 7 // 5)
        row.paste(cell((width, size[1])), ((size[0] - width) // 2, 0))
        return row

    return draw


def pair(cell: Callable[[float], Cell]) -> Cell:
    """The left view in a red frame, the right one in a cyan one."""

    def framed(eye: float, colour: tuple[int, int, int]) -> Cell:
        def draw(size: tuple[int, int]) -> Image.Image:
            view = cell(eye)(size)
            ImageDraw.Draw(view).rectangle((0, 0, size[0] - 1, size[1] - 1), outline=colour, width=4)
            return view

        return draw

    return beside(framed(0, RED), framed(1, CYAN))


def diagram(rows: Sequence[tuple[str, Cell]]) -> Image.Image:
    """Rows from what is given to what is made, an arrow between two of them, each with its label."""
    sheet = Image.new("RGB", (SIZE, SIZE), PAPER)
    pen = ImageDraw.Draw(sheet)
    arrow, label, foot = 24, 26, 22
    margin = 20
    free = SIZE - foot - 12 - len(rows) * label - (len(rows) - 1) * arrow
    height = free // len(rows)
    top, tops = 8, []
    for text, cell in rows:
        pen.text((margin, top + 4), text, fill=INK, font_size=18)
        wide = min(SIZE - 2 * margin, 3 * height)
        sheet.paste(cell((wide, height)), ((SIZE - wide) // 2, top + label))
        tops.append(top)
        top += label + height + arrow
    for _, below in pairwise(tops):
        y = below - arrow
        pen.polygon([(SIZE / 2 - 14, y + 6), (SIZE / 2 + 14, y + 6), (SIZE / 2, y + arrow - 2)], fill=QUIET)
    pen.text((SIZE - margin, SIZE - 6), "diagram", fill=QUIET, font_size=16, anchor="rb")
    return sheet
