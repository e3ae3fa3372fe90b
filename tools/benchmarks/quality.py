"""Rendered right views against true ones: PSNR and SSIM, on all pixels, visible ones and holes.

The constants of the smooth fill are chosen by leaving one scene out: what is printed for a scene is the form that is
best in the mean of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from statistics import fmean

import torch
from torch import Tensor

from stereo_core import rendering
from stereo_core.hole_filling import SmoothFill, fill_smoothly
from stereo_core.metrics import psnr, ssim
from stereo_core.rendering import Quality, render_view
from stereo_core.warping import forward_warp

from .references import mesh_and_diffuse, warp_and_stretch
from .scenes import STEREO_DATA, Disparity, Scene, load_scenes
from .table import machine, print_table

FORMS = (
    SmoothFill(),
    *(replace(SmoothFill(), blur=blur) for blur in (1.0, 2.0)),
    *(replace(SmoothFill(), wide=wide) for wide in (3.0, 6.0)),
    *(replace(SmoothFill(), likeness=likeness) for likeness in (64.0, 1024.0)),
    *(replace(SmoothFill(), kept=kept) for kept in (0.25, 0.75)),
    *(replace(SmoothFill(), doubt=doubt) for doubt in (0.03, 0.3)),
    *(replace(SmoothFill(), relaxations=relaxations) for relaxations in (10, 40)),
    *(replace(SmoothFill(), drawn=drawn) for drawn in (0.0, 0.1)),
    *(replace(SmoothFill(), surface=surface) for surface in (2.0, 8.0)),
)

BLANK, STRETCH, FAST, BEST, KNOWN = "holes left blank", "stretch", "fast", "best", "best, holes from the true view"
REFERENCE, CHOSEN = "reference form", "best, constants of the others"

METHODS: dict[str, Callable[[Scene], Tensor]] = {
    BLANK: lambda scene: forward_warp(scene.left, scene.disparity).image,
    STRETCH: lambda scene: warp_and_stretch(scene.left, scene.disparity),
    FAST: lambda scene: render_view(scene.left, scene.disparity, Quality.FAST).image,
    REFERENCE: lambda scene: mesh_and_diffuse(scene.left, scene.disparity),
    BEST: lambda scene: render_view(scene.left, scene.disparity, Quality.BEST).image,
}

Figures = dict[str, float]


def measure(image: Tensor, scene: Scene) -> Figures:
    """Measure one rendered view; visible are the pixels on which the truncated shift lands."""
    visible = forward_warp(scene.left, scene.disparity).filled
    return {
        "PSNR": float(psnr(image, scene.right)),
        "SSIM": float(ssim(image, scene.right)),
        "visible": float(psnr(image, scene.right, visible)),
        "holes": float(psnr(image, scene.right, ~visible)),
    }


@contextmanager
def filled_by(form: SmoothFill) -> Iterator[None]:
    """Let ``render_view`` fill by another form."""
    rendering.fill_smoothly = partial(fill_smoothly, form=form)
    try:
        yield
    finally:
        rendering.fill_smoothly = fill_smoothly


def leave_one_out(scenes: list[Scene]) -> list[Figures]:
    """Measure every scene filled by the form that has the highest mean PSNR on the others."""
    found = []
    for form in FORMS:
        with filled_by(form):
            found.append([measure(METHODS[BEST](scene), scene) for scene in scenes])
    chosen = []
    for index in range(len(scenes)):
        others = [sum(f["PSNR"] for other, f in enumerate(one) if other != index) for one in found]
        chosen.append(found[others.index(max(others))][index])
    return chosen


def main() -> None:
    print(f"## Quality of rendered right views\n\n{machine('cpu')}\n")
    if not STEREO_DATA.is_dir():
        print(f"Motorcycle alone: {STEREO_DATA.parts[-3]}/data/stereo is not beside the project.\n")
    with torch.inference_mode():
        for size in (512, None):
            for kind in Disparity:
                _tables(size, kind)


def _tables(size: int | None, kind: Disparity) -> None:
    scenes = load_scenes(size, kind=kind)
    figures = {name: [measure(method(scene), scene) for scene in scenes] for name, method in METHODS.items()}
    if len(scenes) > 1:
        figures[CHOSEN] = leave_one_out(scenes)
    if kind is Disparity.TRUE:
        figures[KNOWN] = [measure(_fill_from_truth(scene), scene) for scene in scenes]
    print(f"### {f'{size}x{size}' if size else 'The size of the photographs'}, {kind.value} disparity\n")
    columns = list(figures[STRETCH][0])
    mean = {name: {c: fmean(f[c] for f in found) for c in columns} for name, found in figures.items()}
    rows = [[name, *(f"{m[c]:.3f}" if c == "SSIM" else f"{m[c]:.2f}" for c in columns)] for name, m in mean.items()]
    print_table([f"mean of {len(scenes)}", *columns], rows)
    judged = CHOSEN if CHOSEN in figures else BEST
    rows = [
        [f"over {rival}", *(_least(scenes, figures[judged], figures[rival], column) for column in ("PSNR", "holes"))]
        for rival in (FAST, STRETCH)
    ]
    print_table([f"least gain of {judged}", "PSNR", "holes"], rows)
    rows = [
        [scene.name, *(f"{found[i]['PSNR']:.2f} / {found[i]['holes']:.2f}" for found in figures.values())]
        for i, scene in enumerate(scenes)
    ]
    print_table(["PSNR / holes", *figures], rows)


def _fill_from_truth(scene: Scene) -> Tensor:
    view = render_view(scene.left, scene.disparity, Quality.BEST)
    return torch.where(view.hole, scene.right, view.image)


def _least(scenes: list[Scene], ours: list[Figures], theirs: list[Figures], column: str) -> str:
    gain, name = min((a[column] - b[column], s.name) for s, a, b in zip(scenes, ours, theirs, strict=True))
    return f"{gain:+.2f} ({name})"


if __name__ == "__main__":
    main()
