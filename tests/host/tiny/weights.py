"""Random weights for the host's network classes.

Import only after the host is importable, as everything beside this file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

Weights = dict[str, Tensor]


def random_weights(network: nn.Module, seed: int) -> Weights:
    """Well-scaled values for every tensor of a network that was built on the meta device."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, tensor in network.state_dict().items():
        shape = tuple(tensor.shape)
        if not tensor.is_floating_point():
            values = torch.arange(tensor.numel()).reshape(shape)
        elif len(shape) <= 1:
            is_scale = name.endswith("weight")
            values = (torch.ones(shape) if is_scale else torch.zeros(shape)) + 0.02 * torch.randn(
                shape, generator=generator
            )
        else:
            values = torch.randn(shape, generator=generator) / math.sqrt(math.prod(shape[1:]))
        weights[name] = (values.half() if tensor.is_floating_point() else values).contiguous()
    return weights


def fill(network: Callable[..., nn.Module], seed: int, **shape: Any) -> Weights:
    """Random weights for a diffusion network of the host's, of some shape."""
    import comfy.ops

    built = network(**shape, dtype=torch.float32, device="meta", operations=comfy.ops.disable_weight_init)
    return random_weights(built, seed)


def save(weights: Weights, file: Path, prefix: str = "", metadata: dict[str, Any] | None = None) -> None:
    """Save a network's weights, and what the host reads of its shape beside them."""
    file.parent.mkdir(parents=True, exist_ok=True)
    told = {"config": json.dumps({"transformer": metadata})} if metadata else None
    save_file({prefix + name: value for name, value in weights.items()}, file, metadata=told)
