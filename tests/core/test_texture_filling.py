"""Texture in the holes of rendered views: it is that of the surface behind, as strong as there, and nowhere else."""

from __future__ import annotations

from statistics import median
from typing import Any

import pytest
import torch
from torch import Tensor

from stereo_core import texture_filling
from stereo_core.rendering import Quality, View, render_view, working_bytes
from stereo_core.texture_filling import Texture, add_texture
from stereo_core.texture_offsets import Nodes, choose_offsets
from stereo_core.texture_strength import finest_energy, reduce_parts
from tools.benchmarks.perception import gmsd, haarpsi

SIZES = (1080, 1920), (2160, 3840)


def woven(height: int, width: int, seed: int = 0) -> Tensor:
    """(3, H, W) in [0, 1]: noise with a grain of a few pixels around mid grey, in all channels alike."""
    noise = torch.rand(1, height + 2, width + 2, generator=torch.Generator().manual_seed(seed))
    grain = torch.nn.functional.avg_pool2d(noise, 3, 1) - 0.5
    return (0.5 + grain).clamp(0, 1).expand(3, -1, -1).clone()


def screen(height: int = 96, width: int = 160, shift: float = 12, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A flat white block before a woven background, (1, 3, H, W), and its disparity in columns, (1, 1, H, W)."""
    image, disparity = woven(height, width, seed)[None], torch.zeros(1, 1, height, width)
    block = (..., slice(height // 4, -height // 4), slice(width // 3, width // 2))
    image[block], disparity[block] = 0.9, shift
    return image, disparity


def roughness(image: Tensor, mask: Tensor) -> float:
    """Return the mean squared difference of masked neighbours along columns; (1, C, H, W) and (1, 1, H, W)."""
    both = mask[..., 1:, :] & mask[..., :-1, :]
    return float((image[..., 1:, :] - image[..., :-1, :]).square().mean(1, keepdim=True)[both].mean())


def test_the_texture_in_a_hole_is_as_strong_as_around_it():
    image, disparity = screen()
    best, detail = (render_view(image, disparity, quality) for quality in (Quality.BEST, Quality.DETAIL))
    around = roughness(image, disparity == 0)
    assert torch.equal(best.hole, detail.hole)
    assert roughness(best.image, best.hole) < 0.3 * around
    assert 0.7 * around < roughness(detail.image, detail.hole) < 1.3 * around


@pytest.mark.parametrize("grain", [1, 2, 4])
def test_finest_detail_has_the_wanted_share_of_that_around_whatever_its_grain(grain: int):
    height, width = 192, 320
    _, disparity = screen(height, width, shift=24)
    noise = torch.rand(1, 3, height // grain, width // grain, generator=torch.Generator().manual_seed(0))
    image = torch.nn.functional.interpolate(0.25 + noise / 2, (height, width), mode="bilinear")
    image = torch.where(disparity > 0, torch.tensor(0.9), image)
    best, detail = (render_view(image, disparity, quality) for quality in (Quality.BEST, Quality.DETAIL))
    hole, size = best.hole[0, 0], 3
    near = torch.zeros(height, width)
    energy, parts = finest_energy(reduce_parts(detail.image[0], near, hole, size, 1.0), 1.0, root=1)
    around, known = finest_energy(reduce_parts(image[0], near, disparity[0, 0] == 0, size, 1.0), 1.0, root=1)
    share = (energy.sum() / parts.sum()) / (around.sum() / known.sum())
    assert 0.75 < share / Texture().wanted < 1.05


def test_less_is_added_where_less_is_wanted():
    image, disparity = screen()
    best = render_view(image, disparity, Quality.BEST)
    hole = best.hole[0, 0]
    near = torch.where((best.image[0, 0] == 0.9) & ~hole, 12.0, 0.0)
    added = []
    for wanted in (1.0, 0.3):
        view = best.image[0].clone()
        add_texture(view, near, hole, torch.full((int(hole.sum()),), 9), Texture(wanted))
        added.append(float((view - best.image[0])[:, hole].square().mean()))
    assert 0.1 < added[1] / added[0] < 0.45


def test_a_flat_surface_beside_a_rough_one_stays_flat():
    """Behind one block, above and below each other: only what lies beside a part of the hole counts there."""
    height, width = 192, 320
    image, disparity = screen(height, width, shift=24)
    flat = 0.5 + 0.02 * (woven(height, width, seed=1) - 0.5)
    upper = (torch.arange(height) < height // 2)[:, None]
    image = torch.where(disparity > 0, image, torch.where(upper, flat, woven(height, width)))
    best, detail = (render_view(image, disparity, quality) for quality in (Quality.BEST, Quality.DETAIL))
    added = (detail.image - best.image).square().mean(1, keepdim=True)
    far = (torch.arange(height) < height // 2 - 32)[:, None]
    assert float(added[best.hole & far].mean()) < 3 * float((flat - 0.5).square().mean())
    assert float(added[best.hole & ~upper].mean()) > 10 * float(added[best.hole & far].mean())


def test_outlines_on_a_flat_surface_do_not_make_it_rough():
    height, width = 192, 320
    _, disparity = screen(height, width, shift=24)
    flat = 0.5 + 0.02 * (woven(height, width) - 0.5)
    row = torch.arange(height)[:, None]
    image = torch.where(row % 32 < 2, 0.1, flat)[None]
    image = torch.where(disparity > 0, 0.9, image)
    best, detail = (render_view(image, disparity, quality) for quality in (Quality.BEST, Quality.DETAIL))
    between = best.hole & ((row % 32 > 7) & (row % 32 < 26))
    added = (detail.image - best.image).square().mean(1, keepdim=True)[between].mean()
    assert float(added) < 6 * float((flat - 0.5).square().mean())


def test_detail_comes_from_where_it_is_as_strong_as_beside_the_hole(monkeypatch: pytest.MonkeyPatch):
    """Stripes of one colour, flat and woven: behind the block begins a woven one."""
    height, width = 192, 320
    _, disparity = screen(height, width, shift=24)
    rough = torch.arange(width) // 40 % 2 == 0
    image = torch.where(disparity > 0, 0.9, torch.where(rough, woven(height, width), 0.5)[None])
    chosen: list[Nodes] = []

    def note(*given: Any) -> Nodes:
        chosen.append(choose_offsets(*given))
        return chosen[-1]

    monkeypatch.setattr(texture_filling, "choose_offsets", note)
    render_view(image, disparity, Quality.DETAIL)
    nodes = chosen[0]
    column = ((nodes.active.nonzero()[:, 1] + 0.5) * nodes.spacing).long()
    source = column + nodes.offset[1][nodes.active.flatten()]
    behind = column < 200  # not in the strip at the border
    assert float(rough[source.clamp(0, width - 1)][behind].float().mean()) > 0.6


@pytest.mark.parametrize("soft", [False, True])
def test_nothing_is_added_to_a_drawing(soft: bool):
    """Flat colours, bounded by lines: what would be copied are pieces of lines."""
    height, width = 192, 320
    _, disparity = screen(height, width, shift=24)
    colours = torch.rand(1, 3, height // 24, width // 40, generator=torch.Generator().manual_seed(0))
    image = colours.repeat_interleave(24, -2).repeat_interleave(40, -1)
    row, column = torch.arange(height)[:, None], torch.arange(width)
    image = torch.where((row % 24 < 2) | (column % 40 < 2), 0.0, image)
    if soft:
        image = torch.nn.functional.avg_pool2d(image, 3, 1, 1, count_include_pad=False)
    image = torch.where(disparity > 0, 0.9, image)
    best, detail = (render_view(image, disparity, quality) for quality in (Quality.BEST, Quality.DETAIL))
    assert torch.equal(best.image, detail.image)


def test_what_is_no_hole_stays_as_it_is():
    image, disparity = screen()
    best, detail = (render_view(image, disparity, quality) for quality in (Quality.BEST, Quality.DETAIL))
    visible = ~best.hole.expand_as(image)
    assert torch.equal(best.image[visible], detail.image[visible])


def test_the_smooth_fill_stays_the_mean():
    image, disparity = screen()
    best, detail = (render_view(image, disparity, quality) for quality in (Quality.BEST, Quality.DETAIL))
    added = (detail.image - best.image)[best.hole.expand_as(image)]
    assert abs(float(added.mean())) < 0.1 * float(added.std())


def test_a_faint_texture_stays_faint_behind_a_rough_surface():
    image, disparity = screen()
    size = image.shape[-2:]
    image = torch.where(disparity > 0, woven(*size, seed=1), 0.5 + 0.1 * (woven(*size) - 0.5))
    best, detail = (render_view(image, disparity, quality) for quality in (Quality.BEST, Quality.DETAIL))
    faint = float(image[(disparity == 0).expand_as(image)].std())
    assert float((detail.image - best.image)[best.hole.expand_as(image)].std()) < 1.5 * faint


def test_black_stays_black_beside_a_textured_picture():
    image = woven(96, 160)[None]
    image[..., :16, :] = image[..., -16:, :] = 0
    view = render_view(image, torch.full((1, 1, 96, 160), 14.0), Quality.DETAIL)
    assert view.hole[..., -14:].all()
    assert float(view.image[..., :15, :].max()) < 2 / 255 and float(view.image[..., -15:, :].max()) < 2 / 255
    assert float(view.image[..., 20:-20, -14:].std()) > 0.04


def test_values_stay_in_the_range_of_the_picture():
    image, disparity = screen()
    image = (image > 0.5).float() * 3 - 1
    view = render_view(image, disparity, Quality.DETAIL)
    assert float(view.image.min()) >= -1 and float(view.image.max()) <= 2


def test_a_little_noise_changes_little():
    """In most pictures: where two copies suit equally well, noise may choose."""
    changes = []
    for seed in range(9):
        image, disparity = screen(seed=seed)
        noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(3)) / 255
        first, second = (render_view(of, disparity, Quality.DETAIL) for of in (image, image + noise))
        changes.append(float((first.image - second.image).abs()[first.hole.expand_as(image)].mean()))
    assert median(changes) < 2 / 255


@pytest.mark.parametrize("shape", [(24, 190), (190, 24), (300, 310)])
@pytest.mark.parametrize("view", list(View))
def test_every_shape_is_textured(shape: tuple[int, int], view: View):
    image = woven(*shape)[None]
    sign = 1 if view is View.RIGHT else -1
    rendered = render_view(image, torch.full((1, 1, *shape), sign * 6.0), Quality.DETAIL, view)
    assert roughness(rendered.image, rendered.hole) > 0.5 * roughness(image, torch.ones_like(rendered.hole))


def test_nothing_known_and_nothing_missing_change_nothing():
    for missing in (False, True):
        image = torch.rand(3, 20, 30)
        before = image.clone()
        hole = torch.full((20, 30), missing)
        add_texture(image, torch.zeros(20, 30), hole, torch.zeros(600 * missing, dtype=torch.int64))
        assert torch.equal(image, before)


def test_the_search_takes_no_more_memory_in_larger_pictures():
    detail, best = ([working_bytes(*size, 3, q) for size in SIZES] for q in (Quality.DETAIL, Quality.BEST))
    assert 0 < detail[0] - best[0] == detail[1] - best[1]


def test_perceptual_measures_prefer_texture_to_fog():
    true = woven(64, 96)
    fog = torch.full_like(true, float(true.mean()))
    texture = true.roll((8, 24), (1, 2))
    assert gmsd(true, true) == 0 and haarpsi(true, true) == pytest.approx(1, abs=1e-4)
    half = torch.arange(96) < 48
    foggy, textured = (torch.where(half, true, other) for other in (fog, texture))
    assert gmsd(textured, true) < gmsd(foggy, true) and haarpsi(textured, true) > haarpsi(foggy, true)
