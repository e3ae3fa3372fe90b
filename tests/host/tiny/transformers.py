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


def flux2() -> tuple[Weights, Metadata]:
    from comfy.ldm.flux.model import Flux

    shape = {
        "in_channels": 128,
        "out_channels": 128,
        "patch_size": 1,
        "vec_in_dim": None,
        "axes_dim": [32, 32, 32, 32],
        "theta": 2000,
        "mlp_ratio": 3.0,
        "global_modulation": True,
        "mlp_silu_act": True,
        "qkv_bias": False,
        "ops_bias": False,
        "txt_ids_dims": [3],
    }
    return fill(Flux, 24, **{**_FLUX, **shape}), {}


CHROMA = {"in_dim": 64, "out_dim": 128, "hidden_dim": 64, "n_layers": 1}
"""As ``QWEN``."""
RADIANCE = {**CHROMA, "nerf_hidden_size": 8, "nerf_depth": 1, "nerf_max_freqs": 4}
"""As ``QWEN``."""

_CHROMA = {**{name: value for name, value in _FLUX.items() if name != "guidance_embed"}, "vec_in_dim": None}
_CHROMA |= {"theta": 10000, "txt_ids_dims": []}


def chroma() -> tuple[Weights, Metadata]:
    from comfy.ldm.chroma.model import Chroma

    channels = {"in_channels": 64, "out_channels": 64}
    return fill(Chroma, 25, **{**_CHROMA, **channels}, patch_size=2, **CHROMA), {}


def chroma_radiance() -> tuple[Weights, Metadata]:
    from comfy.ldm.chroma_radiance.model import ChromaRadiance

    shape = {
        "in_channels": 3,
        "out_channels": 3,
        "patch_size": 4,
        "nerf_mlp_ratio": 4,
        "nerf_tile_size": 512,
        "nerf_final_head_type": "conv",
        "nerf_embedder_dtype": None,
        "use_x0": False,
        "use_sequential_txt_ids": False,
    }
    return fill(ChromaRadiance, 26, **{**_CHROMA, **shape}, **RADIANCE), {}


def hunyuan_video(seed: int = 17, **changes: Any) -> tuple[Weights, Metadata]:
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
    return fill(HunyuanVideo, seed, **{**_FLUX, **shape, **changes}), {}


def hunyuan_video15() -> tuple[Weights, Metadata]:
    vision = {"use_cond_type_embedding": True, "vision_in_dim": 1152, "meanflow_sum": True}
    channels = {"in_channels": 65, "out_channels": 32}
    return hunyuan_video(27, patch_size=[1, 1, 1], vec_in_dim=None, **channels, **vision)


def hunyuan_image() -> tuple[Weights, Metadata]:
    channels = {"in_channels": 64, "out_channels": 64}
    return hunyuan_video(28, patch_size=[1, 1], axes_dim=[64, 64], vec_in_dim=None, **channels)


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
    kind: str = "WanModel",
    model_type: str = "t2v",
    in_dim: int = 16,
    seed: int = 19,
    text: int = TEXT,
    out_dim: int = 16,
    **shape: Any,
) -> tuple[Weights, Metadata]:
    import comfy.ldm.wan.model

    common = {"dim": 128, "ffn_dim": 256, "freq_dim": 256, "text_dim": text, "out_dim": out_dim, "num_layers": 2}
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


LUMINA = {"dim": 64, "n_heads": 2, "n_kv_heads": 1, "axes_dims": [8, 12, 12], "axes_lens": [300, 512, 512]}
"""As ``QWEN``."""
Z_IMAGE = {
    **LUMINA,
    "dim": 256,
    "n_heads": 8,
    "n_kv_heads": 8,
    "z_image_modulation": True,
    "time_scale": 1000.0,
    "pad_tokens_multiple": 32,
}
"""As ``QWEN``."""
Z_PIXELS = {
    **Z_IMAGE,
    "in_channels": 3,
    "patch_size": 4,
    "decoder_in_channels": 48,
    "decoder_hidden_size": 32,
    "decoder_num_res_blocks": 1,
    "decoder_max_freqs": 4,
}
"""As ``QWEN``."""


def _lumina(kind: str, seed: int, **shape: Any) -> tuple[Weights, Metadata]:
    import comfy.ldm.lumina.model

    common = {"in_channels": 16, "cap_feat_dim": TEXT, "n_layers": 2, "qk_norm": True}
    return fill(getattr(comfy.ldm.lumina.model, kind), seed, **{**common, **shape}), {}


def lumina() -> tuple[Weights, Metadata]:
    return _lumina("NextDiT", 29, **LUMINA)


def z_image() -> tuple[Weights, Metadata]:
    return _lumina("NextDiT", 30, **Z_IMAGE)


def z_image_pixels() -> tuple[Weights, Metadata]:
    return _lumina("NextDiTPixelSpace", 31, **Z_PIXELS)


HIDREAM = {
    "attention_head_dim": 32,
    "num_attention_heads": 2,
    "axes_dims_rope": [8, 12, 12],
    "caption_channels": [TEXT, TEXT],
    "llama_layers": [0, 1, 1],
    "num_layers": 1,
    "num_single_layers": 2,
    "num_routed_experts": 2,
    "text_emb_dim": 64,
}
"""As ``QWEN``; with two experts of two there is none to choose, which float errors could."""


