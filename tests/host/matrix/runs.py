"""Strips, noise and the host's own sampling for tests of score composition."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

SEED = 5
WIDGETS = {
    "preset": "custom",
    "weight": 0.5,
    "weight_schedule": "constant",
    "weight_end": 0.0,
    "view_weights": "uniform",
    "repeat_until": 0.0,
    "repeat_noise": "paper",
    "video_alone_from": 1.0,
}


def sampler_inputs(**widgets: Any) -> dict[str, Any]:
    """Score Composition Sampler's inputs by name, its options from a node of their own."""
    import nodes

    flat = {**WIDGETS, "chunk": 1, "keep_video": False, **widgets}
    options = {name: flat.pop(name) for name in WIDGETS}
    made = nodes.NODE_CLASS_MAPPINGS["Stereo_ScoreCompositionOptions"].execute(**options).args[0]
    return {**flat, "options": made}


def words(seed: int, size: tuple[int, int], **extra: Any) -> list[list[Any]]:
    """A picture's conditioning as from the host's nodes."""
    stream = torch.Generator().manual_seed(seed)
    picture = torch.randn(1, 4, *size, generator=stream)
    return [[torch.randn(1, 1, 1024, generator=stream), {"concat_latent_image": picture, **extra}]]


def schedule(steps: int = 2) -> Tensor:
    from comfy_extras.nodes_custom_sampler import KarrasScheduler

    return KarrasScheduler.execute(steps, 700.0, 0.002, 7.0).args[0]


def noise(views: int, frames: int, cell: tuple[int, ...]) -> Tensor:
    """The node's, (V, F, C, H, W)."""
    import comfy.sample

    return comfy.sample.prepare_noise(torch.zeros(views * frames, *cell), SEED).unflatten(0, (views, frames))


def alone(model: Any, strip: Any, noise: Tensor, sigmas: Tensor | None = None, sampler: Any = None) -> Tensor:
    """The host's own sampling of one strip."""
    import comfy.sample
    import comfy.samplers

    sampler = sampler or comfy.samplers.sampler_object("euler")
    sigmas = schedule() if sigmas is None else sigmas
    rest = (strip.positive, strip.negative, torch.zeros_like(noise))
    return comfy.sample.sample_custom(
        model, noise.contiguous(), strip.guidance[-1], sampler, sigmas, *rest, disable_pbar=True, seed=SEED
    )


def guided(model: Any) -> Any:
    from comfy_extras.nodes_video_model import VideoLinearCFGGuidance

    return VideoLinearCFGGuidance().patch(model, 1.0)[0]
