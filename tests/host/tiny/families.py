"""The smallest checkpoints of each family with self-attention to couple, and conditioning that fits them.

Import only after the host is importable.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.host.tiny.checkpoints import random_weights, sd15_unet

WIDTH = 64
"""Width of the transformers' text tokens."""


@dataclass(frozen=True)
class Tiny:
    """A family's checkpoint and how to sample from it.

    Attributes:
        name: the file's name, without its ending.
        build: gives the weights, and the metadata of the file.
        latent: one picture's latent.
        text: width of the text tokens.
        extras: the conditioning's other entries.
        checkpoint: a whole checkpoint rather than a diffusion model alone.
    """

    name: str
    build: Callable[[], tuple[dict[str, Tensor], dict[str, Any]]]
    latent: tuple[int, ...]
    text: int = WIDTH
    extras: dict[str, Any] = field(default_factory=dict)
    checkpoint: bool = False

    def write(self, folder: Path) -> Path:
        """Make the file in ``folder``."""
        weights, metadata = self.build()
        if self.checkpoint:
            weights = {f"model.diffusion_model.{name}": value for name, value in weights.items()}
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{self.name}.safetensors"
        save_file(weights, file, metadata={"config": json.dumps({"transformer": metadata})} if metadata else None)
        return file

    def conditioning(self, seed: int) -> list[list[Any]]:
        """Random conditioning, as a text encoder would give it."""
        stream = torch.Generator().manual_seed(seed)
        extras = {
            name: torch.randn(value, generator=stream) if isinstance(value, tuple) else value
            for name, value in self.extras.items()
        }
        return [[torch.randn(1, 7, self.text, generator=stream), extras]]


def _fill(network: Callable[..., nn.Module], seed: int, **shape: Any) -> dict[str, Tensor]:
    import comfy.ops

    built = network(**shape, dtype=torch.float32, device="meta", operations=comfy.ops.disable_weight_init)
    return random_weights(built, seed)


# Two resolutions and a middle block: four self-attentions.
_TWO_LEVELS = {
    "num_res_blocks": [1, 1],
    "channel_mult": [1, 1],
    "transformer_depth": [1, 1],
    "transformer_depth_output": [0, 1, 0, 1],
    "transformer_depth_middle": 1,
}


def _sd15() -> tuple[dict[str, Tensor], dict[str, Any]]:
    return sd15_unet(11, **_TWO_LEVELS), {}


def _sd2() -> tuple[dict[str, Tensor], dict[str, Any]]:
    shape = {"context_dim": 1024, "use_linear_in_transformer": True, "num_heads": -1, "num_head_channels": 64}
    return sd15_unet(12, **shape), {}


def _sdxl() -> tuple[dict[str, Tensor], dict[str, Any]]:
    # Segmind Vega's depths: the least that the host takes for SDXL.
    shape = {
        "context_dim": 2048,
        "use_linear_in_transformer": True,
        "num_heads": -1,
        "num_head_channels": 64,
        "num_classes": "sequential",
        "adm_in_channels": 2816,
        "num_res_blocks": [2, 2, 2],
        "channel_mult": [1, 1, 1],
        "transformer_depth": [0, 0, 1, 1, 2, 2],
        "transformer_depth_output": [0] * 9,
        "transformer_depth_middle": -2,
    }
    return sd15_unet(13, **shape), {}


