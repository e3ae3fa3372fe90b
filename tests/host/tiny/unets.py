"""The smallest U-Nets of every family that the host still takes for it, and narrow ones for this process.

The host tells these families by their width, 320 channels, which makes even one level slow. What only tests load is
64 wide, and the host's loaders are told to take that, too; files for a running server have the full width.
"""

from __future__ import annotations

import functools
from typing import Any

from tests.host.tiny.weights import Weights, fill

NARROW, FULL = 64, 320

_ONE_LEVEL = {
    "num_res_blocks": [1],
    "channel_mult": [1],
    "transformer_depth": [1],
    "transformer_depth_output": [0, 1],
    "transformer_depth_middle": -2,
}
# Two resolutions and a middle block: four self-attentions.
_TWO_LEVELS = {
    "num_res_blocks": [1, 1],
    "channel_mult": [1, 1],
    "transformer_depth": [1, 1],
    "transformer_depth_output": [0, 1, 0, 1],
    "transformer_depth_middle": 1,
}
_SD1 = {"context_dim": 768, "use_linear_in_transformer": False}
_SD2 = {"context_dim": 1024, "use_linear_in_transformer": True}
# The depths of Segmind Vega, the shallowest SDXL.
_SDXL = {
    "context_dim": 2048,
    "use_linear_in_transformer": True,
    "num_classes": "sequential",
    "adm_in_channels": 2816,
    "num_res_blocks": [2, 2, 2],
    "channel_mult": [1, 1, 1],
    "transformer_depth": [0, 0, 1, 1, 2, 2],
    "transformer_depth_output": [0] * 9,
}
_SVD = {
    **_SD2,
    "in_channels": 8,
    "num_classes": "sequential",
    "extra_ff_mix_layer": True,
    "use_spatial_context": True,
    "merge_strategy": "learned_with_images",
    "merge_factor": 0.0,
    "video_kernel_size": [3, 1, 1],
    "use_temporal_resblock": True,
    "use_temporal_attention": True,
    "disable_temporal_crossattention": False,
}
_SVD_DEPTHS = {"num_res_blocks": [8], "transformer_depth": [1] * 6 + [0] * 2, "transformer_depth_output": [0] * 9}
_SVD_NARROW_DEPTHS = {"num_res_blocks": [2], "transformer_depth": [1, 1], "transformer_depth_output": [0] * 3}

SHAPES: dict[str, dict[str, Any]] = {
    "sd15": _SD1,
    "sd15_two_levels": {**_SD1, **_TWO_LEVELS},
    "sd2": _SD2,
    "sd2_depth": {**_SD2, "in_channels": 5},
    "sdxl": _SDXL,
    "svd": {**_SVD, "adm_in_channels": 768},
    "sv3d_u": {**_SVD, "adm_in_channels": 256},
    "sv3d_p": {**_SVD, "adm_in_channels": 1280},
}


def unet(kind: str, seed: int, width: int = NARROW) -> Weights:
    """Random weights of a family's U-Net."""
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    shape = {
        "image_size": 32,
        "use_spatial_transformer": True,
        "legacy": False,
        "use_checkpoint": False,
        "model_channels": width,
        "in_channels": 4,
        "out_channels": 4,
        "num_head_channels": 32,  # no weight's shape depends on it
        **_ONE_LEVEL,
        **SHAPES[kind],
    }
    if kind.startswith("sv"):
        shape |= _SVD_NARROW_DEPTHS if width == NARROW else _SVD_DEPTHS
    return fill(UNetModel, seed, **shape)


@functools.cache
def admit_narrow() -> None:
    """Let the host's loaders take narrow U-Nets for the families that they are, with two heads or more."""
    import comfy.supported_models

    for name in ("SD15", "SD20", "Segmind_Vega", "SVD_img2vid", "SV3D_u", "SV3D_p"):
        family = getattr(comfy.supported_models, name)
        config, heads = {**family.unet_config, "model_channels": NARROW}, dict(family.unet_extra_config)
        if name.startswith("SV"):
            config["transformer_depth"] = _SVD_NARROW_DEPTHS["transformer_depth"]
        if "num_head_channels" in heads and heads["num_head_channels"] > 0:
            heads["num_head_channels"] = NARROW // 2
        comfy.supported_models.models.append(type(name, (family,), {"unet_config": config, "unet_extra_config": heads}))
