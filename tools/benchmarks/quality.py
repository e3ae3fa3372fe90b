"""Rendered right views against true ones: PSNR and SSIM, on all pixels, visible ones and holes."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean

import torch
from torch import Tensor

from stereo_core.metrics import psnr, ssim
from stereo_core.rendering import Quality, render_view
from stereo_core.warping import forward_warp

from .references import warp_and_stretch
from .scenes import STEREO_DATA, Scene, load_scenes
from .table import machine, print_table


def _rendered(quality: Quality) -> Callable[[Scene], Tensor]:
    return lambda scene: render_view(scene.left, scene.disparity, quality).image


def _perfectly_filled(scene: Scene) -> Tensor:
    view = render_view(scene.left, scene.disparity, Quality.BEST)
    return torch.where(view.hole, scene.right, view.image)


METHODS: dict[str, Callable[[Scene], Tensor]] = {
    "leave blank": lambda scene: forward_warp(scene.left, scene.disparity).image,
    "stretch": lambda scene: warp_and_stretch(scene.left, scene.disparity),
    "fast": _rendered(Quality.FAST),
    "best": _rendered(Quality.BEST),
    "best, holes from the true view": _perfectly_filled,
}


def measure(image: Tensor, scene: Scene) -> dict[str, float]:
    """Measure one rendered view; visible are the pixels on which the truncated shift lands."""
    visible = forward_warp(scene.left, scene.disparity).filled
    return {
        "PSNR": float(psnr(image, scene.right)),
        "SSIM": float(ssim(image, scene.right)),
        "visible": float(psnr(image, scene.right, visible)),
        "holes": float(psnr(image, scene.right, ~visible)),
    }


def main() -> None:
    scenes = load_scenes()
    print(f"## Quality at 512x512, true disparity\n\n{machine('cpu')}\n")
    if len(scenes) == 1:
        print(f"Motorcycle alone: {STEREO_DATA.parts[-3]}/data/stereo is not beside the project.\n")
    figures = {name: [measure(method(scene), scene) for scene in scenes] for name, method in METHODS.items()}
    columns = list(figures["stretch"][0])
    mean = {name: {c: fmean(f[c] for f in found) for c in columns} for name, found in figures.items()}
    base = mean["stretch"]
    rows = [
        [name, *(f"{m[c]:.3f}" if c == "SSIM" else f"{m[c]:.2f}" for c in columns)]
        + [f"{m['PSNR'] - base['PSNR']:+.2f}", f"{m['SSIM'] - base['SSIM']:+.3f}"]
        for name, m in mean.items()
    ]
    print_table([f"mean of {len(scenes)}", *columns, "PSNR over stretch", "SSIM over stretch"], rows)
    rows = [
        [scene.name, *(f"{found[i]['PSNR']:.2f} / {found[i]['SSIM']:.3f}" for found in figures.values())]
        for i, scene in enumerate(scenes)
    ]
    print_table(["PSNR / SSIM", *METHODS], rows)


if __name__ == "__main__":
    main()