def _svd() -> tuple[dict[str, Tensor], dict[str, Any]]:
    shape = {
        "in_channels": 8,
        "context_dim": 1024,
        "use_linear_in_transformer": True,
        "num_heads": -1,
        "num_head_channels": 64,
        "num_classes": "sequential",
        "adm_in_channels": 768,
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
    return sd15_unet(14, **shape), {}


def _sd3() -> tuple[dict[str, Tensor], dict[str, Any]]:
    from comfy.ldm.modules.diffusionmodules.mmdit import OpenAISignatureMMDITWrapper

    depth = 2  # blocks, heads, and a 64th of the width
    embedder = {"target": "torch.nn.Linear", "params": {"in_features": WIDTH, "out_features": 64 * depth}}
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
    return _fill(OpenAISignatureMMDITWrapper, 15, **shape), {}


_FLUX = {
    "in_channels": 16,
    "out_channels": 16,
    "context_in_dim": WIDTH,
    "hidden_size": 128,
    "mlp_ratio": 4.0,
    "num_heads": 1,
    "depth": 2,
    "depth_single_blocks": 2,
    "axes_dim": [16, 56, 56],
    "qkv_bias": True,
    "guidance_embed": False,
}


def _flux() -> tuple[dict[str, Tensor], dict[str, Any]]:
    from comfy.ldm.flux.model import Flux

    shape = {"image_model": "flux", "patch_size": 2, "vec_in_dim": 64, "theta": 10000, "txt_ids_dims": []}
    return _fill(Flux, 16, **_FLUX, **shape), {}


def _hunyuan_video() -> tuple[dict[str, Tensor], dict[str, Any]]:
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
    return _fill(HunyuanVideo, 17, **_FLUX, **shape), {}


QWEN = {
    "attention_head_dim": 32,
    "num_attention_heads": 2,
    "joint_attention_dim": WIDTH,
    "axes_dims_rope": (8, 12, 12),
}
"""What the host takes for fixed in Qwen-Image; its detection must be told."""


def _qwen_image() -> tuple[dict[str, Tensor], dict[str, Any]]:
    from comfy.ldm.qwen_image.model import QwenImageTransformer2DModel

    return _fill(QwenImageTransformer2DModel, 18, num_layers=2, in_channels=64, **QWEN), {}


def _wan(kind: str = "WanModel", **shape: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    import comfy.ldm.wan.model

    common = {"dim": 128, "ffn_dim": 256, "freq_dim": 256, "text_dim": WIDTH, "out_dim": 16, "num_layers": 2}
    weights = _fill(getattr(comfy.ldm.wan.model, kind), 19, **common, num_heads=2, **shape)
    return weights, {"num_heads": 2, "text_dim": WIDTH}


def _ltxv() -> tuple[dict[str, Tensor], dict[str, Any]]:
    from comfy.ldm.lightricks.model import LTXVModel

    shape = {
        "num_attention_heads": 2,
        "attention_head_dim": 32,
        "cross_attention_dim": WIDTH,
        "caption_channels": WIDTH,
        "num_layers": 2,
        "in_channels": 128,
    }
    return _fill(LTXVModel, 20, **shape), shape


def clip_vision() -> SimpleNamespace:
    """What Wan's image-to-video takes from a vision encoder."""
    stream = torch.Generator().manual_seed(21)
    return SimpleNamespace(penultimate_hidden_states=torch.randn(1, 257, 1280, generator=stream))


MASK = torch.tensor([[1, 1, 1, 1, 1, 0, 0]])
"""Text of five tokens padded to seven."""

FAMILIES = {
    "sd15": Tiny("attention_sd15", _sd15, (4, 8, 16), 768, checkpoint=True),
    "sd2": Tiny("attention_sd2", _sd2, (4, 8, 16), 1024, checkpoint=True),
    "sdxl": Tiny("attention_sdxl", _sdxl, (4, 8, 16), 2048, {"pooled_output": (1, 1280)}, checkpoint=True),
    "svd": Tiny("attention_svd", _svd, (4, 4, 4), 1024, {"concat_latent_image": (1, 4, 4, 4)}, checkpoint=True),
    "sd3": Tiny("attention_sd3", _sd3, (16, 8, 12), extras={"pooled_output": (1, 64)}),
    "flux": Tiny("attention_flux", _flux, (16, 8, 12), extras={"pooled_output": (1, 64)}),
    "hunyuan_video": Tiny(
        "attention_hunyuan_video",
        _hunyuan_video,
        (16, 2, 8, 12),
        extras={"pooled_output": (1, 768)},  # the host takes no padded text for a batch here
    ),
    "qwen_image": Tiny("attention_qwen_image", _qwen_image, (16, 1, 8, 12), extras={"attention_mask": MASK}),
    "wan": Tiny("attention_wan", lambda: _wan(model_type="t2v", in_dim=16), (16, 3, 8, 12)),
    "wan_i2v": Tiny("attention_wan_i2v", lambda: _wan(model_type="i2v", in_dim=36), (16, 3, 8, 12)),
    "ltxv": Tiny("attention_ltxv", _ltxv, (128, 2, 4, 6), extras={"attention_mask": MASK}),
}

WAN_VARIANTS = {
    "vace": Tiny(
        "attention_wan_vace",
        lambda: _wan("VaceWanModel", model_type="vace", in_dim=16, vace_layers=1, vace_in_dim=96),
        (16, 3, 8, 12),
    ),
    "camera": Tiny(
        "attention_wan_camera",
        lambda: _wan("CameraWanModel", model_type="camera_2.2", in_dim=36, in_dim_control_adapter=24),
        (16, 3, 8, 12),
    ),
}
"""Wan's networks with a part of their own for what steers them."""


def load(tiny: Tiny, folder: Path) -> Any:
    """Load a family's checkpoint with the host's own loaders: a MODEL."""
    import comfy.model_detection
    import comfy.sd

    file = tiny.write(folder)
    if tiny.checkpoint:
        return comfy.sd.load_checkpoint_guess_config(str(file), output_vae=False, output_clip=False)[0]
    detect = comfy.model_detection.detect_unet_config

    def told(*args: Any, **kwargs: Any) -> dict[str, Any]:
        config = detect(*args, **kwargs)
        return {**config, **(QWEN if config.get("image_model") == "qwen_image" else {})}

    comfy.model_detection.detect_unet_config = told
    try:
        return comfy.sd.load_diffusion_model(str(file))
    finally:
        comfy.model_detection.detect_unet_config = detect


def patcher(host: dict[str, type]) -> Callable[..., Any]:
    """The node as a function with its defaults."""

    def patch(model: Any, mode: str, start: float = 0, end: float = 1, blocks: str = "", temporal: bool = False) -> Any:
        return host["Stereo_CrossViewAttentionPatch"].execute(model, mode, start, end, blocks, temporal).result[0]

    return patch


@dataclass(frozen=True)
class Run:
    """Sampling a pair: the right view's noise is the left one's mirrored, made inside the sampler.

    Attributes:
        tiny: the family.
        entries: pictures, or frames of SVD.
        cfg: guidance; 1 leaves the unconditional out.
        steps: of Euler.
        item: keep only this entry of the noise.
        switch: whether the pair is on at each step, told as the stereo samplers tell it.
    """

    tiny: Tiny
    entries: int = 1
    cfg: float = 3.0
    steps: int = 2
    item: int | None = None
    switch: tuple[bool, ...] = ()

    def __call__(self, model: Any, callback: Callable[..., None] | None = None) -> Tensor:
        """Sample; (2 * entries, ...), all left ones first."""
        import comfy.sample
        import comfy.samplers
        from comfy.k_diffusion.sampling import sample_euler

        def sample(model: Any, x: Tensor, sigmas: Tensor, extra_args: dict[str, Any], **rest: Any) -> Tensor:
            x = torch.cat([x, x.flip(-1)])
            if not self.switch:
                return sample_euler(model, x, sigmas, extra_args=extra_args, **rest)
            for step, on in enumerate(self.switch):
                options = extra_args["model_options"]
                told = {**options["transformer_options"], "stereo_pair": on}
                args = {**extra_args, "model_options": {**options, "transformer_options": told}}
                x = sample_euler(model, x, sigmas[step : step + 2], extra_args=args, **rest)
            return x

        noise = torch.randn(self.entries, *self.tiny.latent, generator=torch.Generator().manual_seed(3))
        if self.item is not None:
            noise = noise[self.item : self.item + 1]
        sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "simple", self.steps)
        return comfy.sample.sample_custom(
            model,
            noise,
            self.cfg,
            comfy.samplers.KSAMPLER(sample),
            sigmas,
            self.tiny.conditioning(1),
            self.tiny.conditioning(2),
            torch.zeros_like(noise),
            callback=callback,
            disable_pbar=True,
            seed=0,
        )
