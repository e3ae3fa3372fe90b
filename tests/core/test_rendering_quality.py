"""Rendered views against true ones: they stay as good as they were measured, and every stage is worth its work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from stereo_core import rendering
from stereo_core.hole_filling import SmoothFill, fill_smoothly, stretch
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
    ("quality", "decibel", "similarity"), [(Quality.FAST, 24.19, 0.9050), (Quality.BEST, 25.13, 0.9155)]
)
def test_the_true_view_is_met_as_well_as_ever(photographs, quality: Quality, decibel: float, similarity: float):
    reached = score(photographs, quality), score(photographs, quality, ssim)
    assert reached[0] > decibel and reached[1] > similarity


Switch = tuple[ModuleType, str, Any]


def fill(**changed: float) -> Switch:
    return rendering, "fill_smoothly", partial(fill_smoothly, form=replace(SmoothFill(), **changed))


MIXED_PIXELS: Switch = (rendering, "_claim_mixed_pixels", lambda disparity: disparity)
SOFT_EDGES: Switch = (rendering, "soften_edges", lambda *_: None)
SMOOTH_FILL: Switch = (rendering, "fill_smoothly", lambda frame, _near, _hole, edges: stretch(frame, edges))
EDGE_COLOUR = fill(fade=1e-9)
RELAXATION = fill(relaxations=0)
COLUMN_BLUR = fill(blur=1e-6, wide=1e-6)
LIKENESS = fill(likeness=1e9)


@pytest.mark.parametrize(
    ("quality", "switch", "decibel"),
    [
        pytest.param(Quality.FAST, MIXED_PIXELS, 0.39, id="fast, mixed pixels"),
        pytest.param(Quality.BEST, MIXED_PIXELS, 0.43, id="mixed pixels"),
        pytest.param(Quality.BEST, SOFT_EDGES, 0.21, id="soft edges"),
        pytest.param(Quality.BEST, SMOOTH_FILL, 0.82, id="smooth fill"),
        pytest.param(Quality.BEST, EDGE_COLOUR, 0.03, id="edge colour"),
        pytest.param(Quality.BEST, RELAXATION, 0.20, id="relaxation"),
    ],
)
def test_each_stage_is_worth_what_was_measured(
    photographs, monkeypatch, quality: Quality, switch: Switch, decibel: float
):
    whole = score(photographs, quality)
    monkeypatch.setattr(*switch)
    lost = whole - score(photographs, quality)
    assert lost > 0.7 * decibel


@pytest.mark.parametrize(("switch", "decibel"), [pytest.param(COLUMN_BLUR, 2.0, id="column blur")])
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


def test_a_wide_strip_goes_on_with_the_material_at_the_border():
    """And not with the mean of the row, most of which is another material."""
    image = 0.8 + 0.1 * torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    image[..., 248:] -= 0.6
    view = render_view(image, torch.full((1, 1, 256, 256), 50.0)).image
    strip = view[..., 208:]
    assert 0.2 < strip.min() and strip.max() < 0.35


@pytest.mark.parametrize("rows_go_on", [True, False])
def test_the_view_tells_how_far_its_rows_go_on(monkeypatch, rows_go_on: bool):
    """Uneven bands of a colour of their own each, or texture that tells nothing of what lies beside it."""
    texture, tones = torch.rand(2, 1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    bands = 0.5 * tones[..., :16, :1].repeat_interleave(16, 2)
    mean = 0.25 + bands if rows_go_on else torch.tensor(0.5)
    image = mean + (texture - 0.5) * (0.1 if rows_go_on else 0.6)

    def error() -> float:
        strip = render_view(image, torch.full((1, 1, 256, 256), 64.0)).image[..., -50:]
        return float((strip - mean).square().mean())

    asked = error()
    monkeypatch.setattr(*fill(doubt=1e9))
    assert asked < 0.5 * error()


def test_a_dark_border_is_not_taken_for_what_lies_beyond_it():
    """The outermost columns of a photograph often are damaged."""
    image = 0.6 + 0.05 * torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    image[..., -1] = 0.1
    strip = render_view(image, torch.full((1, 1, 256, 256), 40.0)).image[..., -30:]
    assert strip.min() > 0.5


@pytest.mark.parametrize("likeness", [SmoothFill().likeness, 1e9])
def test_even_rows_are_not_mixed_with_unlike_ones(monkeypatch, likeness: float):
    """Two boards of nearly one colour each, and a strip beside them that is wide against their height."""
    image = 0.2 + 0.01 * torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    image[..., 128:, :] += 0.6
    monkeypatch.setattr(*fill(likeness=likeness, doubt=1e9))
    strip = render_view(image, torch.full((1, 1, 256, 256), 80.0)).image[..., 176:]
    mixed = float((strip[..., 90:100, :] - 0.205).abs().amax())
    assert mixed < 0.02 if likeness < 1e9 else mixed > 0.1


def test_rows_of_a_torn_map_keep_their_own_colour(monkeypatch):
    """A striped wall beside a board; every other stripe is taken for nearer than it is, so that others flow into it."""
    image, disparity = torch.full((1, 3, 128, 128), 0.2), torch.zeros(1, 1, 128, 128)
    torn = (torch.arange(128) // 4 % 2 == 1)[:, None]
    image[..., torn[:, 0], :], disparity[..., torn[:, 0], :] = 0.8, 4.0
    image[..., 20:60], disparity[..., 20:60] = 0.5, 24.0

    def error() -> float:
        view = render_view(image, disparity)
        inner = view.hole & torn
        inner[..., 60:] = False
        return float((view.image - 0.8).abs()[inner.expand_as(image)].mean())

    drawn = error()
    monkeypatch.setattr(*fill(drawn=0.0))
    assert drawn < 0.9 * error()
    monkeypatch.setattr(*fill(drawn=1.0))
    whole = render_view(image, disparity).image
    monkeypatch.setattr(*fill(relaxations=0))
    assert torch.equal(render_view(image, disparity).image, whole)
