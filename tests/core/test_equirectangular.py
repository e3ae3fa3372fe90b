"""Half spheres in closed form: where directions land, what wraps, what fades, and what the eyes then see."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from stereo_core.equirectangular import (
    Panorama,
    fade,
    half_of,
    natural_size,
    parallel_angle,
    project_flat,
    render_panorama,
)
from stereo_core.rendering import Quality
from stereo_core.warping import View


def directions(size: int) -> tuple[Tensor, Tensor]:
    degrees = (torch.arange(size, dtype=torch.float64) + 0.5) * (180 / size) - 90
    return degrees.expand(size, -1), -degrees[:, None].expand(-1, size)


def flat_view(height: int, width: int, field_of_view: float) -> Tensor:
    """A picture whose two channels say where a camera's ray through each pixel points: tangents right and up."""
    wide = math.tan(math.radians(field_of_view) / 2)
    across = ((torch.arange(width) + 0.5) / width * 2 - 1) * wide
    up = -((torch.arange(height) + 0.5) / height * 2 - 1) * wide * height / width
    return torch.stack([across.expand(height, -1), up[:, None].expand(-1, width)])[None]


@pytest.mark.parametrize("turned", [0.0, 5.0])
def test_every_direction_shows_what_a_camera_shows_there(turned: float):
    view, size = flat_view(300, 400, 80.0), 240
    shown = project_flat(view, 80.0, size, turned)[0].double()
    longitude, latitude = (torch.deg2rad(angle) for angle in directions(size))
    longitude = longitude - math.radians(turned)
    ray = torch.stack([latitude.cos() * longitude.sin(), latitude.sin(), latitude.cos() * longitude.cos()])
    tangents = ray[:2] / ray[2]
    wide = math.tan(math.radians(40.0))
    inside = (ray[2] > 0) & (tangents[0].abs() < wide * 0.99) & (tangents[1].abs() < wide * 0.75 * 0.99)
    assert inside.float().mean() > 0.1
    torch.testing.assert_close(shown[:, inside], tangents[:, inside], atol=2e-3, rtol=0)
    outside = (tangents[0].abs() > wide * 1.01) | (tangents[1].abs() > wide * 0.75 * 1.01) | (ray[2] < 0)
    assert not shown[:, outside].any()


def test_the_size_is_as_fine_as_the_picture_straight_ahead():
    width, size = 1920, natural_size(1920, 90.0)
    assert size % 2 == 0
    columns_per_degree = width / 2 / math.tan(math.radians(45)) * math.radians(1)
    assert size / 180 == pytest.approx(columns_per_degree, rel=1e-3)


def panorama(shown: Panorama, height: int = 32) -> Tensor:
    width = height * shown.degrees // 180
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))


def test_the_half_around_a_yaw_wraps_at_the_seam():
    whole = panorama(Panorama.FULL)
    assert torch.equal(half_of(whole, Panorama.FULL), whole[..., 16:48])
    back = half_of(whole, Panorama.FULL, 180.0)
    assert torch.equal(back, torch.cat([whole[..., 48:], whole[..., :16]], -1))
    half = panorama(Panorama.HALF)
    assert half_of(half, Panorama.HALF) is half
    with pytest.raises(ValueError, match="image: is 64x32, and an equirectangular picture of 180 degrees is 32x32"):
        half_of(whole, Panorama.HALF)


@pytest.mark.parametrize("view", View)
def test_a_sphere_around_the_eyes_turns_as_a_whole(view: View):
    whole = panorama(Panorama.FULL, 64)
    angles = torch.full((1, 1, 64, 128), 360 / 128 * 4.0)  # four columns together, two for each eye
    made = render_panorama(whole, angles, Panorama.FULL, view, Quality.FAST)
    horizon = slice(16, 48)
    expected = whole.roll(2 if view is View.LEFT else -2, -1)
    torch.testing.assert_close(made.image[:, :, horizon], expected[:, :, horizon], atol=1e-5, rtol=0)
    assert not made.hole[:, :, horizon].any(), "nothing is lost or uncovered at the seam"


def test_the_poles_are_the_same_for_both_eyes():
    kept = fade(180)
    assert kept[90] == 1 and kept[31] == 1 and kept[0] < 1e-2 and bool((kept[:90].diff() >= 0).all())
    torch.testing.assert_close(kept, kept.flip(0))
    whole = panorama(Panorama.FULL, 64)
    made = render_panorama(whole, torch.full((1, 1, 64, 128), 8.0), Panorama.FULL, View.RIGHT, Quality.FAST)
    torch.testing.assert_close(made.image[:, :, 0], whole[:, :, 0], atol=0.05, rtol=0)


def test_a_near_thing_across_the_seam_is_nearer_and_hides_what_is_behind():
    whole, angles = panorama(Panorama.FULL, 64), torch.zeros(1, 1, 64, 128)
    near = [*range(4), *range(124, 128)]
    whole[..., near], angles[..., near] = 2.0, 360 / 128 * 6.0
    made = render_panorama(whole, angles, Panorama.FULL, View.RIGHT, Quality.FAST)
    shown = (made.image[0, 0, 32] > 1.5).nonzero().flatten().tolist()
    assert shown == [0, *range(121, 128)], "three columns to the left"


def test_the_eyes_turn_by_what_a_distance_asks():
    assert parallel_angle(2.0, 0.063) == pytest.approx(1.8047, abs=1e-3)


@pytest.mark.parametrize(("angle", "size"), [(0.0, 8), (180.0, 8), (60.0, 1)])
def test_what_cannot_be_projected_is_refused(angle: float, size: int):
    with pytest.raises(ValueError, match=r"^(field_of_view|size): got"):
        project_flat(torch.zeros(1, 3, 4, 4), angle, size)
