"""Diffusion models that take depth, with few layers and random weights: SD2-depth, a depth ControlNet and a LoRA for
SD 1.x.

Import only after the host is importable.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.host.tiny.checkpoints import random_weights, sd15_unet, tiny_vae


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


def clip_h(host: Path, seed: int = 13) -> dict[str, Tensor]:
    """SD 2.x's text encoder at its full size, 680 MB: its layers pass on the embeddings, which are random."""
    import comfy.ops
    from comfy.clip_model import CLIPTextModel

    config = json.loads((host / "comfy" / "text_encoders" / "sd2_clip_config.json").read_text(encoding="utf-8"))
    network = CLIPTextModel(config, torch.float16, "meta", comfy.ops.disable_weight_init)
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, tensor in network.state_dict().items():
        if tensor.ndim == 2 and "embedding" in name:
            weights[name] = torch.randn(tensor.shape, generator=generator).half()
        else:
            is_scale = tensor.ndim == 1 and name.endswith("weight")
            weights[name] = (torch.ones if is_scale else torch.zeros)(tensor.shape, dtype=torch.float16)
    return weights


def make_sd2_depth(file: Path, host: Path | None = None) -> None:
    """SD2-depth, with its text encoder if ``host`` says where its configuration is."""
    parts = {"model.diffusion_model.": sd2_depth_unet(), "first_stage_model.": tiny_vae()}
    if host is not None:
        parts["cond_stage_model.model.transformer."] = clip_h(host)
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


def make_lora(file: Path, seed: int = 14) -> None:
    """A LoRA of rank 1 on one projection of ``sd15_unet``."""
    generator = torch.Generator().manual_seed(seed)
    key = "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q"
    weights = {
        f"{key}.lora_down.weight": torch.randn(1, 320, generator=generator) / 18,
        f"{key}.lora_up.weight": torch.randn(320, 1, generator=generator),
        f"{key}.alpha": torch.tensor(1.0),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, file)
