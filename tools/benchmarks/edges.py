"""Soft and misplaced depth edges: what the right view loses by them, and what sharpening wins back.

The constants are chosen by leaving one scene out: what is printed for a scene is the form that is best in the mean of
the others, over all kinds of maps.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from statistics import fmean, median

import torch
import torch.nn.functional as F
from torch import Tensor

from stereo_core.depth_edges import Sharpening, sharpen_edges
from stereo_core.frame_matching import resize_keeping_edges
from stereo_core.metrics import flicker, psnr
from stereo_core.rasterizing import TEAR
from stereo_core.rendering import Quality, render_view

from . import clip_scenes
from .scenes import STEREO_DATA, Scene, load_scenes
from .speed import sized_scene
from .table import machine, print_table

CHOSEN = Sharpening()
FORMS = (
    CHOSEN,
    replace(CHOSEN, reach=5, shorter=(4, 3, 2)),
    replace(CHOSEN, reach=7, shorter=(5, 3, 2)),
    replace(CHOSEN, rounds=1),
)


def blurred(depth: Tensor, std: float = 3.0) -> Tensor:
    reach = round(3 * std)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / std) ** 2)
    kernel = kernel / kernel.sum()
    padded = F.pad(depth, (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))


def _grown(depth: Tensor) -> Tensor:
    return F.max_pool2d(depth, 5, 1, 2)


def _quantized(depth: Tensor) -> Tensor:
    return (depth / depth.max() * 255).round() / 255 * depth.max()


def _small(depth: Tensor) -> Tensor:
    return F.interpolate(depth, scale_factor=0.25, mode="area")


def _enlarged(depth: Tensor, soft: bool) -> Tensor:
    """As a node takes a small map: in [0, 1], to the picture's size."""
    small, largest = _small(depth), depth.max()
    return resize_keeping_edges(small / largest, tuple(depth.shape[-2:]), soft) * largest


# Each makes of a true map what a node is given, and of the same what is sharpened.
KINDS: dict[str, Callable[[Tensor], tuple[Tensor, Tensor]]] = {
    "exact": lambda depth: (depth, depth),
    "8 bit": lambda depth: (_quantized(depth),) * 2,
    "blurred, 3 px": lambda depth: (blurred(depth),) * 2,
    "blurred, 1.5 px, 8 bit": lambda depth: (_quantized(blurred(depth, 1.5)),) * 2,
    "a quarter of the size": lambda depth: (_enlarged(depth, False), _enlarged(depth, True)),
    "objects 2 px too small, soft": lambda depth: (blurred(-_grown(-depth), 1.5),) * 2,
    "objects 2 px too large, soft": lambda depth: (blurred(_grown(depth), 1.5),) * 2,
    "2 px to the right, soft": lambda depth: (
        (blurred(F.pad(depth, (2, 0, 0, 0), mode="replicate")[..., :-2], 1.5),) * 2
    ),
    "2 px to the right, sharp": lambda depth: (F.pad(depth, (2, 0, 0, 0), mode="replicate")[..., :-2],) * 2,
}


def _psnr(scene: Scene, disparity: Tensor) -> float:
    return float(psnr(render_view(scene.left, disparity, Quality.BEST).image, scene.right))


def left_out(gains: list[list[float]]) -> list[int]:
    """For each scene the form that is best in the mean of the others, from ``gains[scene][form]``."""
    forms = range(len(gains[0]))
    return [
        max(forms, key=lambda form: fmean(g[form] for other, g in enumerate(gains) if other != scene))
        for scene in range(len(gains))
    ]


