"""Tiny models loaded by the host's own loaders, and runs of them by the host's own nodes."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.host.tiny_attention import FAMILIES, Tiny
from tests.host.tiny_checkpoints import sd15_unet

SHAPES = {
    "sd15": (4, 4, 8),
    "sd2_v": (4, 4, 8),
    "sdxl": (4, 4, 8),
    "sd3": (16, 4, 8),
    "flux": (16, 4, 8),
    "wan": (16, 1, 4, 8),
}
"""A latent's shape for each family that makes pictures, without the batch."""

_OTHER_FILES = {
    "sd15": Tiny("sampling_sd15", lambda: (sd15_unet(), {}), SHAPES["sd15"], 768, checkpoint=True),
    "sd2_v": FAMILIES["sd2"],
}


def _family(name: str) -> Tiny:
    return _OTHER_FILES.get(name, FAMILIES.get(name))


@functools.cache
def load(name: str, folder: Path) -> Any:
    """Write the family's file to the host's models in ``folder`` and load it with the host's loader."""
    import folder_paths

    import nodes

    tiny = _family(name)
    file = tiny.write(folder).name
    with torch.inference_mode():
        if not tiny.checkpoint:
            folder_paths.add_model_folder_path("diffusion_models", str(folder))
            return nodes.UNETLoader().load_unet(file, "default")[0]
        folder_paths.add_model_folder_path("checkpoints", str(folder))
        model = nodes.CheckpointLoaderSimple().load_checkpoint(file)[0]
        if name == "sd2_v":
            from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete

            model = ModelSamplingDiscrete().patch(model, "v_prediction", zsnr=False)[0]
        return model


def conditioning(name: str, seed: int) -> list[Any]:
    """A prompt's embedding, as from a text encoder."""
    return _family(name).conditioning(seed)


def sample(
    model: Any,
    name: str,
    sampler: Any,
    sigmas: Tensor,
    samples: Tensor,
    *,
    seed: int = 5,
    prompt: int = 1,
    cfg: float = 3.0,
    **latent: Any,
) -> tuple[Tensor, Tensor]:
    """Run the host's SamplerCustom: its output and its denoised output."""
    from comfy_extras.nodes_custom_sampler import SamplerCustom

    positive, negative = conditioning(name, prompt), conditioning(name, 2)
    latent["samples"] = samples
    out = SamplerCustom.execute(model, True, seed, cfg, positive, negative, sampler, sigmas, latent)
    return tuple(part["samples"] for part in out.args)


def schedule(model: Any, steps: int, scheduler: str = "simple") -> Tensor:
    import comfy.samplers

    return comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), scheduler, steps)


def inner(name: str) -> Any:
    import comfy.samplers

    return comfy.samplers.sampler_object(name)


def depth_step(batch: int, height: int, width: int) -> Tensor:
    """A near block in the middle of each picture, an IMAGE."""
    depth = torch.zeros(batch, height, width, 3)
    depth[:, height // 4 : -(height // 4), width // 4 : -(width // 4)] = 1.0
    return depth
