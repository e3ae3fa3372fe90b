from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from stereo_core.splat_scene import SplatScene, slerp


def scene(frames: int = 5, count: int = 3) -> SplatScene:
    generator = torch.Generator().manual_seed(0)
    rotations = torch.randn(frames, count, 4, generator=generator)
    return SplatScene(
        torch.randn(frames, count, 3, generator=generator),
        rotations / rotations.norm(dim=-1, keepdim=True),
        torch.full((count, 3), 0.1),
        torch.full((count, 1), 0.5),
        torch.rand(count, 3, generator=generator),
    )


def test_at_a_knot_the_scene_is_the_knot():
    moving = scene()
    for frame in range(5):
        still = moving.at(frame / 4)
        assert still.frames == 1
        torch.testing.assert_close(still.positions[0], moving.positions[frame])
        cosine = (still.rotations[0] * moving.rotations[frame]).sum(-1).abs()  # q and -q are one rotation
        torch.testing.assert_close(cosine, torch.ones(3))


def test_even_motion_stays_even_and_a_parabola_a_parabola():
    knots = torch.arange(5.0)[:, None, None].expand(5, 3, 3)
    even = dataclasses.replace(scene(), positions=knots)
    torch.testing.assert_close(even.at(0.3).positions, torch.full((1, 3, 3), 1.2))
    falling = dataclasses.replace(scene(), positions=knots**2)
    for time in (0.1, 0.6, 0.95):
        torch.testing.assert_close(falling.at(time).positions, torch.full((1, 3, 3), (4 * time) ** 2))


def test_a_turn_goes_the_shorter_way_at_even_speed():
    def about_y(degrees: float) -> torch.Tensor:
        half = math.radians(degrees) / 2
        return torch.tensor([math.cos(half), 0.0, math.sin(half), 0.0])

    torch.testing.assert_close(slerp(about_y(10), about_y(50), 0.25), about_y(20))
    torch.testing.assert_close(slerp(about_y(10), -about_y(50), 0.25), about_y(20))
    torch.testing.assert_close(slerp(about_y(10), about_y(10.001), 0.5), about_y(10.0005))


def test_a_still_scene_is_the_same_at_all_times():
    still = scene(frames=1)
    assert still.at(0) is still and still.at(1) is still


def test_what_is_no_scene_is_refused():
    with pytest.raises(ValueError, match="between 0, the first frame, and 1"):
        scene().at(1.01)
    with pytest.raises(ValueError, match=r"scales: expected \(3, 3\)"):
        dataclasses.replace(scene(), scales=torch.ones(2, 3))
    with pytest.raises(ValueError, match="colors: holds NaN"):
        dataclasses.replace(scene(), colors=torch.full((3, 3), torch.nan))
    with pytest.raises(ValueError, match="at least one frame"):
        scene(frames=0)
