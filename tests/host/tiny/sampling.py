"""Tiny models loaded by the host's own loaders, and runs of them by the host's own nodes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.host.tiny.families import FAMILIES, load
from tools.host.in_process import pack_module
from tools.host.node_inputs import gather

SHAPES = {
    "sd15": (4, 4, 8),
    "sd2_v": (4, 4, 8),
    "sdxl": (4, 4, 8),
    "sd3": (16, 4, 8),
    "flux": (16, 4, 8),
    "wan": (16, 1, 4, 8),
}
"""A latent's shape for each family that makes pictures, without the batch."""

WIDGETS = {
    "max_disparity": 30.0,
    "convergence": 0.0,
    "exponent": 1.0,
    "shift_at": 0.2,
    "fill": "left",
    "mask_every": 0.2,
    "shift_both": False,
    "shift": "truncated",
}
"""Stereo Strength's and Stereo Shift Sampler's, with a disparity that moves two of eight latent columns."""


def load_sure(name: str, value: float) -> Any:
    """The family's model, sure of one flat picture: every state is then known, x = (1 or 1 - s) x0 + s e."""
    from comfy.patcher_extension import WrappersMP

    model = load(name).clone()
    model.add_wrapper(WrappersMP.APPLY_MODEL, lambda _, x, *__, **___: torch.full_like(x, value))
    return model


def conditioning(name: str, seed: int) -> list[Any]:
    """A prompt's embedding, as from a text encoder."""
    return FAMILIES[name].conditioning(seed)


def inner(name: str) -> Any:
    """One of the host's samplers."""
    import comfy.samplers

    return comfy.samplers.sampler_object(name)


def recorder(sampler: Any) -> Any:
    """The pack's recording of a sampler, or of the host's of that name."""
    sampler = inner(sampler) if isinstance(sampler, str) else sampler
    return pack_module("nodes.sampling.recording").RecordingSampler(sampler)


def stereo(sampler: Any = None, depth: Tensor | None = None, trajectory: Any = None, **widgets: Any) -> Any:
    """The node's SAMPLER around ``sampler``, or around the host's of that name."""
    import nodes

    depth = depth_step() if depth is None else depth
    sampler = inner(sampler) if isinstance(sampler, str) else sampler
    inputs = gather("Stereo_StereoShiftSampler", depth, {**WIDGETS, **widgets})
    node = nodes.NODE_CLASS_MAPPINGS["Stereo_StereoShiftSampler"]
    return node.execute(**inputs, sampler=sampler, trajectory=trajectory).args[0]


def sample(
    name: str,
    sampler: Any,
    samples: Tensor | None = None,
    *,
    sigmas: Tensor | int = 4,
    model: Any = None,
    seed: int = 5,
    prompt: int = 1,
    cfg: float = 3.0,
    **latent: Any,
) -> tuple[Tensor, Tensor]:
    """Run the host's SamplerCustom: its output and its denoised output."""
    from comfy_extras.nodes_custom_sampler import SamplerCustom

    model = model or load(name)
    latent["samples"] = empty(name) if samples is None else samples
    positive, negative = conditioning(name, prompt), conditioning(name, 2)
    levels = schedule(name, sigmas) if isinstance(sigmas, int) else sigmas
    sampler = inner(sampler) if isinstance(sampler, str) else sampler
    out = SamplerCustom.execute(model, True, seed, cfg, positive, negative, sampler, levels, latent)
    return tuple(part["samples"] for part in out.args)


def schedule(name: str, steps: int, scheduler: str = "simple") -> Tensor:
    import comfy.samplers

    return comfy.samplers.calculate_sigmas(load(name).get_model_object("model_sampling"), scheduler, steps)


def empty(name: str, batch: int = 1, size: tuple[int, ...] = ()) -> Tensor:
    """An empty latent, of another size if one is given."""
    shape = SHAPES[name]
    return torch.zeros(batch, *shape[: len(shape) - len(size)], *size)


def depth_step(batch: int = 1, height: int = 32, width: int = 64) -> Tensor:
    """A near block in the middle of each picture, an IMAGE."""
    depth = torch.zeros(batch, height, width, 3)
    depth[:, height // 4 : -(height // 4), width // 4 : -(width // 4)] = 1.0
    return depth


def error(actual: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest value."""
    return ((actual - expected).abs().max() / expected.abs().max()).item()
