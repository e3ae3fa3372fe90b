"""Rendered views against true ones: they stay as good as they were measured, and every stage is worth its work."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from stereo_core import hole_filling, rendering
from stereo_core.metrics import psnr, ssim
from stereo_core.rendering import Quality, render_view
from tools.benchmarks.middlebury import motorcycle

WIDTHS = (256, 512)


class Pair(NamedTuple):
    """(B, 3, H, W) views in [0, 1] and the left one's (B, 1, H, W) disparity in columns."""

    left: Tensor
    right: Tensor
    disparity: Tensor


@pytest.fixture(scope="module")
def photographs() -> list[Pair]:
    """The Motorcycle pair, resized to ``WIDTHS``."""
    pair = motorcycle()
    views = [torch.from_numpy(view.copy()).movedim(-1, 0)[None] / 255 for view in (pair.left, pair.right)]
    disparity = torch.from_numpy(pair.disparity)[None, None]
    rows, columns = pair.disparity.shape
    resized = []
    for width in WIDTHS:
        size = (round(rows * width / columns), width)
        left, right = (functional.interpolate(v, size, mode="bicubic", antialias=True).clamp(0, 1) for v in views)
        columns_of_size = functional.interpolate(disparity, size, mode="nearest-exact") * (width / columns)
        resized.append(Pair(left, right, columns_of_size))
    return resized


def score(pairs: list[Pair], quality: Quality, metric: Callable[..., Tensor] = psnr) -> float:
    views = [metric(render_view(pair.left, pair.disparity, quality).image, pair.right) for pair in pairs]
    return torch.stack(views).mean().item()


@pytest.mark.parametrize(
    ("quality", "decibel", "similarity"), [(Quality.FAST, 24.19, 0.9050), (Quality.BEST, 25.12, 0.9149)]
)
def test_the_true_view_is_met_as_well_as_ever(photographs, quality: Quality, decibel: float, similarity: float):
    reached = score(photographs, quality), score(photographs, quality, ssim)
    assert reached[0] > decibel and reached[1] > similarity


Switch = tuple[ModuleType, str, Any]
MIXED_PIXELS: Switch = (rendering, "_claim_mixed_pixels", lambda disparity: disparity)
SOFT_EDGES: Switch = (rendering, "_soften_edges", lambda *_: None)
SMOOTH_FILL: Switch = (
    rendering,
    "fill_smoothly",
    lambda frame, _near, _hole, edges: hole_filling.stretch(frame, edges),
)
EDGE_COLOUR: Switch = (hole_filling, "_EDGE_FADE", 1e-9)
RELAXATION: Switch = (hole_filling, "_RELAXATIONS", 0)
REACH: Switch = (hole_filling, "_REACH", 5)
COLUMN_BLUR: Switch = (hole_filling, "_blur_columns", lambda rows, *_: rows)


@pytest.mark.parametrize(
    ("quality", "switch", "decibel"),
    [
        pytest.param(Quality.FAST, MIXED_PIXELS, 0.39, id="fast, mixed pixels"),
        pytest.param(Quality.BEST, MIXED_PIXELS, 0.40, id="mixed pixels"),
        pytest.param(Quality.BEST, SOFT_EDGES, 0.22, id="soft edges"),
        pytest.param(Quality.BEST, SMOOTH_FILL, 0.79, id="smooth fill"),
        pytest.param(Quality.BEST, EDGE_COLOUR, 0.07, id="edge colour"),
        pytest.param(Quality.BEST, RELAXATION, 0.14, id="relaxation"),
    ],
)
def test_each_stage_is_worth_what_was_measured(
    photographs, monkeypatch, quality: Quality, switch: Switch, decibel: float
):
    whole = score(photographs, quality)
    monkeypatch.setattr(*switch)
    lost = whole - score(photographs, quality)
    assert lost > 0.7 * decibel


@pytest.mark.parametrize(
    ("switch", "decibel"), [pytest.param(REACH, 5.4, id="reach"), pytest.param(COLUMN_BLUR, 2.0, id="column blur")]
)
def test_far_from_the_edge_the_fill_is_a_mean_over_many_cells(monkeypatch, switch: Switch, decibel: float):
    """Beside a near board before a wall of fine random texture, where nothing but the wall's mean can be known."""
    rows, columns, moved = 128, 170, 30
    noise = torch.rand(8, 3, rows // 3, columns // 3, generator=torch.Generator().manual_seed(0))
    wall = functional.interpolate(noise, (rows, columns), mode="bilinear")
    image, disparity = wall.clone(), torch.zeros(8, 1, rows, columns)
    board = (..., slice(32, 96), slice(40, 135))
    image[board], disparity[board] = 1, moved
    mean = wall.mean((1, 2, 3), keepdim=True).expand_as(wall)
    deep = torch.zeros_like(disparity, dtype=torch.bool)
    deep[..., 32:96, 135 - moved : 120] = True

    def score_deep() -> float:
        view = render_view(image, disparity)
        return psnr(view.image, mean, deep & view.hole).mean().item()

    whole = score_deep()
    monkeypatch.setattr(*switch)
    lost = whole - score_deep()
    assert lost > 0.7 * decibel
