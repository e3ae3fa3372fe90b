"""One tiny model for each form of prediction that inversion must run through, made for the host's own loaders."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.host.tiny.checkpoints import random_weights, sd15_unet

TEXT = 64


def sd2_v() -> dict[str, Tensor]:
    """SD 2.x at its narrowest; the extra weight is what the host tells v-prediction by."""
    weights = sd15_unet(seed=4, context_dim=1024, use_linear_in_transformer=True, num_heads=-1, num_head_channels=64)
    return {**weights, "output_blocks.11.1.transformer_blocks.0.norm1.bias": torch.tensor([-1.0, 1.0])}


def sd3() -> dict[str, Tensor]:
    import comfy.ops
    from comfy.ldm.modules.diffusionmodules.mmdit import OpenAISignatureMMDITWrapper

    depth = 2  # hidden size, heads and blocks all follow from it
    network = OpenAISignatureMMDITWrapper(
        input_size=None,
        patch_size=2,
        in_channels=16,
        out_channels=16,
        depth=depth,
        adm_in_channels=TEXT,
        pos_embed_scaling_factor=None,
        context_embedder_config={
            "target": "torch.nn.Linear",
            "params": {"in_features": TEXT, "out_features": 64 * depth},
        },
        device="meta",
        dtype=torch.float32,
        operations=comfy.ops.disable_weight_init,
    )
    return random_weights(network, 8)


def flux() -> dict[str, Tensor]:
    import comfy.ops
    from comfy.ldm.flux.model import Flux

    network = Flux(
        image_model="flux",
        in_channels=16,
        out_channels=16,
        patch_size=2,
        vec_in_dim=TEXT,
        context_in_dim=TEXT,
        hidden_size=128,
        mlp_ratio=4.0,
        num_heads=1,
        depth=1,
        depth_single_blocks=1,
        axes_dim=[16, 56, 56],
        theta=10000,
        qkv_bias=True,
        guidance_embed=False,
        txt_ids_dims=[],
        device="meta",
        dtype=torch.float32,
        operations=comfy.ops.disable_weight_init,
    )
    return random_weights(network, 13)


def wan() -> dict[str, Tensor]:
    import comfy.ops
    from comfy.ldm.wan.model import WanModel

    network = WanModel(
        model_type="t2v",
        in_dim=16,
        dim=128,
        ffn_dim=256,
        freq_dim=256,
        text_dim=TEXT,
        out_dim=16,
        num_heads=2,
        num_layers=2,
        device="meta",
        dtype=torch.float32,
        operations=comfy.ops.disable_weight_init,
    )
    return random_weights(network, 5)


# Where the host reads what it cannot tell from Wan's weights.
_WAN = {"config": json.dumps({"transformer": {"num_heads": 2, "text_dim": TEXT}})}

SHAPES = {
    "sd15": (1, 4, 8, 8),
    "sd2_v": (1, 4, 8, 8),
    "sd3": (1, 16, 8, 8),
    "flux": (1, 16, 8, 8),
    "wan": (1, 16, 2, 8, 8),
}
"""A latent for each model."""

_WIDTHS = {"sd15": 768, "sd2_v": 1024}

# A random network is as rough as no trained one is: its last layer is turned down until a step of inversion is about
# as exact as with a trained one.
_LAST_LAYERS = ("out.2.weight", "final_layer.linear.weight", "head.head.weight")
_SMOOTHNESS = 0.02


@functools.cache
def load(name: str, folder: Path) -> Any:
    """Write the model ``name`` to the host's models in ``folder`` and load it with the host's loader."""
    import folder_paths

    import nodes

    file = f"tiny_inversion_{name}.safetensors"
    weights = {"sd15": sd15_unet, "sd2_v": sd2_v, "sd3": sd3, "flux": flux, "wan": wan}[name]()
    for layer in _LAST_LAYERS:
        if layer in weights:
            weights[layer] = weights[layer] * _SMOOTHNESS
    if name in _WIDTHS:
        folder_paths.add_model_folder_path("checkpoints", str(folder))
        save_file({"model.diffusion_model." + key: value for key, value in weights.items()}, folder / file)
        with torch.inference_mode():
            return nodes.CheckpointLoaderSimple().load_checkpoint(file)[0]
    folder_paths.add_model_folder_path("diffusion_models", str(folder))
    save_file(weights, folder / file, metadata=_WAN if name == "wan" else None)
    with torch.inference_mode():
        return nodes.UNETLoader().load_unet(file, "default")[0]


def conditioning(name: str, seed: int, batch: int = 1) -> list[Any]:
    """A text's embedding, as from a text encoder."""
    generator = torch.Generator().manual_seed(seed)
    extra = {"pooled_output": torch.randn(batch, TEXT, generator=generator)} if name in ("sd3", "flux") else {}
    return [[torch.randn(batch, 8, _WIDTHS.get(name, TEXT), generator=generator), extra]]


def latent(name: str, seed: int = 0, batch: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"samples": torch.randn(batch, *SHAPES[name][1:], generator=generator)}
