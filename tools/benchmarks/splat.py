"""4D Gaussians on ray-traced truth: oracles, still and moving scenes, two eyes, speed."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from stereo_core.cameras import Camera, Orbit, stereo_base, stereo_pair
from stereo_core.splat_fitting import fit
from stereo_core.splat_options import FitOptions, Motion
from stereo_core.splat_scene import SplatScene
from stereo_core.splatting import clip_depths, render, render_pair

from . import splat_speed
from .splat_truth import SCENES, trace, trace_matrix
from .table import machine, print_table

SIZE, VIEWS, FRAMES, STILL_VIEWS = 64, 10, 5, 12
ELEVATION = 10.0
STILL = FitOptions(gaussians=1500, iterations=800, warm_up=800, reference=(0, 0))
MOVING = dataclasses.replace(STILL, iterations=2400)
FORMS = {Motion.CURVE: {}, Motion.MLP: {"layers": 3}}
_DISPARITIES, _CONVERGENCE = (0.0, 2.0, 4.0), 0.5
_STEREO_SIZE = 128
_INSIDE = 3  # columns from an edge of depth, within which blur mixes what lies on both sides


class Figures(NamedTuple):
    """PSNR in dB: of the views between, at the times between, of what does without a scene, and processor seconds."""

    views: float
    times: float | None
    frozen: float | None
    neighbors: float
    seconds: float


def main() -> None:
    """Print all tables."""
    torch.set_num_threads(1)
    print(f"## Gaussians from an image matrix\n\n{machine('cpu')}.\n")
    splat_speed.print_oracles()
    fitted = _print_fits()
    _print_stereo(fitted)
    splat_speed.print_speed()
    splat_speed.print_growth()
    splat_speed.print_job()


def _orbit(views: int) -> Orbit:
    return Orbit(tuple(360 * view / views for view in range(views)), ELEVATION)


def _print_fits() -> SplatScene:
    """Print the fits of all scenes; return that of the first by curves."""
    rows, kept = [], None
    scene, found = _fitted("sway and orbit", _orbit(STILL_VIEWS), [0.0], STILL)
    rows.append(["still, 12 views", *_cells(found)])
    for name in SCENES:
        for form, settings in FORMS.items():
            options = dataclasses.replace(MOVING, motion=form, **settings)
            times = [frame / (FRAMES - 1) for frame in range(FRAMES)]
            scene, found = _fitted(name, _orbit(VIEWS), times, options)
            rows.append([f"{name}, {form.value}", *_cells(found)])
            kept = kept or scene
    print(
        f"{MOVING.gaussians} Gaussians, {SIZE}x{SIZE}, {VIEWS} views by {FRAMES} frames where nothing else is said; "
        f"{STILL.iterations} iterations for what stands still, {MOVING.iterations} for what moves. PSNR in dB, where "
        "no picture was fitted.\n"
    )
    header = [
        "",
        "views between",
        "times between",
        "reference frame frozen",
        "mean of neighboring views",
        "CPU seconds",
    ]
    print_table(header, rows)
    assert kept is not None
    return kept


def _cells(found: Figures) -> list[str]:
    figures = ["-" if value is None else f"{value:.1f}" for value in found[:-1]]
    return [*figures, f"{found.seconds:.0f}"]


def _fitted(name: str, orbit: Orbit, times: Sequence[float], options: FitOptions) -> tuple[SplatScene, Figures]:
    balls = SCENES[name]
    matrix = trace_matrix(balls, orbit, times, SIZE)
    start = time.process_time()
    scene = fit(matrix, orbit, options)
    seconds = time.process_time() - start
    views = len(orbit.azimuths)
    between = [view for view in range(0, views, 3)]
    cameras = [orbit.camera(orbit.azimuths[view] + 180 / views, SIZE, SIZE) for view in between]
    means = [(matrix[view] + matrix[(view + 1) % views]) / 2 for view in between]
    by_view, by_neighbors, frozen = [], [], []
    for camera, mean in zip(cameras, means, strict=True):
        for frame, moment in enumerate(times):
            true = trace(balls, camera, moment).color
            by_view.append(_psnr(render(scene, camera, moment).color, true))
            by_neighbors.append(_psnr(mean[frame], true))
            frozen.append(_psnr(render(scene, camera, 0.0).color, true))
    if len(times) == 1:
        return scene, Figures(_mean(by_view), None, None, _mean(by_neighbors), seconds)
    middles = [(first + second) / 2 for first, second in zip(times, times[1:], strict=False)]
    own = [orbit.camera(orbit.azimuths[view], SIZE, SIZE) for view in between]
    by_time = [
        _psnr(render(scene, camera, moment).color, trace(balls, camera, moment).color)
        for camera in own
        for moment in middles
    ]
    return scene, Figures(_mean(by_view), _mean(by_time), _mean(frozen), _mean(by_neighbors), seconds)


def _print_stereo(scene: SplatScene) -> None:
    balls, orbit = SCENES["sway and orbit"], _orbit(VIEWS)
    path = [(azimuth, moment) for azimuth in (18.0, 100.0, 250.0) for moment in (0.0, 0.4, 1.0)]
    cameras = [orbit.camera(azimuth, _STEREO_SIZE, _STEREO_SIZE) for azimuth, _ in path]
    moments = [moment for _, moment in path]
    near, far = clip_depths(scene, cameras, moments)
    rows = []
    for percent in _DISPARITIES:
        views, errors, rises, off, known_off = [], [], [], [], []
        for camera, moment in zip(cameras, moments, strict=True):
            base = stereo_base(camera, percent, _CONVERGENCE, near, far)
            eyes = stereo_pair(camera, base)
            pair, truth = render_pair(scene, eyes, moment), [trace(balls, eye, moment) for eye in eyes]
            for made, true in zip(pair, truth, strict=True):
                views.append(_psnr(made.color, true.color))
                errors.append(_disparity_error(made.surface, true.depth, camera, base.baseline))
            asked = camera.focal * base.baseline * (1 / truth[0].depth - 1 / base.screen_distance)
            inside = _inside(truth[0].depth)
            off.append(_moved(pair[0].color, pair[1].color, asked, inside))
            known_off.append(_moved(truth[0].color, truth[1].color, asked, inside))
            rises.append(_rise(eyes, near, far))
        figures = [_share(off), _share(known_off), float(torch.cat(errors).mean())]
        rows.append([f"{percent:g} %", f"{_mean(views):.1f}", *(f"{f:.3f}" for f in figures), f"{max(rises):.4f}"])
    print(
        f"Both eyes of the first moving scene at {_STEREO_SIZE}x{_STEREO_SIZE}, convergence {_CONVERGENCE}, against "
        "ray-traced eyes. The pictures' disparity is measured in their colors; the asked one is that of the true depth "
        f"by Eq. (2), at pixels {_INSIDE} columns away from edges; the depth output's is by the same one. Vertical "
        "parallax is that of points all over both pictures.\n"
    )
    header = [
        "max_disparity",
        "PSNR of the eyes, dB",
        "pictures' disparity less the asked, px",
        "the same of ray-traced eyes",
        "error of the depth output's, px",
        "vertical parallax, px",
    ]
    print_table(header, rows)


def _disparity_error(made: Tensor, true: Tensor, camera: Camera, baseline: float) -> Tensor:
    """Absolute errors in columns where both see a surface: f b |1 / Z - 1 / Z'|."""
    inside = _inside(true) & (made > 0)
    return camera.focal * baseline * (1 / made[inside] - 1 / true[inside]).abs()


