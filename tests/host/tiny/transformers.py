"""Diffusion transformers of the real architectures with few, narrow blocks."""

from __future__ import annotations

from typing import Any

from tests.host.tiny.weights import Weights, fill

TEXT = 64
"""Width of the text tokens."""

Metadata = dict[str, Any]
"""What the host reads of a network from its file, because the weights do not show it."""


def sd3() -> tuple[Weights, Metadata]:
    from comfy.ldm.modules.diffusionmodules.mmdit import OpenAISignatureMMDITWrapper

    depth = 2  # blocks, heads, and a 64th of the width
    embedder = {"target": "torch.nn.Linear", "params": {"in_features": TEXT, "out_features": 64 * depth}}
    # The first block attends to the picture a second time, as SD 3.5 medium does.
    shape = {
        "input_size": None,
        "patch_size": 2,
        "in_channels": 16,
        "out_channels": 16,
        "depth": depth,
        "adm_in_channels": 64,
        "pos_embed_scaling_factor": None,
        "context_embedder_config": embedder,
        "x_block_self_attn_layers": [0],
    }
    return fill(OpenAISignatureMMDITWrapper, 15, **shape), {}


_FLUX = {
    "in_channels": 16,
    "out_channels": 16,
    "context_in_dim": TEXT,
    "hidden_size": 128,
    "mlp_ratio": 4.0,
    "num_heads": 1,
    "depth": 2,
    "depth_single_blocks": 2,
    "axes_dim": [16, 56, 56],
    "qkv_bias": True,
    "guidance_embed": False,
}


def flux() -> tuple[Weights, Metadata]:
    from comfy.ldm.flux.model import Flux

    shape = {"image_model": "flux", "patch_size": 2, "vec_in_dim": 64, "theta": 10000, "txt_ids_dims": []}
    return fill(Flux, 16, **_FLUX, **shape), {}


def hunyuan_video() -> tuple[Weights, Metadata]:
    from comfy.ldm.hunyuan_video.model import HunyuanVideo

    shape = {
        "patch_size": [1, 2, 2],
        "vec_in_dim": 768,
        "theta": 256,
        "byt5": False,
        "meanflow": False,
        "use_cond_type_embedding": False,
        "vision_in_dim": None,
        "meanflow_sum": False,
    }
    return fill(HunyuanVideo, 17, **_FLUX, **shape), {}


QWEN = {
    "attention_head_dim": 32,
    "num_attention_heads": 2,
    "joint_attention_dim": TEXT,
    "axes_dims_rope": (8, 12, 12),
}
"""What the host takes for fixed in Qwen-Image; its detection must be told."""


def qwen_image() -> tuple[Weights, Metadata]:
    from comfy.ldm.qwen_image.model import QwenImageTransformer2DModel

    return fill(QwenImageTransformer2DModel, 18, num_layers=2, in_channels=64, **QWEN), {}


def wan(
    kind: str = "WanModel", model_type: str = "t2v", in_dim: int = 16, seed: int = 19, text: int = TEXT, **shape: Any
) -> tuple[Weights, Metadata]:
    import comfy.ldm.wan.model

    common = {"dim": 128, "ffn_dim": 256, "freq_dim": 256, "text_dim": text, "out_dim": 16, "num_layers": 2}
    network = getattr(comfy.ldm.wan.model, kind)
    weights = fill(network, seed, **common, num_heads=2, model_type=model_type, in_dim=in_dim, **shape)
    return weights, {"num_heads": 2, "text_dim": text}


def ltxv() -> tuple[Weights, Metadata]:
    from comfy.ldm.lightricks.model import LTXVModel

    shape = {
        "num_attention_heads": 2,
        "attention_head_dim": 32,
        "cross_attention_dim": TEXT,
        "caption_channels": TEXT,
        "num_layers": 2,
        "in_channels": 128,
    }
    return fill(LTXVModel, 20, **shape), shape
