"""Gaussians fitted to ray-traced views by frames, and how they look from elsewhere and at other times."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from stereo_core.cameras import Orbit
from stereo_core.splat_fitting import fit
from stereo_core.splat_options import FitOptions, Motion
from stereo_core.splat_scene import SplatScene
from stereo_core.splatting import render

from .splat_truth import SCENES, UNTUNED, trace, trace_matrix
from .table import open_table, print_table

SIZE, VIEWS, FRAMES, STILL_VIEWS = 64, 10, 5, 12
FIRST = "sway and orbit"
ELEVATION = 10.0
STILL = FitOptions(gaussians=1500, iterations=800, warm_up=800, reference=(0, 0))
MOVING = dataclasses.replace(STILL, iterations=2400)
_LARGE, _OF_LARGE = 128, dataclasses.replace(MOVING, gaussians=3000, iterations=1200, warm_up=400)
_HEADER = [
    "",
    "views between",
    "times between",
    "reference frame frozen",
    "mean of neighboring views",
    "CPU seconds",
]
ALL = {**SCENES, **UNTUNED}
_TURNS = (-15, -10, -5, 0, 5, 10, 15, 20)


class Figures(NamedTuple):
    """PSNR in dB: of the views between, at the times between, of what does without a scene, and processor seconds."""

    views: float
    times: float | None
    frozen: float | None
    neighbors: float
    seconds: float


def orbit_of(views: int) -> Orbit:
    """Return cameras once around."""
    return Orbit(tuple(360 * view / views for view in range(views)), ELEVATION)


@cache
def first_scene() -> tuple[SplatScene, Figures]:
    """Return the fit of the first moving scene by curves."""
    return _moving(FIRST, MOVING)


def print_fits(names: Sequence[str] = tuple(SCENES)) -> None:
    """Print the fits of scenes, each as soon as it is there."""
    print(
        f"{MOVING.gaussians} Gaussians, {SIZE}x{SIZE}, {VIEWS} views by {FRAMES} frames where nothing else is said; "
        f"{STILL.iterations} iterations for what stands still, {MOVING.iterations} for what moves. PSNR in dB, where "
        "no picture was fitted.\n"
    )
    add = open_table(_HEADER)
    if FIRST in names:
        _, found = fitted(FIRST, orbit_of(STILL_VIEWS), [0.0], STILL)
        add([f"still, {STILL_VIEWS} views", *_cells(found)])
    for name in names:
        for form in Motion:
            options = dataclasses.replace(MOVING, motion=form)
            _, found = first_scene() if (name, options) == (FIRST, MOVING) else _moving(name, options)
            add([f"{name}, {form.value}", *_cells(found)])
    print()
    if "turn" in names:
        _print_turns()


def print_large() -> None:
    """Print the fit of the first moving scene from larger pictures."""
    print(
        f"From {_LARGE}x{_LARGE}: {_OF_LARGE.gaussians} Gaussians, {_OF_LARGE.iterations} iterations, as many views "
        "and frames.\n"
    )
    add = open_table(_HEADER)
    add([f"{FIRST}, curve", *_cells(_moving(FIRST, _OF_LARGE, _LARGE)[1])])
    print()


def fitted(
    name: str, orbit: Orbit, times: Sequence[float], options: FitOptions, size: int = SIZE
) -> tuple[SplatScene, Figures]:
    """Fit a scene of ``ALL``, and measure it against the truth."""
    balls = ALL[name]
    matrix = trace_matrix(balls, orbit, times, size)
    start = time.process_time()
    scene = fit(matrix, orbit, options)
    seconds = time.process_time() - start
    views = len(orbit.azimuths)
    between = [view for view in range(0, views, 3)]
    cameras = [orbit.camera(orbit.azimuths[view] + 180 / views, size, size) for view in between]
    means = [(matrix[view] + matrix[(view + 1) % views]) / 2 for view in between]
    by_view, by_neighbors, frozen = [], [], []
    for camera, mean in zip(cameras, means, strict=True):
        for frame, moment in enumerate(times):
            true = trace(balls, camera, moment).color
            by_view.append(psnr(render(scene, camera, moment).color, true))
            by_neighbors.append(psnr(mean[frame], true))
            frozen.append(psnr(render(scene, camera, 0.0).color, true))
    if len(times) == 1:
        return scene, Figures(mean_of(by_view), None, None, mean_of(by_neighbors), seconds)
    middles = [(first + second) / 2 for first, second in zip(times, times[1:], strict=False)]
    own = [orbit.camera(orbit.azimuths[view], size, size) for view in between]
    by_time = [
        psnr(render(scene, camera, moment).color, trace(balls, camera, moment).color)
        for camera in own
        for moment in middles
    ]
    return scene, Figures(mean_of(by_view), mean_of(by_time), mean_of(frozen), mean_of(by_neighbors), seconds)


def psnr(made: Tensor, true: Tensor) -> float:
    """Return it in dB."""
    return float(-10 * (made.clamp(0, 1) - true).square().mean().log10())


def mean_of(values: Sequence[float]) -> float:
    """Return the mean."""
    return sum(values) / len(values)


def _moving(name: str, options: FitOptions, size: int = SIZE) -> tuple[SplatScene, Figures]:
    times = [frame / (FRAMES - 1) for frame in range(FRAMES)]
    return fitted(name, orbit_of(VIEWS), times, options, size)


def _cells(found: Figures) -> list[str]:
    figures = ["-" if value is None else f"{value:.1f}" for value in found[:-1]]
    return [*figures, f"{found.seconds:.0f}"]


def _print_turns() -> None:
    """Print how alike the larger ball of ``turn`` is to its next frame when it is turned by other angles."""
    ball, rows = SCENES["turn"][0], []
    cameras = [orbit_of(VIEWS).camera(azimuth, SIZE, SIZE) for azimuth in orbit_of(VIEWS).azimuths[::2]]

    def turned(degrees: float) -> Tensor:
        still = ball._replace(turn=lambda _: degrees)
        return torch.stack([trace([still], camera, 0.0).color for camera in cameras])

    for frames in (FRAMES, 2 * FRAMES - 1):
        step = ball.turn(1.0) / (frames - 1)
        true = turned(step)
        rows.append([f"{frames} frames, {step:g}°", *(f"{psnr(turned(degrees), true):.1f}" for degrees in _TURNS)])
    print(
        "The larger ball of turn, alone: PSNR in dB to itself in the next frame, when it is turned by so much. What "
        "begins at 0° and follows what grows goes the wrong way in few frames.\n"
    )
    print_table(["", *(f"{degrees}°" for degrees in _TURNS)], rows)
