"""Draw the workflows' thumbnails.

python tools/thumbnails.py [NAME ...]

What needs no diffusion model is the workflow's own result on a real picture: the pack's example, and the Middlebury
Motorcycle with its measured depth. The others need weights that are not at hand here: they get a drawn diagram of what
goes in and what comes out, which says so.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.setup import environment

environment.enter(__file__)

import numpy as np  # noqa: E402  # only inside the environment
import torch  # noqa: E402
from PIL import Image, ImageOps  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.nn import functional  # noqa: E402

from stereo_core.cameras import orbit_camera, stereo_base, stereo_pair  # noqa: E402
from stereo_core.formats import StereoFormat, combine  # noqa: E402
from stereo_core.rendering import render_view  # noqa: E402
from stereo_core.splat_fitting import fit  # noqa: E402
from stereo_core.splat_options import Emphasis, FitOptions  # noqa: E402
from stereo_core.splatting import clip_depths, render_pair  # noqa: E402
from tools.benchmarks.middlebury import motorcycle  # noqa: E402
from tools.diagram import (  # noqa: E402
    PAPER,
    SIZE,
    Cell,
    alone,
    depth_map,
    diagram,
    film,
    landscape,
    matrix,
    noise,
    pair,
    picture,
    words,
)
from tools.diagram import beside as in_a_row  # noqa: E402
from tools.example.files import CONVERGENCE, MAX_DISPARITY, SHIPPED, still_life  # noqa: E402
from tools.example.moving_scene import FRAMES, ORBIT, VIEWS  # noqa: E402
from tools.host import workflow_file  # noqa: E402


def to_tensor(image: object) -> Tensor:
    """(H, W, 3) bytes to (1, 3, H, W) in [0, 1]."""
    return torch.tensor(image).movedim(-1, 0)[None] / 255


def to_picture(image: Tensor) -> Image.Image:
    return Image.fromarray((image[0].movedim(0, -1).clamp(0, 1) * 255).round().byte().numpy())


def stack(*pictures: Image.Image) -> Image.Image:
    """Pictures of one width above each other."""
    sheet = Image.new("RGB", (pictures[0].width, sum(picture.height for picture in pictures)))
    top = 0
    for each in pictures:
        sheet.paste(each, (0, top))
        top += each.height
    return sheet


def beside(*pictures: Image.Image) -> Image.Image:
    sheet = Image.new("RGB", (sum(picture.width for picture in pictures), pictures[0].height))
    left = 0
    for each in pictures:
        sheet.paste(each, (left, 0))
        left += each.width
    return sheet


def thumbnail(sheet: Image.Image) -> Image.Image:
    """The whole sheet on a dark square."""
    square = Image.new("RGB", (SIZE, SIZE), PAPER)
    sheet = sheet.copy()
    sheet.thumbnail((SIZE, SIZE), Image.Resampling.LANCZOS)
    square.paste(sheet, ((SIZE - sheet.width) // 2, (SIZE - sheet.height) // 2))
    return square


def results() -> dict[str, Image.Image]:
    """What the workflows make that need no diffusion model."""
    scene = still_life()
    left, disparity = to_tensor(scene.left), torch.from_numpy(scene.disparity)[None, None]
    depth = (disparity / (MAX_DISPARITY / 100 * left.shape[3]) + CONVERGENCE).expand_as(left)
    right = render_view(left, disparity).image
    both = to_picture(combine(left, right, StereoFormat.FULL_SBS))
    example = stack(beside(to_picture(left), to_picture(depth)), both)
    seen = stack(to_picture(combine(left, right, StereoFormat.ANAGLYPH_DUBOIS)), to_picture((left - right).abs()))
    folder = [_photo_and_pair(to_picture(left), both)]

    photo = motorcycle()
    left, disparity = to_tensor(photo.left), torch.from_numpy(photo.disparity)[None, None]
    right = render_view(left, disparity - disparity.median()).image  # the middle of the scene on the screen
    packed = to_picture(combine(left, right, StereoFormat.FULL_SBS))
    folder += [_photo_and_pair(to_picture(left), packed)]
    strip = film(lambda size, time: _pan(packed, size, time))((SIZE, SIZE // 4))
    near = (disparity / disparity.amax()).clamp(0, 1).expand_as(left)
    shown = beside(to_picture(left), to_picture(near))
    frames, depths = (film(partial(_view, shown, eye))((SIZE, SIZE // 4)) for eye in (0, 1))
    small = packed.resize((SIZE, SIZE // 3), Image.Resampling.LANCZOS)
    return {
        "image_depth_to_stereo": example,
        "look_at_it": seen,
        "views_to_4d_stereo": _scene(),
        "image_to_stereo": stack(to_picture(left), ImageOps.scale(packed, 0.5)),
        "folder_to_stereo": stack(*folder, *folder),
        "video_to_stereo": stack(strip, small, strip),
        "video_depth_to_stereo_video": stack(frames, depths, small),
        "film_to_stereo_film": stack(*[strip] * 4),
    }


def _scene() -> Image.Image:
    """Some of the views of Splat 4D Example, and below them both eyes of a flight past what is made of them."""
    with Image.open(SHIPPED / "moving_scene.png") as file:
        sheet = to_tensor(np.asarray(file.convert("RGB")))[0]
    matrix = sheet.unflatten(1, (VIEWS, -1)).unflatten(3, (FRAMES, -1)).permute(1, 3, 0, 2, 4)  # (V, F, 3, H, W)
    small = functional.interpolate(matrix.flatten(0, 1), scale_factor=0.5, mode="area").unflatten(0, matrix.shape[:2])
    scene = fit(small, ORBIT, FitOptions(1500, 1200, 360, emphasis=Emphasis.EVEN))
    rows = []
    for time in (0.0, 0.5, 1.0):
        camera = orbit_camera(50 * time - 25, 10, 1.7, ORBIT.fov, 320, 240)
        base = stereo_base(camera, 4, 0.5, *clip_depths(scene, [camera], [time]))
        rows.append(
            beside(*(to_picture(eye.color[None]) for eye in render_pair(scene, stereo_pair(camera, base), time)))
        )
    views = beside(*(to_picture(view[None]) for view in matrix[1::2, 0]))
    width = rows[0].width
    return stack(views.resize((width, width * views.height // views.width), Image.Resampling.LANCZOS), *rows)


def _photo_and_pair(photo: Image.Image, both: Image.Image) -> Image.Image:
    """A row of the thumbnail, a fourth of it high."""
    third, height = SIZE // 3, SIZE // 4
    sizes = (third, height), (SIZE - third, height)
    return beside(*(ImageOps.fit(*each, Image.Resampling.LANCZOS) for each in zip((photo, both), sizes, strict=True)))


def _pan(sbs: Image.Image, size: tuple[int, int], time: float) -> Image.Image:
    """A frame of a camera that moves over a picture, in side by side."""
    return beside(*(_view(sbs, eye, (size[0] // 2, size[1]), time) for eye in (0, 1)))


def _view(sbs: Image.Image, eye: int, size: tuple[int, int], time: float) -> Image.Image:
    """One half of that frame."""
    width = sbs.width // 2
    side = round(width * 0.8)
    left = eye * width + round((width - side) * time)
    return sbs.crop((left, 0, left + side, sbs.height)).resize(size)


def clip(eye: float = 0) -> Cell:
    return film(lambda size, time: landscape(size, eye, time))


def diagrams() -> dict[str, Image.Image]:
    """What goes in and what comes out of the workflows that need a diffusion model."""
    prompt = words("“a tree, hills, a balloon”")
    views = pair(picture)
    clips = pair(clip)
    latent = in_a_row(picture(), lambda size: landscape((24, 16), 1).resize(size, Image.Resampling.NEAREST))
    noisy = pair(lambda eye: film(lambda size, time: noise(size, eye, time)))
    rows: dict[str, list[tuple[str, Cell]]] = {
        "text_to_stereo": [("prompt", prompt), ("left and right view", views)],
        "image_to_stereo_diffusion": [
            ("picture and its depth", in_a_row(picture(), depth_map)),
            ("left and right view, edges painted", views),
        ],
        "film_to_stereo_diffusion": [
            ("a film, window by window", clip()),
            ("its depth", film(lambda size, time: landscape(size, time=time, depth=True))),
            ("left and right film, edges painted", clips),
        ],
        "depth_to_stereo": [
            ("depth and prompt", in_a_row(depth_map, words("“a tree,\nhills”"))),
            ("new left and right view", views),
        ],
        "image_to_stereo_video": [("picture", alone(picture())), ("left and right clip", clips)],
        "text_to_stereo_video": [("prompt", prompt), ("left and right clip", clips)],
        "mixed_stereo": [
            ("picture's depth, prompt", in_a_row(depth_map, words("“...”"))),
            ("your model", words("LoRA  +  ControlNet  +  sampler")),
            ("left and right view", views),
        ],
        "latent_shift_inpaint": [
            ("picture and depth", in_a_row(picture(), depth_map)),
            ("latent, shifted", latent),
            ("left and right view", views),
        ],
        "split_experts": [("high noise model", noisy), ("low noise model", clips)],
        "restart_then_plain": [
            ("first steps, restarted", noisy),
            ("any sampler", words("dpmpp_2m, ...")),
            ("left and right clip", clips),
        ],
        "composed_stereo_video": [
            ("picture", alone(picture())),
            ("views x frames", matrix(2, 4, lambda view, frame: view == frame == 0)),
        ],
        "image_to_4d": [("picture to all views of all frames", matrix(4, 4, lambda v, f: v == f == 0))],
        "video_to_4d": [("clip to all views of all frames", matrix(4, 4, lambda v, _: v == 0))],
        "orbit_to_4d": [("orbit to all views of all frames", matrix(4, 4, lambda _, f: f == 0))],
    }
    return {name: diagram(each) for name, each in rows.items()}


def main() -> None:
    """Draw and save the named thumbnails, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *workflow_file.names()], help="default: all")
    names = parser.parse_args().names or workflow_file.names()
    drawn = results() | diagrams()
    for name in names:
        thumbnail(drawn[name]).save(workflow_file.file_of(name).with_suffix(".jpg"), quality=85)


if __name__ == "__main__":
    main()
