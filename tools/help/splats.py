"""The pictures of the nodes for moving scenes, run in the host on the pack's own example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from tools.diagram import film
from tools.help.sheet import SIZE, result

_FIT = {"azimuths": "", "elevation": 0.0, "size": 64, "gaussians": 1500, "iterations": 1200, "seed": 1}
_SEEN = {"max_disparity": 4.0, "convergence": 0.5, "width": 480, "height": 360, "background": ""}
_SHOWN = 5  # frames of a film

Pictures = dict[str, tuple[Image.Image, Image.Image]]


def splat_results(run: Callable[..., tuple[Any, ...]]) -> Pictures:
    """Run the nodes.

    Args:
        run: executes a node, by the name of its class, and returns what it gives.

    Returns:
        By the name of the node's class: what goes in, and what comes out.
    """
    from comfy_extras.nodes_gaussian_splat import RenderSplat

    images, views, _ = run("SplatExample")
    matrix = images.unflatten(0, (views, -1))
    (options,) = run("SplatOptions", "curve", "even", 0.3, 5, 33.8, "")
    scene, *_ = run("SplatReconstruct", **_FIT, views=views, images=images, options=options)

    def seen(first: float, last: float, near: float = 0.8, frames: int = _SHOWN, **given: Any) -> tuple[Tensor, ...]:
        (path,) = run("SplatPath", first, last, 10.0, 10.0, near, near, 0.0, 1.0)
        return run("SplatStereo", scene, **{**_SEEN, **given}, frames=frames, path=path)

    time = result("a scene that moves", _film(seen(0.0, 0.0, width=360)[0]))
    left, right, *_ = seen(-15.0, -15.0, frames=2)
    flight = seen(-30.0, 30.0, frames=2)[0]
    (still,) = run("SplatAt", scene, 0.5, False)
    with torch.inference_mode():
        shown = RenderSplat.execute(still, 480, 360, 1, 1.0, 1.0, 0.0, 0.0, "#ffffff", "color").args[0]
    return {
        "SplatExample": (
            result("six of twelve sides, at the first frame", _film(matrix[1::2, 0])),
            result("the front, over time", _film(matrix[-1, ::2])),
        ),
        "SplatReconstruct": (
            result("pictures from several sides and times", _films(matrix[1::2, 0], matrix[1::2, -1])),
            result("the scene, from between those sides", _film(seen(-15.0, 15.0, width=360)[0])),
        ),
        "SplatStereo": (
            time,
            result("left and right view, from elsewhere", *(_picture(eye[1]) for eye in (left, right))),
        ),
        "SplatPath": (
            result("the first frame, azimuth -30", _picture(flight[0])),
            result("the last frame, azimuth 30", _picture(flight[1])),
        ),
        "SplatAt": (time, result("one moment of it, by Render Splat", _picture(shown[0]))),
    }


def _film(frames: Tensor) -> Image.Image:
    pictures = [_picture(frame) for frame in frames]
    height = round(SIZE[0] / len(pictures) * pictures[0].height / pictures[0].width)
    strip = film(lambda size, time: pictures[round(time * (len(pictures) - 1))].resize(size), len(pictures))
    return strip((SIZE[0], height + 40))


def _films(*clips: Tensor) -> Image.Image:
    """Films below each other."""
    strips = [_film(clip) for clip in clips]
    sheet = Image.new("RGB", (SIZE[0], sum(strip.height for strip in strips)))
    for number, strip in enumerate(strips):
        sheet.paste(strip, (0, number * strip.height))
    return sheet


def _picture(image: Tensor) -> Image.Image:
    return Image.fromarray((image * 255).round().byte().cpu().numpy())
