"""VR180 in the real host: pairs and panoramas to half spheres that the eyes can put together."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor


def noise(count: int, height: int, width: int) -> Tensor:
    return torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(count))


def near(height: int, width: int, value: float) -> Tensor:
    return torch.full((1, height, width, 3), value)


def middle(view: Tensor) -> float:
    """The longitude of what is bright, in degrees."""
    columns = view[0, view.shape[1] // 2, :, 0]
    at = (torch.arange(len(columns)) + 0.5) * (180 / len(columns)) - 90
    return float((columns * at).sum() / columns.sum())


def test_a_pair_without_disparity_is_a_screen_at_its_distance(host: dict[str, type]):
    picture = torch.zeros(1, 64, 128, 3)
    picture[:, :, 62:66] = 1.0
    left, right = host["Stereo_VR180FromPair"].execute(picture, 70.0, 2.0, 1024, picture).args
    assert left.shape == right.shape == (1, 1024, 1024, 3)
    assert middle(left) - middle(right) == pytest.approx(1.805, abs=0.02), "the angle of eyes 63 mm apart at 2 m"


@pytest.mark.parametrize("frames", [1, 2])
def test_a_batch_of_both_views_and_the_natural_size(host: dict[str, type], frames: int):
    both = noise(2 * frames, 32, 64)
    run = host["Stereo_VR180FromPair"].execute
    left, right = run(both, 90.0, 2.0, 0).args
    assert left.shape == right.shape == (frames, 100, 100, 3)
    again = run(both[:frames], 90.0, 2.0, 0, both[frames:]).args
    assert torch.equal(left, again[0]) and torch.equal(right, again[1])


@pytest.mark.parametrize("source", ["full_360", "half_180"])
def test_a_panoramas_depth_turns_the_eyes(host: dict[str, type], source: str):
    height, width = 64, 128 if source == "full_360" else 64
    picture = torch.zeros(1, height, width, 3)
    picture[:, :, width // 2 - 1 : width // 2 + 1] = 1.0
    strength = host["Stereo_StereoStrength"].execute(near(height, width, 1.0), 10.0, "value", 0.0, 1.0, False).args[0]
    run = host["Stereo_VR180FromPanorama"].execute
    left, right = run(picture, strength, source, 0.0, 2.0, "fast").args
    assert left.shape == right.shape == (1, 64, 64, 3)
    assert middle(left) - middle(right) == pytest.approx(9.0 + 1.805, abs=0.1), "10 % of 90 degrees, and the screen's"
    if source == "full_360":
        turned, _ = run(picture, strength, source, 30.0, 2.0, "fast").args
        assert middle(turned) - middle(left) == pytest.approx(-30, abs=1.5)


def test_what_is_no_panorama_is_refused(host: dict[str, type]):
    run = host["Stereo_VR180FromPanorama"].execute
    with pytest.raises(ValueError, match="image: is 64x64, and an equirectangular picture of 360 degrees is 128x64"):
        run(noise(1, 64, 64), near(64, 64, 0.5), "full_360", 0.0, 2.0, "fast")


@pytest.mark.parametrize(("source", "width"), [("full_360", 2), ("half_180", 1)])
def test_a_panorama_of_a_few_pixels_is_told_by_its_size(host: dict[str, type], source: str, width: int):
    run = host["Stereo_VR180FromPanorama"].execute
    with pytest.raises(ValueError, match=f"^image: is {3 * width}x3. Connect a panorama at least 4 pixels high"):
        run(noise(1, 3, 3 * width), near(3, 3 * width, 1.0), source, 0.0, 2.0, "fast")
    left, _ = run(noise(1, 4, 4 * width), near(4, 4 * width, 1.0), source, 0.0, 2.0, "fast").args
    assert left.shape == (1, 4, 4, 3)


def test_what_lies_beyond_infinity_is_told(host: dict[str, type], monkeypatch: pytest.MonkeyPatch):
    import sys

    told: list[Any] = []
    node = host["Stereo_VR180FromPanorama"]
    monkeypatch.setattr(sys.modules[node.__module__], "show_text", lambda _, text: told.append(text))
    strength = host["Stereo_StereoStrength"].execute(near(32, 64, 0.0), 10.0, "value", 0.5, 1.0, False).args[0]
    node.execute(noise(1, 32, 64), strength, "full_360", 0.0, 2.0, "fast")
    assert "farthest -2.7°" in told[0] and "beyond infinity: lower max_disparity" in told[0]
