"""Both eyes of a fitted scene against ray-traced eyes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stereo_core.cameras import Camera, stereo_base, stereo_pair
from stereo_core.splatting import clip_depths, render_pair

from .splat_fits import FIRST, VIEWS, first_scene, mean_of, orbit_of, psnr
from .splat_truth import SCENES, trace
from .table import print_table

_DISPARITIES, _CONVERGENCE = (0.0, 2.0, 4.0), 0.5
_SIZE = 128
_INSIDE = 3  # columns from an edge of depth, within which blur mixes what lies on both sides


def print_eyes() -> None:
    """Print what both eyes see of the first moving scene."""
    scene, _ = first_scene()
    balls, orbit = SCENES[FIRST], orbit_of(VIEWS)
    path = [(azimuth, moment) for azimuth in (18.0, 100.0, 250.0) for moment in (0.0, 0.4, 1.0)]
    cameras = [orbit.camera(azimuth, _SIZE, _SIZE) for azimuth, _ in path]
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
                views.append(psnr(made.color, true.color))
                errors.append(_disparity_error(made.surface, true.depth, camera, base.baseline))
            asked = camera.focal * base.baseline * (1 / truth[0].depth - 1 / base.screen_distance)
            inside = _inside(truth[0].depth)
            off.append(_moved(pair[0].color, pair[1].color, asked, inside))
            known_off.append(_moved(truth[0].color, truth[1].color, asked, inside))
            rises.append(_rise(eyes, near, far))
        figures = [_share(off), _share(known_off), float(torch.cat(errors).mean())]
        rows.append([f"{percent:g} %", f"{mean_of(views):.1f}", *(f"{f:.3f}" for f in figures), f"{max(rises):.4f}"])
    print(
        f"Both eyes of the first moving scene at {_SIZE}x{_SIZE}, convergence {_CONVERGENCE}, against "
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
