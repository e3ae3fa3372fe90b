"""Every family of pictures and of clips that is not tested elsewhere, from an empty latent to the pair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.tiny.autoencoders import load_vae
from tests.host.tiny.families import FAMILIES, load
from tools.host.node_inputs import gather

PICTURES = (
    "sd3",
    "flux",
    "flux2",
    "chroma",
    "chroma_radiance",
    "aura",
    "lumina",
    "z_image",
    "z_image_pixels",
    "hidream",
    "qwen_image",
    "krea",
    "mage",
    "lens",
    "anima",
    "cosmos",
    "kandinsky_image",
    "hunyuan_image",
)
CLIPS = ("wan22_5b", "hunyuan_video15", "cosmos", "kandinsky", "mochi", "ltx2")
RUN = (5, 3, 2.0, "euler", "simple")
"""Seed, steps, guidance, sampler, scheduler."""
FLOAT_ERROR = 1e-4
"""What a batch of another size alone changes in these networks' float arithmetic."""

SIZES = {"hunyuan_image": (128, 192), "chroma_radiance": (32, 48), "z_image_pixels": (32, 48)}
"""Pixels of a picture: one token of HunyuanImage is 32 wide, one of the pixel models here 4."""

Sample = Callable[..., tuple[Tensor, Tensor]]


def error(actual: Tensor, expected: Tensor) -> float:
    return ((actual - expected).abs().max() / expected.abs().max()).item()


def blocks(count: int, height: int, width: int) -> Tensor:
    """A near block in front of a wall, in another place on each map; an IMAGE."""
    depth = torch.zeros(count, height, width, 3)
    for place, picture in enumerate(depth):
        start = width // 4 + place * width // 8
        picture[height // 4 : -(height // 4), start : start + width // 3] = 1.0
    return depth


@pytest.fixture
def sample(host: dict[str, type]) -> Sample:
    def run(node: str, name: str, latent: dict[str, Any], depth: Tensor, **given: Any) -> tuple[Tensor, Tensor]:
        """KSampler's result, and the node's at its defaults."""
        prompts = [FAMILIES[name].conditioning(seed) for seed in (1, 2)]
        plain = host["KSampler"]().sample(load(name), *RUN, *prompts, latent, 1.0)[0]["samples"]
        settings = dict(zip(("seed", "steps", "cfg", "sampler_name", "scheduler"), RUN, strict=True))
        inputs = {value.id: value.default for value in host[node].define_schema().inputs if hasattr(value, "default")}
        chosen = gather(node, depth, {**inputs, **settings, "max_disparity": 30.0, **given})
        pair = host[node].execute(load(name), *prompts, latent, **chosen).args[0]["samples"]
        return plain, pair

    return run


@pytest.mark.parametrize("name", PICTURES)
def test_a_pair_of_pictures(sample: Sample, name: str):
    """Two pictures, each with its map, from Empty Latent Image, which knows nothing of the model."""
    height, width = SIZES.get(name, (64, 96))
    empty = {"samples": torch.zeros(2, 4, height // 8, width // 8), "downscale_ratio_spacial": 8}
    one = {**empty, "samples": empty["samples"][:1]}
    maps = blocks(2, height, width)

    plain, pair = sample("Stereo_StereoKSampler", name, empty, maps)
    assert pair.shape == (4, *plain.shape[1:]) and pair.isfinite().all()
    assert error(pair[:2], plain) < FLOAT_ERROR and error(pair[2:], plain) > 0.01
    _, alone = sample("Stereo_StereoKSampler", name, one, maps[:1])
    assert error(pair[::2], alone) < FLOAT_ERROR, "each picture must be shifted by its own map"
    _, flat = sample("Stereo_StereoKSampler", name, empty, maps, max_disparity=0.0)
    assert error(flat, torch.cat([plain, plain])) < FLOAT_ERROR


@pytest.mark.parametrize("name", CLIPS)
def test_a_pair_of_clips(sample: Sample, name: str):
    shape = FAMILIES[name].latent
    latent = {"samples": torch.zeros(1, *shape)}
    maps = blocks(shape[1], 8 * shape[2], 8 * shape[3])

    plain, pair = sample("Stereo_StereoVideoKSampler", name, latent, maps)
    assert pair.shape == (2, *shape) and pair.isfinite().all()
    assert error(pair[:1], plain) < FLOAT_ERROR and error(pair[1:], plain) > 0.01
    _, flat = sample("Stereo_StereoVideoKSampler", name, latent, maps, max_disparity=0.0)
    assert error(flat, torch.cat([plain, plain])) < FLOAT_ERROR


def test_wan22_5b_keeps_the_first_frame_that_a_picture_gives(sample: Sample):
    """Wan22ImageToVideoLatent masks it, and the model is told so."""
    shape = FAMILIES["wan22_5b"].latent
    mask = torch.ones(1, 1, *shape[1:])
    mask[:, :, 0] = 0
    start = torch.randn(1, *shape, generator=torch.Generator().manual_seed(4))
    maps = blocks(shape[1], 8 * shape[2], 8 * shape[3])
    plain, pair = sample("Stereo_StereoVideoKSampler", "wan22_5b", {"samples": start, "noise_mask": mask}, maps)
    assert error(pair[:1], plain) < FLOAT_ERROR and torch.allclose(pair[:1, :, 0], start[:, :, 0], atol=1e-5)
    assert pair.isfinite().all() and error(pair[1:, :, 0], start[:, :, 0]) > 0.01


def test_pictures_of_a_video_vae_are_shifted_by_their_own_maps(sample: Sample):
    maps, empty = blocks(2, 64, 96), {"samples": torch.zeros(2, 16, 1, 8, 12)}
    one = {"samples": empty["samples"][:1]}
    _, pair = sample("Stereo_StereoKSampler", "qwen_image", empty, maps, vae=load_vae("video"))
    _, alone = sample("Stereo_StereoKSampler", "qwen_image", one, maps[:1], vae=load_vae("video"))
    assert error(pair[::2], alone) < FLOAT_ERROR
