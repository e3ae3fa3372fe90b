"""Models that inversion can run through: one of each form of prediction, turned down until they are smooth enough."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.host.tiny import families
from tests.host.tiny.families import FAMILIES

SHAPES = {
    "sd15": (1, 4, 8, 8),
    "sd2_v": (1, 4, 8, 8),
    "sd3": (1, 16, 8, 8),
    "flux": (1, 16, 8, 8),
    "wan": (1, 16, 2, 8, 8),
}
"""A latent for each model."""

# A random network is as rough as no trained one is: with this, a step of inversion is about as exact as with a
# trained one.
_SMOOTHNESS = 0.02


def load(name: str) -> Any:
    return families.load(name, _SMOOTHNESS)


def conditioning(name: str, seed: int, batch: int = 1) -> list[Any]:
    """A text's embedding, as from a text encoder."""
    return FAMILIES[name].conditioning(seed, batch)


def latent(name: str, seed: int = 0, batch: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"samples": torch.randn(batch, *SHAPES[name][1:], generator=generator)}