def quality() -> None:
    scenes = load_scenes()
    if len(scenes) == 1:
        print(f"Motorcycle alone: {STEREO_DATA.parts[-3]}/data/stereo is not beside the project.\n")
    given: dict[str, list[float]] = {kind: [] for kind in KINDS}
    made: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    for scene in scenes:
        for kind, spoil in KINDS.items():
            as_given, soft = spoil(scene.disparity)
            given[kind].append(_psnr(scene, as_given))
            forms = FORMS if len(scenes) > 1 else FORMS[:1]
            made[kind].append([_psnr(scene, sharpen_edges(soft, scene.left, TEAR, form)) for form in forms])
    chosen = [0] * len(scenes)
    if len(scenes) > 1:
        chosen = left_out(
            [[fmean(form) for form in zip(*rows, strict=True)] for rows in zip(*made.values(), strict=True)]
        )
    rows = []
    for kind in KINDS:
        default = [found[0] for found in made[kind]]
        others = [found[form] for found, form in zip(made[kind], chosen, strict=True)]
        gains = [after - before for after, before in zip(default, given[kind], strict=True)]
        rows.append(
            [kind, *(f"{fmean(figures):.2f}" for figures in (given[kind], default, others))]
            + [f"{fmean(gains):+.2f}", f"{min(gains):+.2f}", f"{max(gains):+.2f}"]
        )
    header = [f"mean of {len(scenes)}, dB", "as given", "sharpened", "constants of the others", "gain", "least", "most"]
    print_table(header, rows)
    if len(scenes) > 1:
        means = [
            [fmean(found[form] for found in made[kind]) - fmean(given[kind]) for kind in KINDS]
            for form in range(len(FORMS))
        ]
        rows = [[_named(form), *(f"{gain:+.2f}" for gain in gains)] for form, gains in zip(FORMS, means, strict=True)]
        print_table(["gain by form", *KINDS], rows)


def _named(form: Sharpening) -> str:
    others = {key: value for key, value in asdict(form).items() if value != getattr(CHOSEN, key)}
    return ", ".join(f"{key} {value}" for key, value in others.items()) or "the default"


def stillness() -> None:
    """Soft maps that stand still before films that do not quite: how much the sharpened ones change."""
    if not clip_scenes.VIDEO.is_dir():
        print("The films are not beside the project.\n")
        return
    rows = []
    for name, film in (("the rabbit", clip_scenes.bunny), ("the telescope", clip_scenes.telescope)):
        clip = clip_scenes.compose(film(0, 8), clip_scenes.Occluder(start=320, speed=0))
        soft = blurred(clip.disparity)
        sharp = torch.cat([sharpen_edges(*pair, TEAR) for pair in zip(soft.split(1), clip.image.split(1), strict=True)])
        views = [
            torch.cat([render_view(*pair).image for pair in zip(clip.image.split(1), near.split(1), strict=True)])
            for near in (clip.disparity, soft, sharp)
        ]
        near = 255 * torch.stack([flicker(view, clip.image) for view in views]).nanmean(1)
        rows.append(
            [name, f"{float(flicker(sharp, clip.image).nanmean()):.4f}", *(f"{float(each):.2f}" for each in near)]
        )
    header = ["flicker where the film stands still", "sharpened map, columns"]
    print_table([*header, "view of 255: true map", "soft map", "sharpened map"], rows)


def cost() -> None:
    rows = []
    for height, width in ((1080, 1920), (2160, 3840)):
        image, disparity = sized_scene(height, width)
        seconds = {}
        for name, near in (("sharp", disparity), ("soft", blurred(disparity, 3 * width / 960))):
            found = []
            for _ in range(5):
                start = time.perf_counter()
                sharpen_edges(near, image, TEAR)
                found.append(time.perf_counter() - start)
            seconds[name] = median(found)
        rows.append([f"{width}x{height}", *(f"{1000 * each:.0f} ms" for each in seconds.values())])
    print_table(["time for a frame", "sharp map", "soft map"], rows)


def main() -> None:
    print(f"## Depth edges\n\n{machine('cpu')}\n\nPSNR of best at 512x512 against the true right view:\n")
    quality()
    stillness()
    cost()


if __name__ == "__main__":
    main()
