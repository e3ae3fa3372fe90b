"""Tiny autoencoders for the host's own VAE loader."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path
from typing import Any

import torch

from tests.host.tiny.weights import Weights, random_weights, save


def picture(seed: int = 3) -> Weights:
    """The tiny autoencoder for the latents of SD 1.x, which SVD and SV3D share, as the host finds it in one file."""
    from comfy.taesd.taesd import TAESD

    with torch.device("meta"):
        network = TAESD(latent_channels=4)
    scales = {"vae_scale": torch.tensor(0.18215), "vae_shift": torch.tensor(0.0)}
    return {**random_weights(network, seed), **scales}


def picture16() -> Weights:
    """The tiny autoencoder for latents of sixteen channels."""
    from comfy.taesd.taesd import TAESD

    with torch.device("meta"):
        network = TAESD(latent_channels=16)
    return random_weights(network, 10)


def video(seed: int = 11) -> Weights:
    """Wan 2.1's causal autoencoder with narrow layers."""
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
    return random_weights(network, seed)


@functools.cache
def load_vae(name: str, **seed: int) -> Any:
    """Load ``picture``, ``picture16`` or ``video`` as a user would: a VAE."""
    import folder_paths

    import nodes

    weights = {"picture": picture, "picture16": picture16, "video": video}[name](**seed)
    file = Path(folder_paths.get_folder_paths("vae")[0], "_".join([name, *map(str, seed.values())]) + ".safetensors")
    save(weights, file)
    with torch.inference_mode():
        return nodes.VAELoader().load_vae(file.name)[0]


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
