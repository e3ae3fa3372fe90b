"""Stereo Strength in the real host: what it hands on, what it says, and that a plain map means its defaults."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.tiny.sampling import depth_step
from tools.host.node_inputs import GEOMETRY


@pytest.fixture
def strength(host: dict[str, type]) -> Any:
    def run(depth: Tensor, **widgets: Any) -> Any:
        return host["Stereo_StereoStrength"].execute(depth, **{**GEOMETRY, **widgets}).args[0]

    return run


@pytest.fixture
def told(host: dict[str, type], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written on nodes."""
    texts: list[str] = []
    package = host["Stereo_StereoStrength"].__module__.rsplit(".", 1)[0]
    monkeypatch.setattr(sys.modules[f"{package}.widgets.geometry"], "show_text", lambda _, text: texts.append(text))
    return texts


def ramp() -> Tensor:
    return torch.linspace(0, 1, 64).expand(1, 32, 64).unsqueeze(-1).expand(-1, -1, -1, 3)


def test_black_is_near_where_it_is_inverted(strength: Any):
    plain, inverted = strength(ramp()).disparity(), strength(ramp(), invert=True).disparity()
    torch.testing.assert_close(inverted, plain.flip(-1))


def test_a_plain_map_means_the_defaults(host: dict[str, type], strength: Any):
    image = torch.rand(1, 32, 64, 3, generator=torch.Generator().manual_seed(0))
    shift = host["Stereo_ImageStereoShift"].execute
    by_default, by_node = (shift(image, depth, 0.0, "best", 0).args for depth in (depth_step(), strength(depth_step())))
    assert all(torch.equal(one, other) for one, other in zip(by_default, by_node, strict=True))
    stronger = shift(image, strength(depth_step(), max_disparity=10.0), 0.0, "best", 0).args
    assert not torch.equal(stronger[1], by_node[1])


def test_the_subject_of_each_frame_of_a_scene_shares_one_screen(strength: Any):
    clip = torch.cat([depth_step() * near for near in (0.8, 0.82, 0.84)])
    disparity = strength(clip, screen="subject").disparity()
    middle = disparity[:, 0, 16, 32] / 64 * 100
    torch.testing.assert_close(middle, torch.tensor([-0.06, 0.0, 0.06]), rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ("depth", "said"),
    [
        (ramp(), "nearest +15.0 ‰ (+1.0 px)"),
        (torch.stack([ramp()[..., 0], 1 - ramp()[..., 0], torch.zeros(1, 32, 64)], -1), "map in false colours"),
        (torch.full((1, 32, 64, 3), 0.5), "depth has no range"),
        (depth_step(), "is it a mask?"),
    ],
)
def test_what_looks_wrong_is_said(strength: Any, told: list[str], depth: Tensor, said: str):
    strength(depth)
    assert said in told[-1]


def test_a_picture_in_place_of_its_depth_map_is_noticed(host: dict[str, type], strength: Any, told: list[str]):
    picture = torch.rand(1, 32, 64, 1, generator=torch.Generator().manual_seed(0)).expand(-1, -1, -1, 3)
    strength(picture, image=picture)
    assert "depth is the picture itself" in told[-1]
    host["Stereo_ImageStereoShift"].execute(picture, picture, 0.0, "fast", 0)
    assert "depth is the picture itself" in told[-1]
    strength(picture)
    assert "depth is the picture itself" not in told[-1]


def test_a_larger_picture_takes_the_map_and_says_its_own_pixels(host: dict[str, type], strength: Any, told: list[str]):
    image = torch.rand(1, 64, 128, 3, generator=torch.Generator().manual_seed(0))
    _, right, holes, _ = host["Stereo_ImageStereoShift"].execute(image, strength(ramp()), 0.0, "best", 0).args
    assert right.shape == image.shape and holes.shape == image.shape[:3]
    assert "nearest +15.0 ‰ (+1.9 px)" in told[-1] and "columns" not in told[-1]


def test_a_clip_of_another_length_is_refused(strength: Any):
    with pytest.raises(ValueError, match="image: holds 3 pictures, and depth 2 maps"):
        strength(depth_step(2), image=torch.rand(3, 32, 64, 3))


@pytest.mark.parametrize(
    ("max_disparity", "said"),
    [
        (3.0, "eyes turn by 0.4° before a television, 1.2° in a headset (tiring)"),
        (2.0, "eyes turn by 0.3° before a television, 0.8° in a headset"),
    ],
)
def test_what_the_strength_asks_of_the_eyes_is_on_the_node(
    strength: Any, told: list[str], max_disparity: float, said: str
):
    strength(ramp(), max_disparity=max_disparity)
    assert said in told[-1].splitlines()
