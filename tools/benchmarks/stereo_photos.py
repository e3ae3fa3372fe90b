"""Stereo on real pairs: denoisers that know other photographs make the right view of one that they have not seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from statistics import fmean

import torch
from torch import Tensor

from stereo_core.compositing import composite
from stereo_core.metrics import psnr
from stereo_core.rendering import render_view
from stereo_core.trajectory import Trajectory
from stereo_core.warping import forward_warp

from .linear_latents import COLOURS, HAAR
from .local_patches import LocalPatches
from .photograph_cases import SIZE, STEPS, Case, gaussian_of, in_picture, inverted, make_case, noisy
from .scenes import Scene, load_scenes
from .stereo_disparity import GEOMETRY, HEADER, measure_disparity
from .stereo_variants import Variant, by_fill, by_form, crafted, make_right, renewed
from .table import print_table

COLUMNS, WIDE = 64, 128
_HOW = (
    f", true disparity, {STEPS} steps of Euler's method (Karras). What denoises a pair has learned from the left and "
    "right photographs of the others, never from its own. The left view is known: the photograph with one and the same "
    "noise at every level. PSNR in dB against the true right view: what the left view shows, holes behind objects, the "
    "hole at the frame's border; and all of it with the visible part rendered, as by Stereo Composite. Detail: the "
    "contrast of neighbours in all holes, as a share of the true one; PSNR likes it dull."
)
_QUALITY = ["visible", "holes", "border", "composite", "detail"]
_GAUSSIAN = f"A Gaussian of the photographs' spectrum, {COLUMNS} columns of colours:"
_CRAFTED_GAUSSIAN = "The same, StereoCrafter-Zero:"
_PATCHES = f"Local patches, {COLUMNS} columns of colours:"
_CRAFTED_PATCHES = "Local patches, StereoCrafter-Zero:"
_INVERTED = "Local patches, the left view inverted with them (DDIM inversion) instead:"
_WIDE = f"Local patches, {WIDE} columns of colours:"
_HAAR = f"Local patches, {COLUMNS} columns of the Haar transform of 2x2 grey pixels, the picture {2 * COLUMNS} wide:"
_DISPARITY = (
    f"Made against asked, {GEOMETRY.max_disparity:g} % and convergence {GEOMETRY.convergence:g}, in columns of the "
    "latent, matched in blocks where there is texture; positive is nearer. Visible: PSNR against the photograph "
    "rendered at its own size:"
)
TABLES = {
    _GAUSSIAN: ["shift, fill", "renewals", *_QUALITY],
    _CRAFTED_GAUSSIAN: ["shift, fill", "", *_QUALITY],
    _PATCHES: ["shift, fill", "renewals", *_QUALITY],
    _CRAFTED_PATCHES: ["shift, fill", "", *_QUALITY],
    _INVERTED: ["shift, fill", "renewals", *_QUALITY],
    _WIDE: ["shift, fill", "renewals", *_QUALITY],
    _HAAR: ["shift, fill", "renewals", *_QUALITY],
    _DISPARITY: HEADER,
}
"""Every table's title and header."""

Row = tuple[str, tuple[str, ...], tuple[float, ...]]
"""The table, the cells that name the row, and its figures."""


def submit(pool: Executor) -> Callable[[], None]:
    """Begin to measure; return what prints the mean of all pairs in every table."""
    found = [pool.submit(measure_pair, index) for index in range(len(load_scenes(SIZE)))]

    def show() -> None:
        print("### Photographs\n")
        print(f"{len(found)} real pairs{_HOW}\n")
        pairs = [pair.result() for pair in found]
        for title, header in TABLES.items():
            print(f"{title}\n")
            print_table(header, mean_rows(row for rows in pairs for row in rows if row[0] == title))

    return show


def mean_rows(rows: Iterable[Row]) -> list[list[str]]:
    """The rows of one table, the means of all pairs."""
    figures: dict[tuple[str, ...], list[tuple[float, ...]]] = {}
    for _, name, measured in rows:
        figures.setdefault(name, []).append(measured)
    return [[*name, *(f"{_mean(c):.2f}" for c in zip(*all_, strict=True))] for name, all_ in figures.items()]


