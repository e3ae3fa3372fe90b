"""Draw the workflows' thumbnails from the shipped example and the Middlebury Motorcycle pair.

python tools/thumbnails.py
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.setup import environment

environment.enter(__file__)

import numpy as np  # noqa: E402  # only inside the environment
import torch  # noqa: E402
from PIL import Image, ImageDraw  # noqa: E402
from torch import Tensor  # noqa: E402

from stereo_core.formats import StereoFormat, combine  # noqa: E402
from stereo_core.latent_shift import shift_latent  # noqa: E402
from stereo_core.rendering import render_view  # noqa: E402
from stereo_core.view_shift import HoleFill, ShiftForm, ViewShift  # noqa: E402
from tools.benchmarks.middlebury import motorcycle  # noqa: E402
from tools.example.files import CONVERGENCE, MAX_DISPARITY, still_life  # noqa: E402

SIZE = 512  # of a thumbnail, in pixels either way


def to_tensor(picture: np.ndarray) -> Tensor:
    """(H, W, 3) bytes to (1, 3, H, W) in [0, 1]."""
    return torch.tensor(picture).movedim(-1, 0)[None] / 255


def to_picture(image: Tensor) -> Image.Image:
    return Image.fromarray((image[0].movedim(0, -1).clamp(0, 1) * 255).round().byte().numpy())


def stack(*pictures: Image.Image) -> Image.Image:
    """Pictures of one width above each other."""
    sheet = Image.new("RGB", (pictures[0].width, sum(picture.height for picture in pictures)))
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    return sheet


def beside(*pictures: Image.Image) -> Image.Image:
    sheet = Image.new("RGB", (sum(picture.width for picture in pictures), pictures[0].height))
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width
    return sheet


def thumbnail(picture: Image.Image) -> Image.Image:
    """The whole picture on a dark square."""
    square = Image.new("RGB", (SIZE, SIZE), (24, 24, 24))
    picture = picture.copy()
    picture.thumbnail((SIZE, SIZE), Image.Resampling.LANCZOS)
    square.paste(picture, ((SIZE - picture.width) // 2, (SIZE - picture.height) // 2))
    return square


def label(picture: Image.Image, text: str) -> Image.Image:
    """Write into the upper left corner."""
    picture = picture.copy()
    draw = ImageDraw.Draw(picture)
    draw.text((10, 6), text, fill="white", stroke_width=3, stroke_fill="black", font_size=26)
    return picture


def caption(text: str, width: int, height: int = 44) -> Image.Image:
    """A dark bar with a line of text."""
    return label(Image.new("RGB", (width, height), (24, 24, 24)), text)


def film(picture: Image.Image, width: int) -> Image.Image:
    """Three frames of a camera that moves along a picture, as a strip of film."""
    frame = (width // 3, width // 4)
    margin, hole = frame[1] // 6, frame[1] // 12
    strip = Image.new("RGB", (width, frame[1] + 2 * margin))
    draw = ImageDraw.Draw(strip)
    side = int(picture.height * 0.8 * frame[0] / frame[1])
    for number in range(3):
        left = (picture.width - side) * number // 2
        top = picture.height // 10
        view = picture.crop((left, top, left + side, picture.height - top))
        strip.paste(view.resize((frame[0] - hole, frame[1]), Image.Resampling.LANCZOS), (number * frame[0], margin))
    for x in range(hole, width, 3 * hole):
        for y in ((margin - hole) // 2, strip.height - (margin + hole) // 2):
            draw.rectangle((x, y, x + hole, y + hole), fill="white")
    return strip


def image_matrix(views: list[Image.Image], width: int, given: Callable[[int, int], bool]) -> Image.Image:
    """Views below each other, frames of a camera that moves along them beside each other; what is given is framed."""
    count = len(views)
    cell = (width // count, width // count * 3 // 4)
    picture = Image.new("RGB", (count * cell[0], count * cell[1]))
    draw = ImageDraw.Draw(picture)
    for row, view in enumerate(views):
        side = int(view.height * 0.8 * cell[0] / cell[1])
        for column in range(count):
            left, top = (view.width - side) * column // (count - 1), view.height // 10
            frame = view.crop((left, top, left + side, view.height - top)).resize(cell, Image.Resampling.LANCZOS)
            corner = (column * cell[0], row * cell[1])
            picture.paste(frame, corner)
            if given(row, column):
                draw.rectangle((*corner, corner[0] + cell[0] - 1, corner[1] + cell[1] - 1), outline="orange", width=6)
    return picture


def example() -> Image.Image:
    """The example and its depth above the stereo picture that its workflow makes of them."""
    pair = still_life()
    left, disparity = to_tensor(pair.left), torch.from_numpy(pair.disparity)[None, None]
    depth = (disparity / (MAX_DISPARITY / 100 * left.shape[3]) + CONVERGENCE).expand_as(left)
    sbs = combine(left, render_view(left, disparity).image, StereoFormat.FULL_SBS)
    return stack(beside(to_picture(left), to_picture(depth)), to_picture(sbs))


def main() -> None:
    """Draw and save everything."""
    pair = motorcycle()
    left, disparity = to_tensor(pair.left), torch.from_numpy(pair.disparity)[None, None]
    screen = disparity - disparity.median()  # the middle of the scene on the screen
    rendered = render_view(left, screen)
    right = rendered.image
    depth = (disparity / disparity.max()).expand_as(left)
    sbs, anaglyph = (
        to_picture(combine(left, right, form)) for form in (StereoFormat.FULL_SBS, StereoFormat.ANAGLYPH_DUBOIS)
    )
    squeezed = to_picture(combine(left, right, StereoFormat.HALF_SBS))
    coarse = torch.nn.functional.interpolate(left, scale_factor=1 / 8, mode="area")
    columns = torch.nn.functional.interpolate(disparity / 8, size=coarse.shape[-2:], mode="nearest-exact")
    shifted = shift_latent(coarse, ViewShift(columns, ShiftForm.ROUNDED), HoleFill.ZEROS).samples[1:]
    blocks = to_picture(shifted).resize((left.shape[3], left.shape[2]), Image.Resampling.NEAREST)

    holes = to_picture(torch.where(rendered.hole, torch.ones_like(left), right))
    red_cyan = combine(left, right, StereoFormat.ANAGLYPH_DUBOIS)
    noise = torch.rand(red_cyan.shape, generator=torch.Generator().manual_seed(1))
    noisy = to_picture(0.4 * red_cyan + 0.6 * noise)
    width = left.shape[3]
    prompt = caption("a motorcycle in a workshop", width, left.shape[2] // 4)
    views = [to_picture(render_view(left, screen * share).image) for share in (-1.5, -1.0, -0.5)] + [to_picture(left)]

    thumbnails = {
        "image_depth_to_stereo": example(),
        "image_to_stereo": stack(to_picture(left), anaglyph),
        "video_to_stereo": squeezed,
        "latent_shift_inpaint": stack(to_picture(left), blocks),
        "text_to_stereo": stack(prompt, anaglyph),
        "image_to_stereo_diffusion": stack(beside(to_picture(left), holes), sbs),
        "depth_to_stereo": stack(to_picture(depth), anaglyph),
        "mixed_stereo": stack(sbs, beside(to_picture(depth), anaglyph)),
        "image_to_stereo_video": stack(to_picture(left), film(anaglyph, width)),
        "text_to_stereo_video": stack(prompt, film(to_picture(left), width), film(anaglyph, width)),
        "split_experts": stack(
            caption("high noise", width), film(noisy, width), caption("low noise", width), film(anaglyph, width)
        ),
        "restart_then_plain": stack(film(holes, width), film(noisy, width), film(anaglyph, width)),
    }
    thumbnails |= {
        "image_to_4d": image_matrix(views, width, lambda view, frame: view == len(views) - 1 and frame == 0),
        "video_to_4d": image_matrix(views, width, lambda view, _: view == len(views) - 1),
        "orbit_to_4d": image_matrix(views, width, lambda _, frame: frame == 0),
        "composed_stereo_video": stack(
            image_matrix([to_picture(left), to_picture(right)], width, lambda view, frame: view == frame == 0),
            film(anaglyph, width),
        ),
    }
    for name, picture in thumbnails.items():
        thumbnail(picture).save(environment.ROOT / "workflows" / f"{name}.jpg", quality=85)


if __name__ == "__main__":
    main()
