"""One picture of a help page: its label, and whether it was drawn."""

from __future__ import annotations

from PIL import Image, ImageDraw

from tools.diagram import INK, PAPER, QUIET, Cell

SIZE = (480, 270)  # of what a label stands above, in pixels: as wide as the editor's help panel
LABEL = 34


def drawn(text: str, cell: Cell) -> Image.Image:
    """A diagram, marked as one."""
    sheet = _sheet(text, SIZE[1])
    sheet.paste(cell(SIZE), (0, LABEL))
    ImageDraw.Draw(sheet).text((SIZE[0] - 8, LABEL / 2), "diagram", fill=QUIET, font_size=16, anchor="rm")
    return sheet


def result(text: str, *pictures: Image.Image) -> Image.Image:
    """Pictures that a node took or made, side by side in their own shape."""
    gap = 6
    width = (SIZE[0] - gap * (len(pictures) - 1)) / len(pictures)
    height = round(max(width * picture.height / picture.width for picture in pictures))
    sheet = _sheet(text, height)
    for number, picture in enumerate(pictures):
        size = (round(width), round(width * picture.height / picture.width))
        place = (round(number * (width + gap)), LABEL + (height - size[1]) // 2)
        sheet.paste(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS), place)
    return sheet


def _sheet(text: str, height: int) -> Image.Image:
    sheet = Image.new("RGB", (SIZE[0], LABEL + height), PAPER)
    ImageDraw.Draw(sheet).text((8, LABEL / 2), text, fill=INK, font_size=20, anchor="lm")
    return sheet
