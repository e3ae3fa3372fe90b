"""Small SVD, SV3D_p and SV3D_u checkpoints for the host's own loader, and small vision encoders and autoencoders.

Import only after the host is importable.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.host.tiny.checkpoints import random_weights, sd15_unet, tiny_vae
from tests.host.tiny.families import FAMILIES
from tests.host.tiny.video_models import VISION, clip_vision_shapes, save_with_zeros

# Width of what the network is told beside the picture: augmentation; with elevation and azimuth.
_SV3D = {"sv3d_u": 256, "sv3d_p": 1280}
# Where the host looks for each checkpoint's autoencoder.
_VAE_PREFIX = {"svd": "first_stage_model.", **dict.fromkeys(_SV3D, "conditioner.embedders.1.encoder.")}
KINDS = tuple(_VAE_PREFIX)


def unet(kind: str) -> dict[str, Tensor]:
    """The smallest network that the host takes for the model: the depths are fixed, the levels are not."""
    if kind == "svd":
        return FAMILIES["svd"].build()[0]
    shape = {
        "in_channels": 8,
        "context_dim": 1024,
        "use_linear_in_transformer": True,
        "num_heads": -1,
        "num_head_channels": 64,
        "num_classes": "sequential",
        "adm_in_channels": _SV3D[kind],
        "num_res_blocks": [8],
        "channel_mult": [1],
        "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
        "transformer_depth_output": [0] * 9,
        "transformer_depth_middle": -2,
        "extra_ff_mix_layer": True,
        "use_spatial_context": True,
        "merge_strategy": "learned_with_images",
        "merge_factor": 0.0,
        "video_kernel_size": [3, 1, 1],
        "use_temporal_resblock": True,
        "use_temporal_attention": True,
        "disable_temporal_crossattention": False,
    }
    return sd15_unet(31, **shape)


def make_checkpoint(file: Path, kind: str, host: Path | None = None) -> None:
    """A checkpoint for Image Only Checkpoint Loader; given ``host``, with its vision encoder, which sees nothing."""
    parts = {"model.diffusion_model.": unet(kind), _VAE_PREFIX[kind]: tiny_vae()}
    tensors = {prefix + name: value for prefix, part in parts.items() for name, value in part.items()}
    zeros = {VISION + name: shape for name, shape in clip_vision_shapes(host).items()} if host else {}
    save_with_zeros(tensors, zeros, file)


def load_checkpoint(folder: Path, kind: str) -> tuple[Any, Any]:
    """Load a small checkpoint as Image Only Checkpoint Loader does: MODEL and VAE."""
    import comfy.sd

    file = folder / f"matrix_{kind}.safetensors"
    if not file.is_file():
        make_checkpoint(file, kind)
    model, _, vae, _ = comfy.sd.load_checkpoint_guess_config(str(file), output_clip=False, output_clipvision=True)
    return model, vae


def load_vae(seed: int = 3) -> Any:
    """A VAE: the tiny autoencoder for the latents of SD 1.x, which are those of SVD and SV3D."""
    import comfy.sd

    return comfy.sd.VAE(sd=tiny_vae(seed))


def clip_vision(seed: int = 32) -> Any:
    """A CLIP_VISION of the host's own class that ends in the width that SVD takes, with two thin layers."""
    from comfy.clip_vision import ClipVisionModel

    encoder = ClipVisionModel(
        {
            "model_type": "clip_vision_model",
            "hidden_act": "gelu",
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_attention_heads": 2,
            "num_channels": 3,
            "num_hidden_layers": 2,
            "patch_size": 14,
            "image_size": 56,
            "projection_dim": 1024,
        }
    )
    weights = random_weights(encoder.model, seed)
    encoder.load_sd({name: value.to(torch.float32) for name, value in weights.items()})
    return encoder
