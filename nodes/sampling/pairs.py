"""What a model's patches and guidance must know of a batch that is a pair of views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def mark_pair(model_options: dict[str, Any], paired: bool) -> dict[str, Any]:
    """Return a copy of ``model_options`` that says so; Cross-View Attention reads it at every call of the model."""
    marked = {**model_options.get("transformer_options", {}), "stereo_pair": paired}
    return {**model_options, "transformer_options": marked}


def each_view(guide: Callable[[dict[str, Any]], Tensor], batch: int) -> Callable[[dict[str, Any]], Tensor]:
    """Call a guidance function with one view at a time."""

    def guided(args: dict[str, Any]) -> Tensor:
        def part(value: Any, view: int) -> Any:
            splits = isinstance(value, Tensor) and value.ndim > 0 and len(value) == batch
            return value.chunk(2)[view] if splits else value

        return torch.cat([guide({name: part(value, view) for name, value in args.items()}) for view in (0, 1)])

    return guided
