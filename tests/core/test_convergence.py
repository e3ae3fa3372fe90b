"""What lies on the screen, found from the depth maps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stereo_core.convergence import find_convergence
from stereo_core.geometry import Screen, StereoGeometry


def scene(near: float = 0.8, far: float = 0.2, left: int = 24, width: int = 16) -> Tensor:
    """A block in front of a wall that rises a little, (1, 1, 48, 64)."""
    depth = torch.linspace(far - 0.05, far + 0.05, 64).expand(1, 1, 48, 64).clone()
    depth[..., 12:36, left : left + width] = near
    return depth


def test_a_number_has_nothing_to_find():
    assert find_convergence(scene(), StereoGeometry()) is None


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_percentile_leaves_that_share_behind_the_screen(share: float):
    depth = torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(0))
    geometry = StereoGeometry(3.0, share, screen=Screen.PERCENTILE)
    disparity = geometry.disparity(depth, 64, find_convergence(depth, geometry))
    assert (disparity < 0).float().mean() == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("near", [0.5, 0.8, 1.0])
@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_the_subject_lies_on_the_screen(near: float, exponent: float):
    geometry = StereoGeometry(3.0, 0.0, exponent, Screen.SUBJECT)
    depth = scene(near)
    disparity = geometry.disparity(depth, 64, find_convergence(depth, geometry))
    assert disparity[..., 12:36, 24:40].abs().max() < 0.02 and disparity[..., :24].max() < 0


def test_what_is_near_at_the_frames_edge_is_not_the_subject():
    depth = torch.maximum(scene(0.6), torch.where(torch.arange(64) < 3, 1.0, 0.0))
    found = find_convergence(depth, StereoGeometry(screen=Screen.SUBJECT))
    assert found.item() == pytest.approx(0.6, abs=0.01)


def test_one_depth_only_lies_on_the_screen():
    flat = torch.full((2, 1, 8, 8), 0.3)
    torch.testing.assert_close(
        find_convergence(flat, StereoGeometry(screen=Screen.SUBJECT)), torch.full((2, 1, 1, 1), 0.3)
    )


def test_the_screen_stands_still_within_a_scene_and_moves_at_its_cut():
    subject = [0.7, 0.72, 0.68, 0.4, 0.42, 0.44]
    left = [20, 22, 24, 4, 6, 8]
    clip = torch.cat([scene(near, left=place, width=24) for near, place in zip(subject, left, strict=True)])
    pictures = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(0))[[0, 0, 0, 1, 1, 1]]
    found = find_convergence(clip, StereoGeometry(screen=Screen.SUBJECT), pictures).flatten()
    assert found[:3].unique().numel() == 1 and found[3:].unique().numel() == 1
    assert found[0].item() == pytest.approx(0.7, abs=0.01) and found[3].item() == pytest.approx(0.42, abs=0.02)
