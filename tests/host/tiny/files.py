"""Model files for a running server: at the widths by which the host knows the families, with their encoders."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.host.tiny import autoencoders, transformers
from tests.host.tiny.unets import FULL, unet
from tests.host.tiny.weights import Weights, random_weights, save

_VISION = "conditioner.embedders.0.open_clip.model.visual."
# Where the host looks for each checkpoint's autoencoder.
_VAE = {"svd": "first_stage_model.", "sv3d_p": "conditioner.embedders.1.encoder."}
_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.int64: "I64"}


def make_sd15(file: Path, host: Path) -> None:
    """A whole SD 1.x checkpoint: tiny U-Net, full-size CLIP-L, tiny autoencoder."""
    _save_parts(
        file,
        {
            "model.diffusion_model.": unet("sd15", 1, FULL),
            "cond_stage_model.transformer.": _clip_l(host),
            "first_stage_model.": autoencoders.picture(),
        },
    )


def make_sd2_depth(file: Path, host: Path) -> None:
    """SD2-depth with its text encoder."""
    _save_parts(
        file,
        {
            "model.diffusion_model.": unet("sd2_depth", 11, FULL),
            "first_stage_model.": autoencoders.picture(),
            "cond_stage_model.model.transformer.": _clip_h(host),
        },
    )


def make_lora(file: Path, seed: int = 14) -> None:
    """A LoRA of rank 1 on one projection of SD 1.x."""
    generator = torch.Generator().manual_seed(seed)
    key = "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q"
    weights = {
        f"{key}.lora_down.weight": torch.randn(1, FULL, generator=generator) / FULL**0.5,
        f"{key}.lora_up.weight": torch.randn(FULL, 1, generator=generator),
        f"{key}.alpha": torch.tensor(1.0),
    }
    save(weights, file)


def make_clip_checkpoint(file: Path, kind: str, host: Path) -> None:
    """SVD or SV3D_p with a tiny U-Net, the tiny autoencoder, and a full-size vision encoder that sees nothing."""
    parts = {"model.diffusion_model.": unet(kind, 14, FULL), _VAE[kind]: autoencoders.picture()}
    zeros = {_VISION + name: shape for name, shape in _clip_vision_shapes(host).items()}
    _save_with_zeros(_joined(parts), zeros, file)


def make_video_models(models: Path, host: Path) -> None:
    """Everything that the video workflows ask for, by the names they ask for."""
    make_clip_checkpoint(models / "checkpoints" / "svd_xt.safetensors", "svd", host)
    diffusion = models / "diffusion_models"
    for seed, name in enumerate(
        (
            "wan2.1_t2v_1.3B_fp16",
            "wan2.2_t2v_high_noise_14B_fp8_scaled",
            "wan2.2_t2v_low_noise_14B_fp8_scaled",
        ),
        31,
    ):
        weights, metadata = transformers.wan(seed=seed, text=768)
        save(weights, diffusion / f"{name}.safetensors", metadata=metadata)
    # CLIP-L, which the host loads whatever the loader's type says: Wan's own umT5 would be 11 GB.
    save(_clip_l(host), models / "text_encoders" / "umt5_xxl_fp8_e4m3fn_scaled.safetensors")
    save(autoencoders.video(32), models / "vae" / "wan_2.1_vae.safetensors")


def _joined(parts: dict[str, Weights]) -> Weights:
    return {prefix + name: value for prefix, part in parts.items() for name, value in part.items()}


def _save_parts(file: Path, parts: dict[str, Weights]) -> None:
    save(_joined(parts), file)


def _clip_l(host: Path, seed: int = 2) -> Weights:
    """CLIP-L at its full size (the host leaves missing layers uninitialised), random: 246 MB."""
    import comfy.ops
    from comfy.clip_model import CLIPTextModel

    config = json.loads((host / "comfy" / "sd1_clip_config.json").read_text(encoding="utf-8"))
    return random_weights(CLIPTextModel(config, torch.float32, "meta", comfy.ops.disable_weight_init), seed)


def _clip_h(host: Path, seed: int = 13) -> Weights:
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


def _clip_vision_shapes(host: Path) -> dict[str, list[int]]:
    """The shapes of SVD's vision encoder, ViT-H: the host takes no smaller one for it."""
    import comfy.ops
    from comfy.clip_model import CLIPVisionModelProjection

    config = json.loads((host / "comfy" / "clip_vision_config_h.json").read_text(encoding="utf-8"))
    network = CLIPVisionModelProjection(config, torch.float16, "meta", comfy.ops.disable_weight_init)
    return {name: list(tensor.shape) for name, tensor in network.state_dict().items()}


def _save_with_zeros(tensors: dict[str, Tensor], zeros: dict[str, list[int]], file: Path) -> None:
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
