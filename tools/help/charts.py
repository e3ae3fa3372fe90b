"""Small charts for diagrams: bars, time lines, cameras seen from above, cells of an image matrix."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw

from tools.diagram import CYAN, INK, ORANGE, PAPER, QUIET, RED, Cell, landscape, noise

Colour = tuple[int, int, int]
Share = tuple[float, float, Colour, str]  # from, to (0 to 1), its colour and its text


def bars(heights: Sequence[float], colours: Sequence[Colour], below: str, most: float = 1) -> Cell:
    """Bars from the left to the right; one of the height ``most`` takes all of the room."""

    def draw(size: tuple[int, int]) -> Image.Image:
        sheet = Image.new("RGB", size, PAPER)
        pen, left, bottom = ImageDraw.Draw(sheet), 24, size[1] - 40
        width = (size[0] - 2 * left) / len(heights)
        for number, (height, colour) in enumerate(zip(heights, colours, strict=True)):
            x, top = left + number * width, bottom - height / most * (bottom - 16)
            pen.rectangle((x + 1, min(top, bottom - 2), x + width - 2, bottom), fill=colour)
        pen.line((left, bottom + 1, size[0] - left, bottom + 1), fill=QUIET, width=2)
        pen.text((size[0] / 2, size[1] - 18), below, fill=INK, font_size=20, anchor="mm")
        return sheet

    return draw


def time_line(rows: Sequence[tuple[str, Sequence[Share]]], ticks: Sequence[float] = ()) -> Cell:
    """Rows of what happens when, from the first step on the left to the last on the right.

    Args:
        rows: a name, and the shares of the time that something takes.
        ticks: times at which something happens to the last row, 0 to 1.
    """

    def draw(size: tuple[int, int]) -> Image.Image:
        sheet = Image.new("RGB", size, PAPER)
        pen, left, right = ImageDraw.Draw(sheet), 90, size[0] - 20
        height = (size[1] - 60) // len(rows)
        for number, (name, shares) in enumerate(rows):
            top, bottom = 20 + number * height, 20 + number * height + height - 24
            pen.text((left - 12, (top + bottom) / 2), name, fill=INK, font_size=20, anchor="rm")
            for start, end, colour, text in shares:
                box = (left + start * (right - left), top, left + end * (right - left), bottom)
                pen.rectangle(box, fill=colour)
                middle = ((box[0] + box[2]) / 2, (top + bottom) / 2)
                pen.multiline_text(middle, text, fill=PAPER, font_size=19, anchor="mm", align="center", stroke_width=0)
        for tick in ticks:
            x = left + tick * (right - left)
            pen.polygon([(x - 7, size[1] - 56), (x + 7, size[1] - 56), (x, size[1] - 72)], fill=ORANGE)
        pen.line((left, size[1] - 34, right, size[1] - 34), fill=QUIET, width=2)
        pen.polygon([(right, size[1] - 40), (right, size[1] - 28), (right + 12, size[1] - 34)], fill=QUIET)
        pen.text((left, size[1] - 16), "first step", fill=QUIET, font_size=17, anchor="lm")
        pen.text((right, size[1] - 16), "last step", fill=QUIET, font_size=17, anchor="rm")
        return sheet

    return draw


def cameras(azimuths: Sequence[float], eyes: Sequence[int] = ()) -> Cell:
    """Cameras around a ball, seen from above.

    Args:
        azimuths: in degrees; 0 is below the ball, and they grow counterclockwise.
        eyes: numbers of the left and the right eye among them.
    """

    def draw(size: tuple[int, int]) -> Image.Image:
        sheet = Image.new("RGB", size, PAPER)
        pen, centre, radius = ImageDraw.Draw(sheet), (size[0] / 2, size[1] / 2), size[1] / 2 - 26
        pen.ellipse((centre[0] - 30, centre[1] - 30, centre[0] + 30, centre[1] + 30), fill=ORANGE)
        pen.ellipse((centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius), outline=QUIET)
        for number, azimuth in enumerate(azimuths):
            angle = math.radians(azimuth)
            x, y = centre[0] + radius * math.sin(angle), centre[1] + radius * math.cos(angle)
            colour = (RED, CYAN)[list(eyes).index(number)] if number in eyes else INK
            side, front = (math.cos(angle) * 11, -math.sin(angle) * 11), (math.sin(angle) * 16, math.cos(angle) * 16)
            pen.polygon(
                [
                    (x - front[0], y - front[1]),
                    (x + side[0] + front[0] / 2, y + side[1] + front[1] / 2),
                    (x - side[0] + front[0] / 2, y - side[1] + front[1] / 2),
                ],
                fill=colour,
            )
        return sheet

    return draw


def cells(
    rows: int,
    columns: int,
    shown: Callable[[int, int], bool] = lambda _row, _column: True,
    framed: Callable[[int, int], bool] = lambda _row, _column: False,
    noisy: bool = False,
) -> Cell:
    """An image matrix, views below each other and frames beside each other.

    Args:
        rows, columns: views and frames.
        shown: which cells are there; the others are empty.
        framed: which are framed.
        noisy: all but the framed ones are noise.
    """

    def draw(size: tuple[int, int]) -> Image.Image:
        sheet = Image.new("RGB", size, PAPER)
        gap, pen = 6, ImageDraw.Draw(sheet)
        inner = ((size[0] - gap * (columns + 1)) // columns, (size[1] - gap * (rows + 1)) // rows)
        for row in range(rows):
            for column in range(columns):
                x, y = gap + column * (inner[0] + gap), gap + row * (inner[1] + gap)
                box = (x - 3, y - 3, x + inner[0] + 2, y + inner[1] + 2)
                if not shown(row, column):
                    pen.rectangle((x, y, x + inner[0] - 1, y + inner[1] - 1), outline=QUIET)
                    continue
                drawn = noise if noisy and not framed(row, column) else landscape
                sheet.paste(drawn(inner, 1.6 * row / max(rows - 1, 1), column / max(columns - 1, 1)), (x, y))
                if framed(row, column):
                    pen.rectangle(box, outline=ORANGE, width=4)
        return sheet

    return draw
