"""What a model's patches and guidance need to know about a batch that is a pair of views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def mark_pair(model_options: dict[str, Any], paired: bool) -> dict[str, Any]:
    """Return a copy of ``model_options`` that says whether the batch is a pair; Cross-View Attention reads it."""
    marked = {**model_options.get("transformer_options", {}), "stereo_pair": paired}
    return {**model_options, "transformer_options": marked}


def each_view(guide: Callable[[dict[str, Any]], Tensor], batch: int) -> Callable[[dict[str, Any]], Tensor]:
    """Return a guidance function that calls ``guide`` with one view at a time.

    Args:
        guide: the host's ``sampler_cfg_function``.
        batch: 2B; tensors of that length are split into the left view's entries and the right's.
    """

    def guided(args: dict[str, Any]) -> Tensor:
        def part(value: Any, view: int) -> Any:
            splits = isinstance(value, Tensor) and value.ndim > 0 and len(value) == batch
            return value.chunk(2)[view] if splits else value

        return torch.cat([guide({name: part(value, view) for name, value in args.items()}) for view in (0, 1)])

    return guided
