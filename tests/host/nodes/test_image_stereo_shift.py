"""Image Stereo Shift in the real host, value by value."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.host.tiny.sampling import depth_step
from tools.host.node_inputs import gather

WIDGETS = {
    "max_disparity": 8.0,
    "convergence": 0.5,
    "exponent": 1.0,
    "balance": 0.0,
    "quality": "best",
    "edge_growth": 0,
}


def picture(frames: int = 1, height: int = 24, width: int = 40) -> torch.Tensor:
    return torch.rand(frames, height, width, 3, generator=torch.Generator().manual_seed(frames))


def shift(host: dict[str, type], image: torch.Tensor, depth: torch.Tensor, **widgets: Any) -> tuple[torch.Tensor, ...]:
    inputs = gather("Stereo_ImageStereoShift", depth, {**WIDGETS, **widgets})
    return host["Stereo_ImageStereoShift"].execute(image, **inputs).result


@pytest.mark.parametrize("quality", ["fast", "best"])
def test_the_left_view_is_the_original_to_the_bit(host: dict[str, type], quality: str):
    image = picture(3)
    left, right, holes, left_holes = shift(host, image, depth_step(3, 24, 40), quality=quality)
    assert torch.equal(left, image) and not left_holes.any()
    assert right.shape == image.shape and not torch.equal(right, image)
    assert holes.shape == (3, 24, 40) and 0 < holes.mean() < 0.3 and set(holes.unique().tolist()) == {0.0, 1.0}


def test_zero_disparity_is_the_original_twice(host: dict[str, type]):
    image = picture(2)
    left, right, holes, _ = shift(host, image, depth_step(2, 24, 40), max_disparity=0.0)
    assert torch.equal(left, image) and torch.equal(right, image) and not holes.any()


def test_a_whole_shift_moves_every_pixel_by_its_disparity(host: dict[str, type]):
    image = picture()
    widgets = {"max_disparity": 10.0, "convergence": 0.0}
    _, right, holes, _ = shift(host, image, torch.ones(1, 24, 40, 3), **widgets)
    torch.testing.assert_close(right[:, :, :36], image[:, :, 4:])
    assert holes[..., 36:].all() and not holes[..., :36].any()


def test_balance_shares_the_shift_between_the_eyes(host: dict[str, type]):
    image, depth = picture(), torch.ones(1, 24, 40, 3)
    widgets = {"max_disparity": 10.0, "convergence": 0.0}
    left, right, holes, left_holes = shift(host, image, depth, **widgets, balance=0.5)
    torch.testing.assert_close(right[:, :, :38], image[:, :, 2:])
    torch.testing.assert_close(left[:, :, 2:], image[:, :, :38])
    assert holes[..., 38:].all() and left_holes[..., :2].all()
    left, right, _, _ = shift(host, image, depth, **widgets, balance=1.0)
    assert torch.equal(right, image) and not torch.equal(left, image)


@pytest.mark.parametrize("quality", ["fast", "best"])
def test_a_still_clip_stays_still_to_the_bit(host: dict[str, type], quality: str):
    image, depth = picture().expand(4, -1, -1, -1), depth_step(1, 24, 40).expand(4, -1, -1, -1)
    _, right, holes, _ = shift(host, image, depth, quality=quality)
    assert all(torch.equal(right[0], frame) for frame in right[1:])
    assert all(torch.equal(holes[0], frame) for frame in holes[1:])


@pytest.mark.parametrize("quality", ["fast", "best"])
def test_a_near_object_that_enters_does_not_move_the_background(host: dict[str, type], quality: str):
    image, depth = picture().expand(2, -1, -1, -1), torch.full((2, 24, 40, 3), 0.3)
    depth[1, 8:16, 20:28] = 1.0
    _, right, _, _ = shift(host, image, depth, quality=quality)
    rows = torch.ones(24, dtype=torch.bool)
    rows[4:20] = False  # a fill may reach a few rows beyond the object
    # The whole picture tells how the fill of best is mixed, so that follows what the picture shows, but by little.
    torch.testing.assert_close(right[0, rows], right[1, rows], rtol=0, atol=1e-6 if quality == "fast" else 1 / 255)


def test_half_precision_intermediates_are_kept(host: dict[str, type], monkeypatch: pytest.MonkeyPatch):
    import comfy.model_management

    monkeypatch.setattr(comfy.model_management, "intermediate_dtype", lambda: torch.float16)
    left, right, _, _ = shift(host, picture().half(), depth_step(1, 24, 40).half())
    assert left.dtype == right.dtype == torch.float16


def test_holes_are_filled_from_the_clip_only_where_asked(host: dict[str, type]):
    """A block moves before a still background, all of which lies on the screen."""
    image, depth = picture(1, 32, 64).repeat(5, 1, 1, 1), torch.zeros(5, 32, 64, 3)
    behind = image[0].clone()
    for t in range(5):
        block = slice(8, 24), slice(10 + 6 * t, 26 + 6 * t)
        image[t][block] = 0.5
        depth[t][block] = 1.0
    widgets = {"max_disparity": 12.0, "convergence": 0.0}
    error = {}
    for fill_from in ("frame", "clip"):
        _, right, holes, _ = shift(host, image, depth, **widgets, fill_from=fill_from)
        error[fill_from] = (right[-1] - behind)[holes[-1] > 0].square().mean().sqrt()
    assert error["clip"] < 0.5 * error["frame"]


def test_pictures_of_a_batch_are_not_filled_from_each_other(host: dict[str, type]):
    image, depth = torch.cat([picture(1), 1 - picture(2)[:1]]), depth_step(1, 24, 40)
    frame, clip = (shift(host, image, depth, fill_from=fill_from)[1] for fill_from in ("frame", "clip"))
    assert torch.equal(frame, clip)
