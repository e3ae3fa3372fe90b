"""Texture in the holes of rendered right views: does it match what surrounds it, and what does that cost?

The constants of the texture are chosen by leaving one scene out: of the forms that on each of the others lose at most
0.7 dB against ``best``, and whose detail there is 0.7 to 1.3 of that around, what is printed for a scene is the one
with the highest mean HaarPSI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from math import log10
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor

from stereo_core import rendering
from stereo_core.hole_filling import find_hole_edges
from stereo_core.metrics import psnr
from stereo_core.rendering import Quality, render_view
from stereo_core.texture_filling import Texture, add_texture

from .perception import gmsd, haarpsi
from .references import warp_and_stretch
from .scenes import Scene, load_scenes
from .speed import interleaved, sized_scene
from .table import machine, print_table

_FINE = 1.0  # std in pixels of the low-pass that detail is measured against
_AROUND = 15  # pixels from the edge of a hole within which its surroundings count
_SURFACE = 4.0  # columns by which the disparity of one surface differs at most
_SAMPLES = 3000  # holes' pixels whose surroundings are looked at
_ALLOWED = 0.7  # dB that texture may cost in the holes of a scene
_LEAST, _MOST = 0.7, 1.3  # of the detail around that holes should have

FORMS = (
    Texture(),
    *(replace(Texture(), wanted=wanted) for wanted in (1.0, 1.3)),
    *(replace(Texture(), root=root) for root in (1.0, 2.0)),
    *(replace(Texture(), unlike=unlike) for unlike in (0.0, 0.25, 1.0)),
    *(replace(Texture(), fine=fine) for fine in (0.0, 0.3)),
    *(replace(Texture(), coarse=coarse) for coarse in (0.0, 0.2)),
    *(replace(Texture(), amplified=amplified) for amplified in (2.0, 4.0)),
    *(replace(Texture(), strengthened=strengthened) for strengthened in (2.0, 8.0)),
    *(replace(Texture(), hue=hue) for hue in (0.1, 0.25)),
    *(replace(Texture(), edge=edge) for edge in (0.4, 1.6)),
)
CHOSEN = "detail, constants of the others"

METHODS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "best": lambda image, disparity: render_view(image, disparity, Quality.BEST).image,
    "detail": lambda image, disparity: render_view(image, disparity, Quality.DETAIL).image,
    "fast": lambda image, disparity: render_view(image, disparity, Quality.FAST).image,
    "whole-pixel shift, holes stretched": warp_and_stretch,
}


def main() -> None:
    """Print one table of means over the scenes and one of the scenes."""
    scenes = load_scenes()
    print(f"## Texture in holes\n\n{machine('cpu')}. {len(scenes)} scenes at 512x512, true disparity.\n")
    figures = {name: [measure(method, scene) for scene in scenes] for name, method in METHODS.items()}
    if len(scenes) > 1:
        figures[CHOSEN] = leave_one_out(scenes, figures["best"])
    figures["true view"] = [measure(lambda *_, true=scene.right: true, scene) for scene in scenes]
    seconds = _seconds()
    rows = []
    for name, found in figures.items():
        column = {key: [of[key] for of in found] for key in found[0]}
        ratio = column["ratio"]
        rows.append(
            [name]
            + [f"{fmean(column['PSNR']):.2f}" if name != "true view" else ""]
            + [f"{min(ratio):.2f} / {fmean(ratio):.2f} / {max(ratio):.2f}"]
            + [f"{fmean(column['GMSD']):.4f}", f"{fmean(column['HaarPSI']):.4f}"]
            + [f"{seconds[name]:.2f}" if name in seconds else ""]
        )
    header = ["", "PSNR of holes", "detail, least / mean / most", "GMSD", "HaarPSI", "seconds at 1920x1080"]
    print_table(header, rows)
    rows = [
        [
            scene.name,
            *(f"{found[i]['PSNR']:.2f} / {found[i]['ratio']:.2f}" for found in figures.values()),
            f"{least_loss(figures['best'][i]):.2f}",
        ]
        for i, scene in enumerate(scenes)
    ]
    print_table(["PSNR of holes / detail", *figures, "least loss"], rows)
    print(
        f"Least loss: dB that {_LEAST:g} of the detail around costs where none of it meets the true one, however it "
        "is made; the rest of the loss is that of more detail, and of coarser texture.\n"
    )


@contextmanager
def textured_by(form: Texture) -> Iterator[None]:
    """Let ``render_view`` add another texture."""
    rendering.add_texture = partial(add_texture, texture=form)
    try:
        yield
    finally:
        rendering.add_texture = add_texture


def leave_one_out(scenes: list[Scene], best: list[dict[str, float]]) -> list[dict[str, float]]:
    """Measure every scene textured by the form that is chosen on the others."""
    found = []
    for form in FORMS:
        with textured_by(form):
            found.append([measure(METHODS["detail"], scene) for scene in scenes])
    chosen = []
    for index in range(len(scenes)):
        others = [other for other in range(len(scenes)) if other != index]

        def seen(figures: list[dict[str, float]], others: list[int] = others) -> float:
            return fmean(figures[other]["HaarPSI"] for other in others)

        allowed = [
            of
            for of in found
            if all(best[other]["PSNR"] - of[other]["PSNR"] <= _ALLOWED for other in others)
            and all(_LEAST <= of[other]["ratio"] <= _MOST for other in others)
        ]
        chosen.append(max(allowed or found, key=seen)[index])
    return chosen


def least_loss(best: dict[str, float]) -> float:
    """Return the dB of holes' PSNR that detail costs which has 0.7 of the energy around and is not the true one.

    Its energy comes on top of the squared error of the smooth fill, ``best``, whose own detail is taken for right.
    """
    added = max(0.0, _LEAST - best["ratio"]) * best["around"]
    return 10 * log10(1 + added / 10 ** (-best["PSNR"] / 10))


def measure(method: Callable[[Tensor, Tensor], Tensor], scene: Scene) -> dict[str, float]:
    """Measure one method's right view: PSNR of holes, their detail, and two perceptual measures of the whole view."""
    view = render_view(scene.left, scene.disparity, Quality.BEST)
    image = method(scene.left, scene.disparity)
    inside, around = detail_energies(image[0], view.image[0], view.hole[0, 0], _view_disparity(scene))
    return {
        "PSNR": float(psnr(image, scene.right, view.hole)),
        "ratio": inside / around,
        "around": around,
        "GMSD": gmsd(image[0], scene.right[0]),
        "HaarPSI": haarpsi(image[0], scene.right[0]),
    }


