"""Stereo on real pairs: denoisers that know other photographs make the right view of one that they have not seen."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from statistics import fmean

import torch
from torch import Tensor

from stereo_core.compositing import composite
from stereo_core.iterative_refinement import RefineSettings
from stereo_core.metrics import psnr
from stereo_core.noisy_restart import RestartSettings
from stereo_core.rendering import render_view
from stereo_core.trajectory import Trajectory
from stereo_core.view_shift import HoleFill, ShiftForm
from stereo_core.warping import forward_warp

from .linear_latents import COLOURS, HAAR
from .local_patches import LocalPatches
from .photograph_cases import SIZE, STEPS, Case, gaussian_of, in_picture, inverted, make_case, noisy
from .scenes import Scene, load_scenes
from .stereo_disparity import GEOMETRY, HEADER, measure_disparity
from .stereo_variants import Variant, make_right
from .table import print_table

COLUMNS, WIDE = 64, 128
_QUALITY = ["visible", "holes", "border", "composite"]
_GAUSSIAN = f"A Gaussian of the photographs' spectrum, {COLUMNS} columns of colours:"
_PATCHES = f"Local patches, {COLUMNS} columns of colours:"
_CRAFTER = "The same, StereoCrafter-Zero:"
_INVERTED = "The same, the left view inverted with the denoiser (DDIM inversion) instead:"
_WIDE = f"Local patches, {WIDE} columns of colours:"
_HAAR = f"Local patches, {COLUMNS} columns of the Haar transform of 2x2 grey pixels, the picture {2 * COLUMNS} wide:"
_DISPARITY = (
    f"Made against asked, {GEOMETRY.max_disparity:g} % and convergence {GEOMETRY.convergence:g}: in columns of the "
    "latent, matched in blocks where there is texture; positive is nearer. Visible: PSNR against the photograph "
    "rendered at its own size:"
)
TABLES = {
    _GAUSSIAN: ["shift, fill", "renewals", *_QUALITY],
    _PATCHES: ["shift, fill", "renewals", *_QUALITY],
    _CRAFTER: ["shift, fill", "", *_QUALITY],
    _INVERTED: ["shift, fill", "renewals", *_QUALITY],
    _WIDE: ["shift, fill", "renewals", *_QUALITY],
    _HAAR: ["shift, fill", "renewals", *_QUALITY],
    _DISPARITY: HEADER,
}
"""Every table's title and header."""

Rows = Iterator[tuple[str, tuple[str, ...], tuple[float, ...]]]
"""The table, the cells that name the row, and its figures."""


def main() -> None:
    """Print what is measured, and the mean of all pairs in every table."""
    count = len(load_scenes(SIZE))
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        pairs = list(pool.map(measure_pair, range(count)))
    print("### Photographs\n")
    print(
        f"{count} real pairs, true disparity, {STEPS} steps of Euler's method (Karras). What denoises a pair has "
        "learned from the left and right photographs of the others, never from its own. The left view is known: the "
        "photograph with one and the same noise at every level. PSNR in dB against the true right view: what the left "
        "view shows, holes behind objects, the hole at the frame's border; and all of it with the visible part "
        "rendered, as by Stereo Composite.\n"
    )
    for title, header in TABLES.items():
        found: dict[tuple[str, ...], list[tuple[float, ...]]] = {}
        for table, name, figures in (row for rows in pairs for row in rows):
            if table == title:
                found.setdefault(name, []).append(figures)
        print(f"{title}\n")
        print_table(
            header, [[*name, *(f"{fmean(c):.2f}" for c in zip(*all_, strict=True))] for name, all_ in found.items()]
        )


def measure_pair(index: int) -> list[tuple[str, tuple[str, ...], tuple[float, ...]]]:
    """Measure one pair, in a process of its own."""
    torch.set_num_threads(1)
    with torch.inference_mode():
        return list(_rows(load_scenes(SIZE), index))


def _rows(scenes: list[Scene], index: int) -> Rows:
    forms = [Variant(shift=form) for form in ShiftForm]
    fills = [Variant(fill=fill, mask_every=0.1) for fill in HoleFill if fill is not Variant().fill]

    gaussian = make_case(scenes, index, COLOURS, COLUMNS, gaussian_of)
    yield from _measure(_GAUSSIAN, gaussian, _renewed(forms, 0.0, 0.2, 0.1, 0.05), noisy(gaussian))

    case = make_case(scenes, index, COLOURS, COLUMNS, LocalPatches)
    path = noisy(case)
    yield from _measure(_PATCHES, case, [*_renewed(forms, 0.0, 0.2, 0.1), Variant(mask_every=0.05), *fills], path)
    yield _PATCHES, ("no diffusion: rendered", ""), quality(case, render_view(case.left, case.disparity).image)
    restart, refine = RestartSettings(), RefineSettings()
    for name, settings in {"restart": (restart, None), "refinement": (None, refine), "both": (restart, refine)}.items():
        way = Variant(restart=settings[0], refine=settings[1])
        yield _CRAFTER, (way.name, name), quality(case, make_right(way, case.denoise, path, case.columns(way.shift)))
    yield from _measure(_INVERTED, case, _renewed(forms, 0.1), inverted(case))

    wide = make_case(scenes, index, COLOURS, WIDE, LocalPatches)
    yield from _measure(_WIDE, wide, _renewed(forms, 0.1), noisy(wide))

    haar = make_case(scenes, index, HAAR, COLUMNS, LocalPatches)
    yield from _measure(_HAAR, haar, _renewed([*forms, Variant(in_picture=True)], 0.1), noisy(haar))

    wide = make_case(scenes, index, COLOURS, WIDE, gaussian_of)
    for label, asked in {f"{COLUMNS}, patches": case, f"{WIDE}, Gaussian": wide}.items():
        yield from ((_DISPARITY, *row) for row in measure_disparity(scenes[index], asked, label))


def _renewed(variants: Iterable[Variant], *every: float) -> list[Variant]:
    return [replace(variant, mask_every=fraction) for variant in variants for fraction in every]


def _measure(table: str, case: Case, variants: Iterable[Variant], path: Trajectory) -> Rows:
    for variant in variants:
        disparity = case.columns(variant.shift)
        right = make_right(variant, case.denoise, path, disparity, estimates=in_picture(case))
        yield table, (variant.name, f"{variant.renewals(STEPS)}"), quality(case, right)


def quality(case: Case, right: Tensor) -> tuple[float, ...]:
    """PSNR of the right view's latent where the left view shows it, in holes, at the border, and composited."""
    made, disparity = case.latent.decode(right).clamp(0, 1), case.picture_disparity
    visible = forward_warp(case.picture, disparity).filled
    border = ~visible & ((visible.cumsum(-1) == 0) | (visible.flip(-1).cumsum(-1).flip(-1) == 0))
    finished = composite(render_view(case.picture, disparity), made)
    masks = (visible, ~visible & ~border, border, None)
    pictures = (made, made, made, finished)
    return tuple(float(psnr(view, case.right, mask)) for view, mask in zip(pictures, masks, strict=True))
