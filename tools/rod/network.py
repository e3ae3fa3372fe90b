"""The rod's network, its latent, and both as the host's MODEL and VAE, built in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tools.toy.networks import Painter
from tools.toy.scenes import Pair, render_clips
from tools.toy.weights import Toy

# Two resolutions, four self-attentions, one of them at the finer resolution: 3.9 million weights.
UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 64,
    "num_res_blocks": [1, 1],
    "channel_mult": [1, 2],
    "transformer_depth": [0, 1],
    "transformer_depth_output": [0, 0, 1, 1],
    "transformer_depth_middle": 1,
    "context_dim": 64,
    "num_heads": -1,
    "num_head_channels": 32,
    "legacy": False,
    "use_spatial_transformer": True,
}
_MIDDLE, _SPREAD = 0.5, 0.25  # of the scenes' colours: latents have a mean of about 0 and a deviation of about 1
_SAMPLES = 4  # per pixel and axis


def make_painter(seed: int) -> Painter:
    """Return the U-Net and its conditions, untrained."""
    return Painter(seed, UNET)


def render_grid(seeds: Sequence[int], columns: int, frames: int = 1) -> Pair:
    """Render scenes with a pixel for each column of the latent; a clip's frames lie below each other in one picture.

    Args:
        seeds: one for each scene.
        columns: and rows of a frame.
        frames: of a clip; the camera stands.

    Returns:
        B scenes, every map (B, C, frames * columns, columns).
    """
    clip = render_clips(seeds, frames, columns, samples=_SAMPLES)
    *maps, label = clip
    stacked = [part.unflatten(0, (-1, frames)).transpose(1, 2).flatten(2, 3) for part in maps]
    return Pair(*stacked, label[::frames])


def encode(pictures: Tensor) -> Tensor:
    """The latent (B, 4, H, W) of pictures (B, 3, H, W) in [0, 1]: their colours, and the mean of these."""
    colors = (pictures - _MIDDLE) / _SPREAD
    return torch.cat([colors, colors.mean(dim=1, keepdim=True)], dim=1)


def decode(latents: Tensor) -> Tensor:
    """The pictures (B, 3, H, W) of latents, not clamped: the fourth channel tells nothing new."""
    return latents[:, :3] * _SPREAD + _MIDDLE


class LinearVAE:
    """What the host's nodes need of a VAE, for IMAGEs (B, H, W, 3)."""

    def encode(self, pixels: Tensor) -> Tensor:
        return encode(pixels[..., :3].movedim(-1, 1))

    def decode(self, samples: Tensor) -> Tensor:
        return decode(samples).clamp(0, 1).movedim(1, -1)


def as_host_model(unet: dict[str, Tensor], conditions: Tensor) -> Toy:
    """Build the host's MODEL and VAE; the host is imported already.

    Args:
        unet: weights of a U-Net of this shape, float32.
        conditions: (kinds + 1, tokens, width).
    """
    import comfy.latent_formats
    import comfy.model_management
    import comfy.model_patcher
    import comfy.supported_models_base

    class RodLatent(comfy.latent_formats.LatentFormat):
        spacial_downscale_ratio = 1

    class RodConfig(comfy.supported_models_base.BASE):
        unet_extra_config: dict[str, Any] = {}  # the heads stand in the shape
        latent_format = RodLatent

    device = comfy.model_management.get_torch_device()
    config = RodConfig(UNET)
    config.set_inference_dtype(torch.float32, None)
    model = config.get_model(unet, device="cpu")
    patcher = comfy.model_patcher.CoreModelPatcher(model, device, comfy.model_management.unet_offload_device())
    model.load_model_weights(dict(unet), "", assign=patcher.is_dynamic())
    return Toy(patcher, LinearVAE(), conditions)
