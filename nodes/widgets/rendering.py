"""Inputs of the nodes that render views in image space."""

from __future__ import annotations

from comfy_api.latest import io

from ...stereo_core.rendering import Quality


def quality_input() -> io.Combo.Input:
    """``quality``."""
    return io.Combo.Input(
        "quality",
        options=Quality,
        default=Quality.BEST.value,
        tooltip="best: exact surfaces and the smoothest fill. fast: several times quicker, for long clips.",
    )
