"""Tiny autoencoders for the host's own VAE loader."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.host.tiny.checkpoints import random_weights, tiny_vae


def _wan() -> dict[str, Tensor]:
    from comfy.ldm.wan.vae import WanVAE

    with torch.device("meta"):
        network = WanVAE(
            dim=8,
            z_dim=16,
            dim_mult=[1, 2, 4, 4],
            num_res_blocks=2,
            attn_scales=[],
            temperal_downsample=[False, True, True],
            dropout=0.0,
            image_channels=3,
            conv_out_channels=3,
        )
    return random_weights(network, 11)


def _sixteen() -> dict[str, Tensor]:
    from comfy.taesd.taesd import TAESD

    with torch.device("meta"):
        network = TAESD(latent_channels=16)
    return random_weights(network, 10)


@functools.cache
def load_vae(name: str) -> Any:
    """Load ``picture`` (four channels), ``picture16`` (sixteen) or ``video`` (Wan's, causal) as a user would."""
    import folder_paths

    import nodes

    folder = Path(folder_paths.get_folder_paths("vae")[0])
    folder.mkdir(parents=True, exist_ok=True)
    weights = {"picture": tiny_vae, "picture16": _sixteen, "video": _wan}[name]()
    save_file(weights, folder / f"tiny_{name}.safetensors")
    with torch.inference_mode():
        return nodes.VAELoader().load_vae(f"tiny_{name}.safetensors")[0]


def load_taef2(weights: Path) -> Any:
    """Load the real tiny autoencoder of FLUX.2 from the folder ``weights``."""
    import folder_paths

    import nodes

    folder = Path(folder_paths.get_folder_paths("vae_approx")[0])
    folder.mkdir(parents=True, exist_ok=True)
    for file in weights.glob("taef2_*coder.pth"):
        shutil.copy(file, folder / file.name)
    with torch.inference_mode():
        return nodes.VAELoader().load_vae("taef2")[0]
