"""Video models with few layers and random weights, for the host's own loaders: SVD, Wan 2.1 and 2.2.

Import only after the host is importable.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.host.tiny.checkpoints import clip_l, random_weights, tiny_vae
from tests.host.tiny.families import FAMILIES

VISION = "conditioner.embedders.0.open_clip.model.visual."
_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.int64: "I64"}


def clip_vision_shapes(host: Path) -> dict[str, list[int]]:
    """The shapes of SVD's vision encoder, ViT-H: the host takes no smaller one for it."""
    import comfy.ops
    from comfy.clip_model import CLIPVisionModelProjection

    config = json.loads((host / "comfy" / "clip_vision_config_h.json").read_text(encoding="utf-8"))
    network = CLIPVisionModelProjection(config, torch.float16, "meta", comfy.ops.disable_weight_init)
    return {name: list(tensor.shape) for name, tensor in network.state_dict().items()}


def make_svd(file: Path, host: Path) -> None:
    """SVD with a tiny U-Net, the tiny autoencoder, and a full-size vision encoder that sees nothing."""
    unet, _ = FAMILIES["svd"].build()
    parts = {"model.diffusion_model.": unet, "first_stage_model.": tiny_vae()}
    tensors = {prefix + name: value for prefix, part in parts.items() for name, value in part.items()}
    zeros = {VISION + name: shape for name, shape in clip_vision_shapes(host).items()}
    save_with_zeros(tensors, zeros, file)


def save_with_zeros(tensors: dict[str, Tensor], zeros: dict[str, list[int]], file: Path) -> None:
    """Save a safetensors file whose ``zeros``, in half precision, take no room on the disk."""
    header: dict[str, Any] = {}
    end = 0
    for name, (kind, shape, size) in {
        **{name: (_NAMES[value.dtype], list(value.shape), value.nbytes) for name, value in tensors.items()},
        **{name: ("F16", shape, 2 * math.prod(shape)) for name, shape in zeros.items()},
    }.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for value in tensors.values():
            stream.write(value.contiguous().numpy().tobytes())
        stream.truncate(8 + len(text) + end)


def wan_t2v(seed: int = 31, text_dim: int = 768, **changes: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Wan's text-to-video network and what the host's detection must be told of it."""
    import comfy.ops
    from comfy.ldm.wan.model import WanModel

    shape = {"dim": 128, "ffn_dim": 256, "num_layers": 2, "num_heads": 2, **changes}
    network = WanModel(
        model_type="t2v",
        in_dim=16,
        out_dim=16,
        freq_dim=256,
        text_dim=text_dim,
        **shape,
        dtype=torch.float32,
        device="meta",
        operations=comfy.ops.disable_weight_init,
    )
    return random_weights(network, seed), {"num_heads": shape["num_heads"], "text_dim": text_dim}


def make_wan_t2v(file: Path, seed: int = 31) -> None:
    """Wan text to video that reads what ``make_text_encoder`` writes."""
    weights, told = wan_t2v(seed)
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, file, metadata={"config": json.dumps({"transformer": told})})


def make_text_encoder(file: Path, host: Path) -> None:
    """CLIP-L, which the host loads whatever the loader's type says: Wan's own umT5 would be 11 GB."""
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(clip_l(host), file)


def make_wan_vae(file: Path, seed: int = 32) -> None:
    """Wan 2.1's autoencoder with narrow layers."""
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
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(random_weights(network, seed), file)


def make_video_models(models: Path, host: Path) -> None:
    """Everything that the video workflows ask for, by the names they ask for."""
    make_svd(models / "checkpoints" / "svd_xt.safetensors", host)
    diffusion = models / "diffusion_models"
    make_wan_t2v(diffusion / "wan2.1_t2v_1.3B_fp16.safetensors", 31)
    make_wan_t2v(diffusion / "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors", 33)
    make_wan_t2v(diffusion / "wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors", 34)
    make_text_encoder(models / "text_encoders" / "umt5_xxl_fp8_e4m3fn_scaled.safetensors", host)
    make_wan_vae(models / "vae" / "wan_2.1_vae.safetensors")