def _mean(column: Iterable[float]) -> float:
    """Of the pairs that have the figure: the holes of some are a column wide, without a neighbour."""
    return fmean([figure for figure in column if not math.isnan(figure)] or [math.nan])


def measure_pair(index: int) -> list[Row]:
    """Measure one pair."""
    with torch.inference_mode():
        return list(_rows(load_scenes(SIZE), index))


def _rows(scenes: list[Scene], index: int) -> Iterator[Row]:
    gaussian = make_case(scenes, index, COLOURS, COLUMNS, gaussian_of)
    path = noisy(gaussian)
    ways = [*renewed(by_form(), 0.0, 0.2, 0.1, 0.05), *renewed(by_fill(), 0.1)]
    yield from _measure(_GAUSSIAN, gaussian, ways, path)
    for base in (*by_form(), *by_fill()):
        yield from _crafted(_CRAFTED_GAUSSIAN, gaussian, base, path)

    case = make_case(scenes, index, COLOURS, COLUMNS, LocalPatches)
    path = noisy(case)
    ways = [*renewed([Variant()], 0.0, 0.05), *renewed(by_form(), 0.2, 0.1), *renewed(by_fill(), 0.1)]
    yield from _measure(_PATCHES, case, ways, path)
    yield _PATCHES, ("no diffusion: rendered", ""), quality(case, render_view(case.left, case.disparity).image)
    yield from _crafted(_CRAFTED_PATCHES, case, Variant(), path)
    yield from _measure(_INVERTED, case, renewed(by_form(), 0.1), inverted(case))

    wide = make_case(scenes, index, COLOURS, WIDE, LocalPatches)
    yield from _measure(_WIDE, wide, renewed(by_form(), 0.1), noisy(wide))

    haar = make_case(scenes, index, HAAR, COLUMNS, LocalPatches)
    yield from _measure(_HAAR, haar, renewed([*by_form(), Variant(in_picture=True)], 0.1), noisy(haar))

    wide = make_case(scenes, index, COLOURS, WIDE, gaussian_of)
    for label, asked in {f"{COLUMNS}, patches": case, f"{WIDE}, Gaussian": wide}.items():
        yield from ((_DISPARITY, *row) for row in measure_disparity(scenes[index], asked, label))


def _measure(table: str, case: Case, variants: Iterable[Variant], path: Trajectory) -> Iterator[Row]:
    for variant in variants:
        disparity = case.columns(variant.shift)
        right = make_right(variant, case.denoise, path, disparity, estimates=in_picture(case))
        yield table, (variant.name, f"{variant.renewals(STEPS)}"), quality(case, right)


def _crafted(table: str, case: Case, base: Variant, path: Trajectory) -> Iterator[Row]:
    for name, way in crafted(base).items():
        yield table, (way.name, name), quality(case, make_right(way, case.denoise, path, case.columns(way.shift)))


def quality(case: Case, right: Tensor) -> tuple[float, ...]:
    """PSNR of the right view's latent where the left view shows it, in holes, at the border, and composited; detail."""
    made, disparity = case.latent.decode(right).clamp(0, 1), case.picture_disparity
    visible = forward_warp(case.picture, disparity).filled
    border = ~visible & ((visible.cumsum(-1) == 0) | (visible.flip(-1).cumsum(-1).flip(-1) == 0))
    finished = composite(render_view(case.picture, disparity), made)
    masks = (visible, ~visible & ~border, border, None)
    pictures = (made, made, made, finished)
    figures = [float(psnr(view, case.right, mask)) for view, mask in zip(pictures, masks, strict=True)]
    return *figures, _contrast(made, ~visible) / _contrast(case.right, ~visible)


def _contrast(picture: Tensor, hole: Tensor) -> float:
    """Root mean square difference of neighbours in a row that both lie in a hole."""
    inside = (hole[..., 1:] & hole[..., :-1]).expand_as(picture[..., 1:])
    return float(picture.diff(dim=-1)[inside].square().mean().sqrt())
