"""A fitted scene as viewers show its .ply that widen Gaussians by more than a pixel's own variance."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from stereo_core.cameras import Camera
from stereo_core.splatting import Gaussians, still_gaussians

from .splat_fits import FIRST, SIZE, VIEWS, first_scene, mean_of, orbit_of, psnr
from .splat_plain import BLUR, draw_plainly
from .splat_truth import SCENES, trace
from .table import open_table

_USUAL = 0.3  # square pixels, of 3D Gaussian Splatting and most viewers
_SIZES = (SIZE // 2, SIZE, 2 * SIZE)
_PLACES = ((18.0, 0.0), (126.0, 0.5), (234.0, 1.0))  # azimuth and time
_ROWS = 16  # at a time


def print_viewers() -> None:
    """Print how near to the truth the first moving scene is, by who draws it and at which size."""
    scene, _ = first_scene()
    ways = {
        "this pack": partial(_drawn, blur=BLUR, compensated=True),
        "0.3, opacity made up for": partial(_drawn, blur=_USUAL, compensated=True),
        "0.3 alone": partial(_drawn, blur=_USUAL, compensated=False),
    }
    print(
        f"The first moving scene, fitted at {SIZE}x{SIZE}, drawn at other sizes with other square pixels added to each "
        "Gaussian: PSNR in dB against ray-traced views between.\n"
    )
    add = open_table(["shown at", *ways, "0.3 alone covers more by"])
    for size in _SIZES:
        found: dict[str, list[float]] = {name: [] for name in ways}
        wider = []
        for azimuth, moment in _PLACES:
            camera = orbit_of(VIEWS).camera(azimuth, size, size)
            true, given = trace(SCENES[FIRST], camera, moment).color, still_gaussians(scene, moment)
            alphas = []
            for name, draw in ways.items():
                color, alpha = draw(given, camera)
                found[name].append(psnr(color, true))
                alphas.append(alpha.sum())
            wider.append(float(alphas[-1] / alphas[0]) - 1)
        figures = [f"{mean_of(values):.1f}" for values in found.values()]
        add([f"{size} px", *figures, f"{100 * mean_of(wider):.1f} %"])
    print()


def _drawn(given: Gaussians, camera: Camera, blur: float, compensated: bool) -> tuple[Tensor, Tensor]:
    """Draw some rows at a time."""
    column, row = camera.center
    strips = [
        draw_plainly(
            given,
            replace(camera, center=(column, row - top), height=min(_ROWS, camera.height - top)),
            (1.0, 1.0, 1.0),
            blur,
            compensated,
        )
        for top in range(0, camera.height, _ROWS)
    ]
    color, alpha = (torch.cat(parts, dim=1) for parts in zip(*strips, strict=True))
    return color, alpha
