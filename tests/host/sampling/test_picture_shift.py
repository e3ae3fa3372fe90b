"""A shift in the picture: through the model's VAE, at full resolution, with the model in place again."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from stereo_core.geometry import StereoGeometry
from stereo_core.rendering import render_view
from stereo_core.stereo_depth import StereoDepth
from tests.host.tiny import sampling as tiny
from tests.host.tiny.autoencoders import load_vae
from tools.host.in_process import pack_module

pytestmark = pytest.mark.usefixtures("host")


class Averages:
    """A VAE of means: 3 channels of 8x8 pixels each; exact where a picture is constant over them."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def decode(self, latent: Tensor) -> Tensor:
        self.calls.append("decode")
        pixels = latent.repeat_interleave(8, -1).repeat_interleave(8, -2)
        return pixels.movedim(1, -1)

    def encode(self, pixels: Tensor) -> Tensor:
        self.calls.append("encode")
        return torch.nn.functional.avg_pool2d(pixels.movedim(-1, 1), 8)


class Unscaled:
    def process_out(self, latent: Tensor) -> Tensor:
        return latent / 2

    def process_in(self, latent: Tensor) -> Tensor:
        return latent * 2


def shift(vae: Any, depth: Tensor, percent: float = 10.0) -> Any:
    again: list[int] = []
    stereo = StereoDepth(depth, StereoGeometry(percent, 0.0))
    made = pack_module("nodes.sampling.picture_shift").PictureShift(vae, stereo, Unscaled(), lambda: again.append(1))
    return made, again


def test_it_is_the_warped_picture_encoded():
    latent = torch.rand(2, 3, 4, 16, generator=torch.Generator().manual_seed(0))
    depth = torch.rand(2, 1, 32, 128, generator=torch.Generator().manual_seed(1)).round()
    vae = Averages()
    made, again = shift(vae, depth)
    moved = made(latent)
    for entry in range(2):
        picture = (latent[entry : entry + 1] / 2).repeat_interleave(8, -1).repeat_interleave(8, -2)
        warped = render_view(picture, depth[entry : entry + 1] * 12.8).image
        expected = 2 * torch.nn.functional.avg_pool2d(warped, 8)
        torch.testing.assert_close(moved[entry : entry + 1], expected)
    assert vae.calls == ["decode", "encode"] * 2 and again == [1]


def test_a_vae_of_another_model_is_named():
    class Half(Averages):
        def encode(self, pixels: Tensor) -> Tensor:
            return super().encode(pixels)[..., ::2]

    made, _ = shift(Half(), torch.zeros(1, 1, 32, 128))
    with pytest.raises(ValueError, match="vae: gives back a latent of .* Connect the VAE that belongs to the model"):
        made(torch.zeros(1, 3, 4, 16))


def test_the_sampler_shifts_through_the_models_own_vae():
    vae = load_vae("picture")
    pair, _ = tiny.sample("sd15", tiny.stereo(vae=vae, shift="sub_column", fill="background"))
    plain, _ = tiny.sample("sd15", "euler")
    assert pair.isfinite().all() and tiny.error(pair[:1], plain) <= 1e-5
    latent_shift, _ = tiny.sample("sd15", tiny.stereo(shift="sub_column", fill="background"))
    assert torch.equal(latent_shift[:1], pair[:1]) and not torch.equal(latent_shift[1:], pair[1:])


def test_whole_columns_of_a_picture_are_refused():
    with pytest.raises(ValueError, match="vae: the picture is shifted exactly, and shift is rounded"):
        tiny.stereo(vae=load_vae("picture"), shift="rounded")
