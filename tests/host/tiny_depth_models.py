"""Diffusion models that take depth, with few layers and random weights: SD2-depth and a depth ControlNet for SD 1.x.

Import only after the host is importable.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from .tiny_checkpoints import random_weights, sd15_unet, tiny_vae


def sd2_depth_unet(seed: int = 11) -> dict[str, Tensor]:
    """The smallest U-Net that the host takes for SD 2.x, with the fifth input channel of SD2-depth."""
    return sd15_unet(
        seed, in_channels=5, context_dim=1024, use_linear_in_transformer=True, num_heads=-1, num_head_channels=64
    )


def control_net(seed: int = 12) -> dict[str, Tensor]:
    """A ControlNet of the SD 1.x architecture to go with ``sd15_unet``; no weight is zero, so that it acts."""
    import comfy.ops
    from comfy.cldm.cldm import ControlNet

    network = ControlNet(
        image_size=32,
        in_channels=4,
        model_channels=320,
        hint_channels=3,
        num_res_blocks=[1],
        channel_mult=[1],
        transformer_depth=[1],
        transformer_depth_middle=0,
        context_dim=768,
        num_heads=8,
        use_spatial_transformer=True,
        legacy=False,
        dtype=torch.float32,
        device="meta",
        operations=comfy.ops.disable_weight_init,
    )
    return random_weights(network, seed)


def make_sd2_depth(file: Path) -> None:
    """SD2-depth without a text encoder."""
    parts = {"model.diffusion_model.": sd2_depth_unet(), "first_stage_model.": tiny_vae()}
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({prefix + name: value for prefix, part in parts.items() for name, value in part.items()}, file)


def make_sd15_unet(file: Path) -> None:
    """SD 1.x without a text encoder or an autoencoder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({"model.diffusion_model." + name: value for name, value in sd15_unet().items()}, file)


def make_control_net(file: Path) -> None:
    """A ControlNet in the form of its authors' files."""
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({"control_model." + name: value for name, value in control_net().items()}, file)
