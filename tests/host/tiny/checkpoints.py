"""Diffusion checkpoints of the real architectures with few layers and random weights, for the host's own loaders.

Import only after the host is importable: the networks are the host's classes, built on the meta device and
filled from a seeded stream.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn


def random_weights(network: nn.Module, seed: int) -> dict[str, Tensor]:
    """Well-scaled values for every tensor of a network that was built on the meta device."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, tensor in network.state_dict().items():
        shape = tuple(tensor.shape)
        if not tensor.is_floating_point():
            values = torch.arange(tensor.numel()).reshape(shape)
        elif len(shape) <= 1:
            is_scale = name.endswith("weight")
            values = (torch.ones(shape) if is_scale else torch.zeros(shape)) + 0.02 * torch.randn(
                shape, generator=generator
            )
        else:
            values = torch.randn(shape, generator=generator) / math.sqrt(math.prod(shape[1:]))
        weights[name] = (values.half() if tensor.is_floating_point() else values).contiguous()
    return weights


def sd15_unet(seed: int = 1, **changes: Any) -> dict[str, Tensor]:
    """The smallest U-Net that the host still takes for SD 1.x: one level, one block."""
    import comfy.ops
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    shape = {
        "image_size": 32,
        "use_spatial_transformer": True,
        "legacy": False,
        "use_checkpoint": False,
        "model_channels": 320,
        "in_channels": 4,
        "out_channels": 4,
        "context_dim": 768,
        "use_linear_in_transformer": False,
        "num_res_blocks": [1],
        "channel_mult": [1],
        "transformer_depth": [1],
        "transformer_depth_output": [0, 1],
        "transformer_depth_middle": -2,
        "num_heads": 8,
        "num_head_channels": -1,
    }
    network = UNetModel(
        **{**shape, **changes}, dtype=torch.float32, device="meta", operations=comfy.ops.disable_weight_init
    )
    return random_weights(network, seed)


def clip_l(host: Path, seed: int = 2) -> dict[str, Tensor]:
    """CLIP-L at its full size (the host leaves missing layers uninitialised), random: 246 MB."""
    import comfy.ops
    from comfy.clip_model import CLIPTextModel

    config = json.loads((host / "comfy" / "sd1_clip_config.json").read_text(encoding="utf-8"))
    return random_weights(CLIPTextModel(config, torch.float32, "meta", comfy.ops.disable_weight_init), seed)


def tiny_vae(seed: int = 3) -> dict[str, Tensor]:
    """The tiny autoencoder for SD 1.x latents, in the form the host finds in one file."""
    from comfy.taesd.taesd import TAESD

    with torch.device("meta"):
        network = TAESD(latent_channels=4)
    scales = {"vae_scale": torch.tensor(0.18215), "vae_shift": torch.tensor(0.0)}
    return {**random_weights(network, seed), **scales}


def make_sd15(file: Path, host: Path) -> None:
    """A whole SD 1.x checkpoint: tiny U-Net, full-size CLIP-L, tiny autoencoder."""
    parts = {
        "model.diffusion_model.": sd15_unet(),
        "cond_stage_model.transformer.": clip_l(host),
        "first_stage_model.": tiny_vae(),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({prefix + name: value for prefix, part in parts.items() for name, value in part.items()}, file)