def hidream() -> tuple[Weights, Metadata]:
    from comfy.ldm.hidream.model import HiDreamImageTransformer2DModel

    return fill(HiDreamImageTransformer2DModel, 32, patch_size=2, in_channels=16, **HIDREAM), {}


COSMOS = {"num_blocks": 2, "num_heads": 2, "crossattn_emb_channels": TEXT, "adaln_lora_dim": 16}
"""As ``QWEN``."""
ADAPTER = {"source_dim": TEXT, "target_dim": TEXT, "model_dim": TEXT, "num_layers": 1, "num_heads": 2}
"""Likewise of Anima's adapter of the text."""


def cosmos(anima: bool = False) -> tuple[Weights, Metadata]:
    from comfy.ldm.anima.model import Anima
    from comfy.ldm.cosmos.predict2 import MiniTrainDIT

    shape = {
        "max_img_h": 240,
        "max_img_w": 240,
        "max_frames": 128,
        "in_channels": 16,
        "out_channels": 16,
        "patch_spatial": 2,
        "patch_temporal": 1,
        "model_channels": 64,
        "pos_emb_cls": "rope3d",
        "use_adaln_lora": True,
    }
    return fill(Anima if anima else MiniTrainDIT, 34, **shape, **COSMOS), {}


KANDINSKY = {"axes_dims": (8, 12, 12), "in_text_dim": TEXT, "in_text_dim2": 64, "model_dim": 64}
"""As ``QWEN``."""


def kandinsky(channels: int = 132) -> tuple[Weights, Metadata]:
    from comfy.ldm.kandinsky5.model import Kandinsky5

    shape = {"time_dim": 64, "ff_dim": 128, "num_text_blocks": 1, "num_visual_blocks": 2}
    return fill(Kandinsky5, 35, visual_embed_dim=channels, **shape, **KANDINSKY), {}


KREA = {"heads": 2, "kvheads": 1, "txtheads": 2, "txtkvheads": 2}
"""As ``QWEN``."""


def krea() -> tuple[Weights, Metadata]:
    from comfy.ldm.krea2.model import SingleStreamDiT

    return fill(SingleStreamDiT, 36, features=64, txtdim=TEXT // 2, txtlayers=2, layers=2, **KREA), {}


AURA = {"cond_seq_dim": TEXT, "dim": 64, "n_heads": 2, "global_conddim": 64}
"""As ``QWEN``."""


def aura() -> tuple[Weights, Metadata]:
    from comfy.ldm.aura.mmdit import MMDiT

    return fill(MMDiT, 37, n_layers=2, n_double_layers=1, max_seq=256, **AURA), {}


MOCHI = {
    "depth": 2,
    "num_heads": 2,
    "hidden_size_x": 64,
    "hidden_size_y": 32,
    "t5_feat_dim": TEXT,
    "t5_token_length": 7,
    "mlp_ratio_x": 192.0,  # whatever the width, the host wants 12288 in between
}
"""As ``QWEN``."""


def mochi() -> tuple[Weights, Metadata]:
    from comfy.ldm.genmo.joint_model.asymm_models_joint import AsymmDiTJoint

    shape = {"in_channels": 12, "learn_sigma": False, "timestep_scale": 1000.0, "use_t5": True}
    blocks = {"qk_norm": True, "qkv_bias": False, "out_bias": True, "attn_drop": 0.0}
    return fill(AsymmDiTJoint, 38, **shape, **blocks, **MOCHI), {}


def ltx2() -> tuple[Weights, Metadata]:
    from comfy.ldm.lightricks.av_model import LTXAVModel

    shape = {
        "num_attention_heads": 2,
        "attention_head_dim": 32,
        "cross_attention_dim": TEXT,
        "caption_channels": TEXT,
        "num_layers": 2,
        "in_channels": 128,
        "audio_num_attention_heads": 2,
        "audio_attention_head_dim": 32,
        "audio_cross_attention_dim": TEXT,
        "connector_attention_head_dim": 32,
        "connector_num_attention_heads": 2,
        "connector_num_layers": 1,
    }
    return fill(LTXAVModel, 40, **shape), shape


def lens() -> tuple[Weights, Metadata]:
    from comfy.ldm.lens.model import LensTransformer2DModel

    text = {"enc_hidden_dim": TEXT // 2, "selected_layer_index": (0, 1)}
    return fill(LensTransformer2DModel, 41, num_layers=2, num_attention_heads=2, **text), {}


MAGE = {"attention_head_dim": 32, "num_attention_heads": 2, "axes_dims_rope": (8, 12, 12)}
"""As ``QWEN``."""
MAGE_TEXT = 2560
"""Width of its text tokens, by which the host knows it."""


def mage() -> tuple[Weights, Metadata]:
    from comfy.ldm.mage_flow.model import MageFlowTransformer2DModel

    return fill(MageFlowTransformer2DModel, 42, num_layers=2, joint_attention_dim=MAGE_TEXT, **MAGE), {}
