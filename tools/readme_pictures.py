"""Draw the pictures of the README, and the icon and banner of the Comfy Registry, from pairs whose right view is known.

python tools/readme_pictures.py

It prints how close each made right view comes to the true one.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.setup import environment

environment.enter(__file__)

import numpy as np  # noqa: E402  # only inside the environment
import torch  # noqa: E402
from PIL import Image, ImageChops, ImageDraw, ImageFilter  # noqa: E402
from torch import Tensor  # noqa: E402

from stereo_core.formats import StereoFormat, combine  # noqa: E402
from stereo_core.metrics import psnr, ssim  # noqa: E402
from stereo_core.rendering import render_view  # noqa: E402
from tools.benchmarks.middlebury import Pair, motorcycle  # noqa: E402
from tools.example.files import CONVERGENCE, MAX_DISPARITY, still_life  # noqa: E402

FIRST = environment.ROOT / "web" / "example.jpg"
PICTURES = environment.ROOT / "tools" / "pictures"
WIDTH = 600  # of a picture in a sheet of two columns, in pixels
RED, CYAN, DARK = (255, 48, 56), (0, 214, 220), (18, 20, 26)


def to_tensor(picture: np.ndarray) -> Tensor:
    """(H, W, 3) bytes to (1, 3, H, W) in [0, 1]."""
    return torch.tensor(picture).movedim(-1, 0)[None] / 255


def to_picture(image: Tensor) -> Image.Image:
    return Image.fromarray((image[0].movedim(0, -1).clamp(0, 1) * 255).round().byte().numpy())


def cell(picture: Image.Image, text: str) -> Image.Image:
    """The picture at the width of a column, its label in the upper left corner."""
    height = round(picture.height * WIDTH / picture.width)
    picture = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture)
    draw.text((12, 8), text, fill="white", stroke_width=3, stroke_fill="black", font_size=24)
    return picture


def sheet(*rows: tuple[Image.Image, Image.Image]) -> Image.Image:
    """Rows of two cells, a thin line between them."""
    gap = 6
    size = (2 * WIDTH + gap, sum(left.height + gap for left, _ in rows) - gap)
    picture, top = Image.new("RGB", size, "white"), 0
    for left, right in rows:
        picture.paste(left, (0, top))
        picture.paste(right, (WIDTH + gap, top))
        top += left.height + gap
    return picture


def made(pair: Pair) -> tuple[Tensor, Tensor]:
    """Both views of the pair, the right one made from the left one and its disparity."""
    left = to_tensor(pair.left)
    return left, render_view(left, torch.from_numpy(pair.disparity)[None, None]).image


def report(name: str, right: Tensor, pair: Pair) -> None:
    truth = to_tensor(pair.right)
    print(f"{name}: PSNR {float(psnr(right, truth)):.2f} dB, SSIM {float(ssim(right, truth)):.3f}")


def disc(size: int, centre: tuple[float, float], radius: float) -> Image.Image:
    """A white disc on black, with a soft edge of a pixel."""
    large = Image.new("L", (4 * size, 4 * size))
    x, y, r = 4 * size * centre[0], 4 * size * centre[1], 4 * size * radius
    ImageDraw.Draw(large).ellipse((x - r, y - r, x + r, y + r), fill=255)
    return large.resize((size, size), Image.Resampling.LANCZOS)


def icon(size: int = 400) -> Image.Image:
    """A ball before a window, as an anaglyph: the window lies behind the screen, the ball before it."""
    eyes = []
    for colour, side in ((RED, 1), (CYAN, -1)):
        view = Image.new("RGB", (size, size), "black")
        frame = disc(size, (0.5 - 0.035 * side, 0.5), 0.36)
        frame = ImageChops.subtract(frame, disc(size, (0.5 - 0.035 * side, 0.5), 0.29))
        ball = disc(size, (0.5 + 0.085 * side, 0.5), 0.165)
        for shape in (frame, ball):
            view.paste(colour, mask=shape)
        eyes.append(view)
    ground = Image.new("L", (4 * size, 4 * size))
    ImageDraw.Draw(ground).rounded_rectangle((0, 0, 4 * size - 1, 4 * size - 1), size, fill=255)
    square = Image.new("RGB", (size, size), DARK)
    square = ImageChops.add(square, ImageChops.add(*eyes))
    square.putalpha(ground.resize((size, size), Image.Resampling.LANCZOS))
    return square.quantize(128, method=Image.Quantize.FASTOCTREE)


def banner(anaglyph: Image.Image, size: tuple[int, int] = (1260, 540)) -> Image.Image:
    """The name over an anaglyph, 21 to 9."""
    height = round(anaglyph.height * size[0] / anaglyph.width)
    picture = anaglyph.resize((size[0], height), Image.Resampling.LANCZOS)
    top = (height - size[1]) // 2
    picture = picture.crop((0, top, size[0], top + size[1]))
    shade = Image.linear_gradient("L").resize(size).point(lambda value: max(0, value - 96))
    picture.paste((0, 0, 0), mask=shade.filter(ImageFilter.GaussianBlur(8)))
    draw = ImageDraw.Draw(picture)
    draw.text((48, 372), "Latent Stereo", fill="white", font_size=84, stroke_width=1)
    draw.text((52, 472), "stereo pictures and stereo video for ComfyUI", fill="white", font_size=34)
    return picture


def main() -> None:
    """Draw and save everything."""
    PICTURES.mkdir(exist_ok=True)
    example, photograph = still_life(), motorcycle()
    left, right = made(example)
    report("still life", right, example)
    disparity = torch.from_numpy(example.disparity)[None, None]
    depth = (disparity / (MAX_DISPARITY / 100 * left.shape[3]) + CONVERGENCE).expand_as(left)
    anaglyph = to_picture(combine(left, right, StereoFormat.ANAGLYPH_DUBOIS))
    top = cell(to_picture(left), "picture"), cell(to_picture(depth), "depth map")
    bottom = cell(to_picture(right), "right view, made"), cell(anaglyph, "anaglyph (red-cyan)")
    sheet(top, bottom).save(FIRST, quality=82)

    seen, view = made(photograph)
    report("Motorcycle", view, photograph)
    sheet(
        (
            cell(to_picture(right), "still life: right view, made"),
            cell(Image.fromarray(example.right), "true right view"),
        ),
        (
            cell(to_picture(view), "photograph: right view, made"),
            cell(Image.fromarray(photograph.right), "photographed right view"),
        ),
        (cell(to_picture(right), "cross your eyes: right"), cell(to_picture(left), "left")),
    ).save(PICTURES / "results.jpg", quality=80)

    icon().save(PICTURES / "icon.png", optimize=True)
    banner(anaglyph).save(PICTURES / "banner.jpg", quality=82)
    for file in (FIRST, *sorted(PICTURES.iterdir())):
        print(f"{file.relative_to(environment.ROOT).as_posix()}: {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