def _inside(true: Tensor) -> Tensor:
    """(1, H, W) bool: a surface, away from where depth (1, H, W) jumps."""
    size = 2 * _INSIDE + 1
    known = torch.where(true.isfinite(), 1 / true, 0.0)
    pooled = torch.nn.functional.max_pool2d
    return (pooled(known, size, 1, _INSIDE) + pooled(-known, size, 1, _INSIDE) < 0.05) & (known > 0)


def _moved(left: Tensor, right: Tensor, asked: Tensor, inside: Tensor) -> tuple[float, float]:
    """How much more disparity than ``asked`` (1, H, W) two pictures (3, H, W) have: sums whose quotient it is.

    The step of Lucas and Kanade (1981): the right picture, moved by what was asked, differs from the left one by its
    slope times what is missing.
    """
    height, width = asked.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    places = torch.stack(
        [2 * (columns - torch.where(inside, asked, 0.0)[0]) / width - 1, 2 * rows / height - 1], dim=-1
    )
    moved = torch.nn.functional.grid_sample(right[None], places[None], mode="bicubic", align_corners=False)[0]
    both = (moved + left) / 2
    slope = (both.roll(-1, -1) - both.roll(1, -1)) / 2
    chosen = inside.expand_as(left)
    return float(((moved - left) * slope)[chosen].sum()), float(slope[chosen].square().sum())


def _share(sums: Sequence[tuple[float, float]]) -> float:
    return sum(first for first, _ in sums) / sum(second for _, second in sums)


def _rise(eyes: tuple[Camera, Camera], near: float, far: float) -> float:
    """The most that the rows of one point differ."""
    left, right = eyes
    corners = torch.cartesian_prod(*[torch.tensor([-0.25, 0.0, 0.25])] * 2)
    ahead = torch.cat([torch.cat([corners, torch.ones(9, 1)], dim=1) * depth for depth in (near, far)])
    points = ahead @ left.rotation + (left.position + right.position) / 2
    return float((left.project(points) - right.project(points))[:, 1].abs().max())


def _psnr(made: Tensor, true: Tensor) -> float:
    return float(-10 * (made.clamp(0, 1) - true).square().mean().log10())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
