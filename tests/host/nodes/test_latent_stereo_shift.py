"""Latent Stereo Shift in the real host, value by value."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.host.tiny.autoencoders import load_vae
from tests.host.tiny.families import FAMILIES, load
from tests.host.tiny.sampling import depth_step
from tools.host.node_inputs import gather

WIDGETS = {"max_disparity": 15.0, "convergence": 0.5, "exponent": 1.0, "fill": "left", "seed": 0, "shift": "truncated"}


def shift(host: dict[str, type], latent: dict[str, Any], depth: torch.Tensor) -> tuple[Any, torch.Tensor]:
    return host["Stereo_LatentStereoShift"].execute(latent, **gather("Stereo_LatentStereoShift", depth, WIDGETS)).result


def test_latents_keep_the_left_view_and_start_both_eyes_from_the_same_noise(host: dict[str, type]):
    latent = {"samples": torch.randn(2, 4, 8, 16), "batch_index": [3, 5]}
    stereo, holes = shift(host, latent, depth_step(1, 64, 128))
    assert torch.equal(stereo["samples"][:2], latent["samples"])
    assert stereo["batch_index"] == [3, 5, 3, 5] and latent.keys() == {"samples", "batch_index"}
    assert not stereo["noise_mask"][:2].any() and torch.equal(stereo["noise_mask"][2:, 0], holes)


def test_the_latents_own_mask_stays_in_the_left_view_and_moves_in_the_right_one(host: dict[str, type]):
    mask = torch.zeros(1, 64, 128)  # in pixels of the picture, as VAE Encode (for Inpainting) has it
    mask[..., 64:96] = 1.0
    latent = {"samples": torch.randn(1, 4, 8, 16), "noise_mask": mask}
    near = torch.ones(1, 64, 128, 3)  # all of it moves by half of 12.5 %, one column
    inputs = gather("Stereo_LatentStereoShift", near, {**WIDGETS, "max_disparity": 12.5})
    stereo, holes = host["Stereo_LatentStereoShift"].execute(latent, **inputs).result
    left, right = (view[0, 0, 0].nonzero().flatten().tolist() for view in stereo["noise_mask"].chunk(2))
    assert (left, right) == ([8, 9, 10, 11], [7, 8, 9, 10, 15]) and holes[0, 0].nonzero().flatten().tolist() == [15]
    assert latent["noise_mask"] is mask and mask.sum() == 64 * 32


def test_a_masks_part_between_two_columns_is_shared_by_them(host: dict[str, type]):
    mask = torch.zeros(1, 1, 8, 16)
    mask[..., 8:12] = 1.0
    latent, widgets = {"samples": torch.randn(1, 4, 8, 16), "noise_mask": mask}, {**WIDGETS, "shift": "sub_column"}
    near = torch.ones(1, 64, 128, 3)
    inputs = gather("Stereo_LatentStereoShift", near, {**widgets, "max_disparity": 6.25})
    stereo, _ = host["Stereo_LatentStereoShift"].execute(latent, **inputs).result
    left, right = stereo["noise_mask"].chunk(2)
    assert torch.equal(left, mask)
    assert right[0, 0, 0, 7:12].tolist() == pytest.approx([0.5, 1.0, 1.0, 1.0, 0.5], abs=0.1)


def test_a_clips_own_mask_moves_by_frame(host: dict[str, type]):
    mask = torch.zeros(1, 1, 3, 8, 16)
    mask[:, :, 0] = 1.0
    latent = {"samples": torch.randn(1, 16, 3, 8, 16), "noise_mask": mask}
    stereo, holes = shift(host, latent, depth_step(9, 64, 128))
    left, right = stereo["noise_mask"].chunk(2)
    assert torch.equal(left, mask) and right[:, :, 0].all() and torch.equal(right[0, 0, 1:], holes[1:])


def test_video_latents_take_the_clips_depth(host: dict[str, type]):
    latent = {"samples": torch.randn(1, 16, 3, 8, 16)}
    stereo, holes = shift(host, latent, depth_step(9, 64, 128))
    assert stereo["samples"].shape == (2, 16, 3, 8, 16) and stereo["noise_mask"].shape == (2, 1, 3, 8, 16)
    assert holes.shape == (3, 8, 16)


def test_an_ordinary_sampler_repaints_only_the_holes(host: dict[str, type]):
    image = torch.rand(1, 64, 128, 3, generator=torch.Generator().manual_seed(1))
    latent, words = {"samples": load_vae("picture").encode(image)}, FAMILIES["sd15"].conditioning(1)
    stereo, holes = shift(host, latent, depth_step(1, 64, 128))
    (done,) = host["KSampler"]().sample(load("sd15"), 1, 3, 2.0, "euler", "normal", words, words, stereo, denoise=0.8)
    before, after = stereo["samples"], done["samples"]
    shown = torch.cat([torch.zeros_like(holes), holes]).unsqueeze(1).expand_as(before) == 0
    torch.testing.assert_close(after[shown], before[shown], rtol=1e-4, atol=1e-4)
    assert holes.any() and (after[~shown] - before[~shown]).abs().mean() > 0.1
