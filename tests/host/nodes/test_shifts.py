"""The shift and format nodes in the real host, value by value."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.host.tiny.autoencoders import load_vae
from tests.host.tiny.families import FAMILIES, load

GEOMETRY = {"max_disparity": 8.0, "convergence": 0.5, "exponent": 1.0}
IMAGE = {**GEOMETRY, "balance": 0.0, "quality": "best", "edge_growth": 0}
LATENT = {**GEOMETRY, "max_disparity": 15.0, "fill": "left", "seed": 0}


def picture(frames: int = 1, height: int = 24, width: int = 40, channels: int = 3) -> torch.Tensor:
    return torch.rand(frames, height, width, channels, generator=torch.Generator().manual_seed(frames))


def step_depth(frames: int = 1, height: int = 24, width: int = 40, far: float = 0.0) -> torch.Tensor:
    """A near block in the middle of the picture."""
    depth = torch.full((frames, height, width, 3), far)
    depth[:, height // 4 : -height // 4, width // 4 : -width // 4] = 1.0
    return depth


def run(host: dict[str, type], node: str, *args: Any, **inputs: Any) -> tuple[Any, ...]:
    return host[node].execute(*args, **inputs).result


@pytest.mark.parametrize("quality", ["fast", "best"])
def test_the_left_view_is_the_original_to_the_bit(host: dict[str, type], quality: str):
    image = picture(3)
    left, right, holes, left_holes = run(
        host, "Stereo_ImageStereoShift", image, step_depth(3), **{**IMAGE, "quality": quality}
    )
    assert torch.equal(left, image) and not left_holes.any()
    assert right.shape == image.shape and not torch.equal(right, image)
    assert holes.shape == (3, 24, 40) and 0 < holes.mean() < 0.3 and set(holes.unique().tolist()) == {0.0, 1.0}


def test_zero_disparity_is_the_original_twice(host: dict[str, type]):
    image = picture(2)
    left, right, holes, _ = run(
        host, "Stereo_ImageStereoShift", image, step_depth(2), **{**IMAGE, "max_disparity": 0.0}
    )
    assert torch.equal(left, image) and torch.equal(right, image) and not holes.any()


def test_a_whole_shift_moves_every_pixel_by_its_disparity(host: dict[str, type]):
    image = picture()
    widgets = {**IMAGE, "max_disparity": 10.0, "convergence": 0.0}
    _, right, holes, _ = run(host, "Stereo_ImageStereoShift", image, torch.ones(1, 24, 40, 3), **widgets)
    torch.testing.assert_close(right[:, :, :36], image[:, :, 4:])
    assert holes[..., 36:].all() and not holes[..., :36].any()


def test_balance_shares_the_shift_between_the_eyes(host: dict[str, type]):
    image, depth = picture(), torch.ones(1, 24, 40, 3)
    widgets = {**IMAGE, "max_disparity": 10.0, "convergence": 0.0}
    left, right, holes, left_holes = run(host, "Stereo_ImageStereoShift", image, depth, **{**widgets, "balance": 0.5})
    torch.testing.assert_close(right[:, :, :38], image[:, :, 2:])
    torch.testing.assert_close(left[:, :, 2:], image[:, :, :38])
    assert holes[..., 38:].all() and left_holes[..., :2].all()
    left, right, _, _ = run(host, "Stereo_ImageStereoShift", image, depth, **{**widgets, "balance": 1.0})
    assert torch.equal(right, image) and not torch.equal(left, image)


@pytest.mark.parametrize("quality", ["fast", "best"])
def test_a_still_clip_stays_still_to_the_bit(host: dict[str, type], quality: str):
    image, depth = picture().expand(4, -1, -1, -1), step_depth().expand(4, -1, -1, -1)
    _, right, holes, _ = run(host, "Stereo_ImageStereoShift", image, depth, **{**IMAGE, "quality": quality})
    assert all(torch.equal(right[0], frame) for frame in right[1:])
    assert all(torch.equal(holes[0], frame) for frame in holes[1:])


@pytest.mark.parametrize("quality", ["fast", "best"])
def test_a_near_object_that_enters_does_not_move_the_background(host: dict[str, type], quality: str):
    image, depth = picture().expand(2, -1, -1, -1), torch.full((2, 24, 40, 3), 0.3)
    depth[1, 8:16, 20:28] = 1.0
    _, right, _, _ = run(host, "Stereo_ImageStereoShift", image, depth, **{**IMAGE, "quality": quality})
    rows = torch.ones(24, dtype=torch.bool)
    rows[4:20] = False  # a fill may reach a few rows beyond the object
    torch.testing.assert_close(right[0, rows], right[1, rows])


def test_latents_keep_the_left_view_and_start_both_eyes_from_the_same_noise(host: dict[str, type]):
    latent = {"samples": torch.randn(2, 4, 8, 16), "batch_index": [3, 5]}
    stereo, holes = run(host, "Stereo_LatentStereoShift", latent, step_depth(1, 64, 128), **LATENT)
    assert torch.equal(stereo["samples"][:2], latent["samples"])
    assert stereo["batch_index"] == [3, 5, 3, 5] and latent.keys() == {"samples", "batch_index"}
    assert not stereo["noise_mask"][:2].any() and torch.equal(stereo["noise_mask"][2:, 0], holes)


def test_video_latents_take_the_clips_depth(host: dict[str, type]):
    latent = {"samples": torch.randn(1, 16, 3, 8, 16)}
    stereo, holes = run(host, "Stereo_LatentStereoShift", latent, step_depth(9, 64, 128), **LATENT)
    assert stereo["samples"].shape == (2, 16, 3, 8, 16) and stereo["noise_mask"].shape == (2, 1, 3, 8, 16)
    assert holes.shape == (3, 8, 16)


def test_an_ordinary_sampler_repaints_only_the_holes(host: dict[str, type]):
    latent, words = {"samples": load_vae("picture").encode(picture(1, 64, 128))}, FAMILIES["sd15"].conditioning(1)
    stereo, holes = run(host, "Stereo_LatentStereoShift", latent, step_depth(1, 64, 128), **LATENT)
    (done,) = host["KSampler"]().sample(load("sd15"), 1, 3, 2.0, "euler", "normal", words, words, stereo, denoise=0.8)
    before, after = stereo["samples"], done["samples"]
    shown = torch.cat([torch.zeros_like(holes), holes]).unsqueeze(1).expand_as(before) == 0
    torch.testing.assert_close(after[shown], before[shown], rtol=1e-4, atol=1e-4)
    assert holes.any() and (after[~shown] - before[~shown]).abs().mean() > 0.1


def test_combine_takes_both_views_out_of_one_batch(host: dict[str, type]):
    left, right = picture(2), picture(2) * 0.5
    (apart,) = run(host, "Stereo_SBSCombine", left, "full_sbs", False, right=right)
    (together,) = run(host, "Stereo_SBSCombine", torch.cat([left, right]), "full_sbs", False)
    (swapped,) = run(host, "Stereo_SBSCombine", left, "cross_eyed", True, right=right)
    assert torch.equal(apart, torch.cat([left, right], dim=2))
    assert torch.equal(apart, together) and torch.equal(apart, swapped)
    assert all(map(torch.equal, run(host, "Stereo_SBSSplit", apart, "full_sbs"), (left, right)))


def test_combine_puts_the_depth_map_beside_the_picture(host: dict[str, type]):
    (image,) = run(host, "Stereo_SBSCombine", picture(2), "rgb_depth", False, depth=step_depth())
    assert torch.equal(image, torch.cat([picture(2), step_depth(2)], dim=2))


def test_half_precision_intermediates_are_kept(host: dict[str, type], monkeypatch: pytest.MonkeyPatch):
    import comfy.model_management

    monkeypatch.setattr(comfy.model_management, "intermediate_dtype", lambda: torch.float16)
    left, right, _, _ = run(host, "Stereo_ImageStereoShift", picture().half(), step_depth().half(), **IMAGE)
    assert left.dtype == right.dtype == torch.float16
    (image,) = run(host, "Stereo_SBSCombine", left, "anaglyph_dubois", False, right=right)
    assert image.dtype == torch.float16 and image.isfinite().all()
