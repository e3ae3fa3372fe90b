"""Telling a model's patches whether the batch is a pair of views."""

from __future__ import annotations

from typing import Any


def mark_pair(model_options: dict[str, Any], paired: bool) -> dict[str, Any]:
    """Return a copy of ``model_options`` that says so; Cross-View Attention reads it at every call of the model."""
    marked = {**model_options.get("transformer_options", {}), "stereo_pair": paired}
    return {**model_options, "transformer_options": marked}
