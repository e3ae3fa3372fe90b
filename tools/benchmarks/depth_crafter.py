"""DepthCrafter at its full size with random weights: the U-Net, autoencoder and vision encoder of SVD."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tools.host.in_process import pack_module

from .video import svd_network


def random_depthcrafter() -> Any:
    """Make what Load Depth Model gives for DepthCrafter, in fp32."""
    import comfy.clip_vision
    import comfy.sd

    unet = _drawn(svd_network())
    model = comfy.sd.load_diffusion_model_state_dict(unet, {"dtype": torch.float32})
    vae = comfy.sd.VAE(_drawn(_autoencoder()), dtype=torch.float32)
    vision = comfy.clip_vision.ClipVisionModel(
        str(Path(comfy.clip_vision.__file__).with_name("clip_vision_config_h.json"))
    )
    for values in vision.model.state_dict().values():
        values.copy_(_values(values))
    return pack_module("nodes.depth.depthcrafter").DepthCrafterModel(model, vae, vision)


def _drawn(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: _values(tensor).half() for name, tensor in network.state_dict().items()}


def _values(like: torch.Tensor) -> torch.Tensor:
    """Draw weights that keep a network's values finite."""
    if not like.is_floating_point():
        return torch.arange(like.numel()).view(like.shape)
    if like.ndim < 2:
        return torch.ones(like.shape)
    return torch.randn(like.shape) * (0.5 / max(like[0].numel(), 1) ** 0.5)


def _autoencoder() -> torch.nn.Module:
    from comfy.ldm.models.autoencoder import AutoencodingEngine

    sizes = {"double_z": True, "z_channels": 4, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 128}
    sizes |= {"ch_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_resolutions": [], "dropout": 0.0}
    decoder = {**sizes, "video_kernel_size": [3, 1, 1], "alpha": 0.0}
    with torch.device("meta"):
        return AutoencodingEngine(
            regularizer_config={"target": "comfy.ldm.models.autoencoder.DiagonalGaussianRegularizer"},
            encoder_config={"target": "comfy.ldm.modules.diffusionmodules.model.Encoder", "params": sizes},
            decoder_config={"target": "comfy.ldm.modules.temporal_ae.VideoDecoder", "params": decoder},
        )
