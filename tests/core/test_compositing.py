"""Compositing: shown pixels stay, holes come from the generated view, the rim is soft."""

from __future__ import annotations

import math

import pytest
import torch

from stereo_core.compositing import composite, feather_weight, resize_view
from stereo_core.rendering import Quality, RenderedView, render_view


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def random_holes(*shape: int, share: float = 0.4) -> torch.Tensor:
    """Some ragged patches and single pixels, and the whole of the last frame's first rows."""
    coarse = torch.nn.functional.interpolate(random(*shape[:2], 5, 6, seed=3), size=shape[2:], mode="nearest")
    hole = (coarse < share) | (random(*shape, seed=4) < 0.05)
    hole[-1, :, :3] = True
    return hole


@pytest.mark.parametrize("feather", [0.0, 0.7, 3.0, 40.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_outside_the_hole_every_pixel_is_the_warps_to_the_bit(feather: float, dtype: torch.dtype):
    hole = random_holes(2, 1, 31, 45)
    image, result = random(2, 3, 31, 45).to(dtype), random(2, 3, 31, 45, seed=1)
    image[0, :, 5, 5] = -0.25  # nothing is clamped on the way
    result[~hole.expand_as(result)] = torch.inf  # nothing of it leaks
    right = composite(RenderedView(image, hole), result, feather)
    shown = ~hole.expand_as(image)
    assert right.dtype == dtype and torch.equal(right[shown], image[shown])
    assert not torch.equal(right, image)


def test_without_a_feather_the_hole_is_the_generated_view():
    hole = random_holes(2, 1, 31, 45)
    image, result = random(2, 3, 31, 45), random(2, 3, 31, 45, seed=1)
    right = composite(RenderedView(image, hole), result)
    assert torch.equal(right[hole.expand_as(right)], result[hole.expand_as(right)])


def test_without_a_hole_nothing_of_the_generated_view_is_seen():
    image = random(1, 3, 16, 24)
    rendered = render_view(image, torch.zeros(1, 1, 16, 24), Quality.BEST)
    assert torch.equal(composite(rendered, 1 - image, 5.0), image)


@pytest.mark.parametrize("feather", [0.0, 0.5, 1.0, 2.5, 6.0])
def test_the_feather_is_the_distance_to_the_nearest_shown_pixel(feather: float):
    hole = random_holes(2, 1, 15, 22)
    weight = feather_weight(hole, feather)
    y, x = torch.meshgrid(torch.arange(15), torch.arange(22), indexing="ij")
    for frame in range(2):
        shown = (~hole[frame, 0]).nonzero()
        squared = (y[..., None] - shown[:, 0]) ** 2 + (x[..., None] - shown[:, 1]) ** 2
        expected = (squared.amin(-1).sqrt() / (feather + 1)).clamp(max=1)
        torch.testing.assert_close(weight[frame, 0], expected)
    assert (weight > 0).equal(hole)


def test_the_feather_rises_from_the_rim_inwards_and_falls_with_its_width():
    hole = torch.zeros(1, 1, 9, 41, dtype=torch.bool)
    hole[..., 10:31] = True
    widths = [0.0, 1.0, 2.0, 4.0, 8.0]
    profiles = [feather_weight(hole, width)[0, 0, 4] for width in widths]
    for profile in profiles:
        assert (profile[9:20].diff() >= 0).all() and torch.equal(profile, profile.flip(0))
    for narrow, wide in zip(profiles, profiles[1:], strict=False):
        assert (narrow >= wide).all() and (narrow > wide).any()


def test_the_frame_border_is_no_rim():
    hole = torch.zeros(1, 1, 6, 20, dtype=torch.bool)
    hole[..., 12:] = True
    assert (feather_weight(hole, 4.0)[..., 16:] == 1).all()
    assert (feather_weight(torch.ones(1, 1, 6, 20, dtype=torch.bool), 4.0) == 1).all()


@pytest.mark.parametrize("size", [(48, 64), (23, 37), (24, 32)])
def test_resizing_keeps_flat_pictures_and_the_range(size: tuple[int, int]):
    flat = torch.full((1, 3, 24, 32), 0.3)
    torch.testing.assert_close(resize_view(flat, size), torch.full((1, 3, *size), 0.3))
    checks = (torch.arange(32) // 4 % 2).float().expand(1, 3, 24, 32)
    resized = resize_view(checks, size)
    assert resized.shape[-2:] == size and 0 <= resized.min() and resized.max() <= 1


def test_resizing_to_the_same_size_changes_nothing():
    view = random(2, 3, 9, 7)
    assert resize_view(view, (9, 7)) is view


def test_resizing_down_does_not_alias():
    stripes = (torch.arange(66) % 2).float().expand(1, 1, 8, 66)
    small = resize_view(stripes, (8, 22))[..., 2:-2]
    torch.testing.assert_close(small, torch.full_like(small, 0.5), atol=0.1, rtol=0)


@pytest.mark.parametrize("feather", [-1.0, math.nan, math.inf])
def test_an_impossible_feather_is_refused(feather: float):
    with pytest.raises(ValueError, match="feather: got"):
        feather_weight(torch.zeros(1, 1, 2, 2, dtype=torch.bool), feather)


def test_a_generated_view_of_another_size_is_refused():
    rendered = RenderedView(random(1, 3, 8, 8), random_holes(1, 1, 8, 8))
    with pytest.raises(ValueError, match=r"result: expected .*W=8, got \(1, 3, 8, 9\)"):
        composite(rendered, random(1, 3, 8, 9))