def detail_energies(image: Tensor, known: Tensor, hole: Tensor, disparity: Tensor) -> tuple[float, float]:
    """Measure the high-frequency energy in holes and that of the same surface around them; they should be alike.

    The energy of a pixel is its squared difference from a Gaussian mean (std 1 pixel) of the same surface. The
    surroundings of a hole pixel are the known pixels of the surface behind, up to 15 rows and columns from the edge of
    the hole in its row.

    Args:
        image: (C, H, W), whose holes are judged.
        known: (C, H, W), a view that is right outside holes.
        hole: (H, W) bool.
        disparity: (H, W) in columns of the view; holes are not read.

    Returns:
        The mean energy of a pixel in holes, and of one around them.
    """
    edges = find_hole_edges(hole, disparity)
    behind = disparity.clone()
    behind.view(-1)[edges.pixel] = behind.view(-1)[edges.edge]
    inside = _energy(image, hole, behind).flatten()[edges.pixel]
    outside = _energy(known, ~hole, behind)
    chosen = torch.arange(len(edges.pixel))[:: max(1, len(edges.pixel) // _SAMPLES)]
    width = hole.shape[1]
    edge = edges.edge[chosen]
    windows = partial(_windows, row=edge // width, column=edge % width)
    counts = ~windows(hole.float(), fill=1.0).bool()
    counts &= (windows(behind, fill=torch.inf) - behind.flatten()[edge][:, None]).abs() < _SURFACE
    around = (windows(outside, fill=0.0) * counts).sum(1) / counts.sum(1).clamp(min=1)
    seen = counts.any(1)
    return float(inside[chosen][seen].mean()), float(around[seen].mean())


def _energy(image: Tensor, mask: Tensor, disparity: Tensor) -> Tensor:
    """Return the squared difference of masked pixels from the mean of their surface, (H, W), mean of the channels."""
    total, count = torch.zeros_like(image), torch.zeros_like(disparity)
    height, width = mask.shape
    padded = (F.pad(image, (3, 3, 3, 3)), F.pad(mask, (3, 3, 3, 3)), F.pad(disparity, (3, 3, 3, 3)))
    for down in range(7):
        for right in range(7):
            there = (..., slice(down, down + height), slice(right, right + width))
            colour, seen, near = (values[there] for values in padded)
            squares = torch.tensor(float((down - 3) ** 2 + (right - 3) ** 2))
            weight = torch.exp(-squares / (2 * _FINE**2)) * seen * ((near - disparity).abs() < _SURFACE)
            total += colour * weight
            count += weight
    return (image - total / count.clamp(min=1e-6)).square().mean(0) * mask


def _windows(values: Tensor, row: Tensor, column: Tensor, fill: float) -> Tensor:
    padded = F.pad(values, (_AROUND,) * 4, value=fill)
    steps = torch.arange(2 * _AROUND + 1)
    return padded[row[:, None, None] + steps[:, None], column[:, None, None] + steps].flatten(1)


def _view_disparity(scene: Scene) -> Tensor:
    """Return the disparity that the right view shows, (H, W)."""
    near = scene.disparity / scene.disparity.shape[-1]
    return render_view(near, scene.disparity, Quality.FAST).image[0, 0] * scene.disparity.shape[-1]


def _seconds() -> dict[str, float]:
    image, disparity = sized_scene(1080, 1920)
    with torch.inference_mode():
        return interleaved({name: partial(method, image, disparity) for name, method in METHODS.items()}, "cpu", 5)


if __name__ == "__main__":
    main()
