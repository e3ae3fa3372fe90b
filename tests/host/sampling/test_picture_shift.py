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
from tests.host.tiny import stereo_video as video
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
    assert vae.calls == ["decode", "encode"] and again == [1]


def test_a_vae_of_another_model_is_named():
    class Half(Averages):
        def encode(self, pixels: Tensor) -> Tensor:
            return super().encode(pixels)[..., ::2]

    made, _ = shift(Half(), torch.zeros(1, 1, 32, 128))
    with pytest.raises(ValueError, match="vae: gives back a latent of another size.* Connect the VAE that belongs"):
        made(torch.zeros(1, 3, 4, 16))


def test_the_sampler_shifts_through_the_models_own_vae():
    vae = load_vae("picture")
    pair, _ = tiny.sample("sd15", tiny.stereo(vae=vae, shift="sub_column", fill="background"))
    plain, _ = tiny.sample("sd15", "euler")
    assert pair.isfinite().all() and tiny.error(pair[:1], plain) <= 1e-5
    latent_shift, _ = tiny.sample("sd15", tiny.stereo(shift="sub_column", fill="background"))
    assert torch.equal(latent_shift[:1], pair[:1]) and not torch.equal(latent_shift[1:], pair[1:])


def test_whole_columns_of_a_picture_are_refused():
    with pytest.raises(ValueError, match="shifted exactly, and shift is rounded. Set shift to sub_column, or"):
        tiny.stereo(vae=load_vae("picture"), shift="rounded")


CLIP = {"shift": "sub_column", "fill": "background"}


@pytest.mark.parametrize(("name", "autoencoder"), [("svd", "picture"), ("clip", "video")])
def test_the_right_view_of_a_clip_is_shifted_through_the_models_own_vae(name: str, autoencoder: str):
    vae, steps = load_vae(autoencoder), 4
    trajectory, plain = video.record(name, sigmas=steps)
    given = {"samples": video.zeros(name), "sigmas": steps}
    pairs = []
    for first, second in ((vae, None), (None, vae), (None, None)):
        sampler = video.restart(trajectory, video.refine(trajectory, vae=second, **CLIP), vae=first, **CLIP)
        pairs.append(tiny.sample(video.family(name), sampler, **given)[0])
    with_vae, with_the_inner_ones, without = pairs
    assert torch.equal(with_vae[: len(plain)], plain) and with_vae.isfinite().all()
    assert torch.equal(with_vae, with_the_inner_ones)
    assert tiny.error(with_vae[len(plain) :], without[len(plain) :]) > 1e-3


def test_a_clips_vae_is_given_each_clip_whole_and_every_frame_its_own_map():
    """One map for each frame of the video moves each frame by its own disparity."""

    class Frames(Averages):
        def decode(self, latent: Tensor) -> Tensor:
            assert latent.shape[0] == 1
            return super().decode(latent[0].movedim(1, 0)[[0, 1, 1]])[None]  # (1, T, h, w, 3), as a causal VAE

        def encode(self, pixels: Tensor) -> Tensor:
            return super().encode(pixels)[[0, 1]].movedim(0, 1)[None]

    latent = torch.rand(2, 3, 2, 4, 16, generator=torch.Generator().manual_seed(0))
    depth = torch.stack([torch.full((1, 32, 128), value) for value in (0.0, 0.625, 0.625)])
    made, again = shift(Frames(), depth)
    moved = made(latent)
    torch.testing.assert_close(moved[:, :, 0], latent[:, :, 0])
    torch.testing.assert_close(moved[:, :, 1, :, :-1], latent[:, :, 1, :, 1:])  # 0.625 of 12.8 pixels: one column
    assert again == [1]


@pytest.mark.parametrize("node", [video.restart, video.refine])
def test_whole_columns_of_a_clip_are_refused(node: Any):
    with pytest.raises(ValueError, match="and shift is truncated. Set shift of Stereo Video Options to"):
        node(video.record("sd15", sigmas=2)[0], vae=load_vae("picture"), shift="truncated", fill="background")


@pytest.mark.parametrize(("maps", "frames"), [(3, 9), (2, 5), (21, 81), (1, 9), (4, 13)])
def test_maps_of_latent_frames_go_to_the_frames_that_these_hold(maps: int, frames: int):
    module = pack_module("nodes.sampling.picture_shift")
    numbers = torch.arange(float(maps)).view(-1, 1, 1, 1)
    spread = module._spread(numbers, frames).flatten().tolist()
    ratio = (frames - 1) // max(maps - 1, 1)
    assert spread == [0.0] + [float(1 + (frame - 1) // ratio) if maps > 1 else 0.0 for frame in range(1, frames)]
