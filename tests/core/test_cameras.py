from __future__ import annotations

import math

import pytest
import torch

from stereo_core.cameras import Orbit, look_at, orbit_camera, orbit_position, stereo_base, stereo_pair

CAMERA = orbit_camera(azimuth=20, elevation=10, radius=2, fov=33.8, width=64, height=48)


def test_positive_azimuths_lie_to_the_right_and_elevations_above():
    torch.testing.assert_close(orbit_position(0, 0, 2), torch.tensor([0.0, 0, 2]))
    torch.testing.assert_close(orbit_position(90, 0, 2), torch.tensor([2.0, 0, 0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(orbit_position(0, 90, 2), torch.tensor([0.0, 2, 0]), atol=1e-6, rtol=0)


def test_a_picture_has_right_on_the_right_and_up_on_top():
    camera = orbit_camera(0, 0, 2, 33.8, 64, 64)
    column, row = camera.project(torch.tensor([0.3, 0.4, 0.0])).tolist()
    half = 64 * 1.6458 / 2  # pixels of one unit at a distance of 2
    assert column == pytest.approx(32 + 0.3 * half, abs=1e-2) and row == pytest.approx(32 - 0.4 * half, abs=1e-2)


def test_the_near_side_goes_left_when_the_camera_goes_right():
    near = torch.tensor([0.0, 0.0, 0.5])
    columns = [Orbit().camera(azimuth, 64, 64).project(near)[0] for azimuth in (0, 5, 10)]
    assert columns[0] > columns[1] > columns[2]


@pytest.mark.parametrize("azimuth, elevation", [(0, 0), (130, -35), (250, 60), (17, 90)])
def test_the_origin_is_in_the_middle_and_the_axes_are_right_handed(azimuth, elevation):
    camera = orbit_camera(azimuth, elevation, 3, 40, 80, 60)
    torch.testing.assert_close(camera.project(torch.zeros(3)), torch.tensor([40.0, 30.0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(camera.rotation @ camera.rotation.T, torch.eye(3), atol=1e-6, rtol=0)
    assert torch.det(camera.rotation) == pytest.approx(1, abs=1e-5)


def test_the_angle_is_that_of_the_smaller_side():
    edge = 2 * math.tan(math.radians(33.8) / 2)  # half the height, at the origin's depth
    camera = orbit_camera(0, 0, 2, 33.8, 96, 48)
    torch.testing.assert_close(camera.project(torch.tensor([0.0, edge, 0.0])), torch.tensor([48.0, 0.0]))
    same = camera.resized(64, 64)
    assert same.focal == pytest.approx(camera.focal * 64 / 48) and same.center == (32, 32)


def test_a_pair_has_the_disparity_that_was_asked_for():
    """Eq. (2) in the pack's own units, without vertical parallax, at every place of the picture."""
    near, far, convergence, percent = 1.4, 2.7, 0.3, 4.0
    base = stereo_base(CAMERA, percent, convergence, near, far)
    left, right = stereo_pair(CAMERA, base)
    for depth in (near, 1.9, base.screen_distance, far):
        ahead = torch.tensor([[x, y, depth] for x in (-0.5, 0.0, 0.4) for y in (-0.3, 0.0, 0.3)])
        points = ahead @ CAMERA.rotation + CAMERA.position
        apart = left.project(points) - right.project(points)
        scaled = (1 / depth - 1 / far) / (1 / near - 1 / far)
        asked = percent / 100 * CAMERA.width * (scaled - convergence)
        torch.testing.assert_close(apart[:, 0], torch.full((9,), asked), atol=1e-4, rtol=0)
        torch.testing.assert_close(apart[:, 1], torch.zeros(9), atol=1e-4, rtol=0)
    assert torch.equal(left.rotation, right.rotation)


def test_without_disparity_both_eyes_are_the_camera():
    left, right = stereo_pair(CAMERA, stereo_base(CAMERA, 0, 0.5, 1, 2))
    assert left.center == right.center == CAMERA.center
    assert torch.equal(left.position, right.position)


@pytest.mark.parametrize("far", [2.0, 2.0001])
def test_a_flat_scene_has_no_baseline(far):
    base = stereo_base(CAMERA, 3, 0.5, 2.0, far)
    assert base.baseline == 0 and base.screen_distance == pytest.approx(2, abs=1e-4)
    assert stereo_base(CAMERA, 3, 0.5, 2.0, 2.001).baseline > 0


def test_what_cannot_be_seen_is_refused():
    for near, far in ((2, 1), (0, 2)):
        with pytest.raises(ValueError, match="nearest depth above 0"):
            stereo_base(CAMERA, 3, 0.5, near, far)
    with pytest.raises(ValueError, match="looks straight along"):
        look_at((0, 2, 0), (0, 0, 0), 40, 8, 8)
    with pytest.raises(ValueError, match="stands in its target"):
        look_at((0, 2, 0), (0, 2, 0), 40, 8, 8)
    with pytest.raises(ValueError, match="below 180"):
        look_at((0, 0, 2), (0, 0, 0), 180, 8, 8)
