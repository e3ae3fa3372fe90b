"""Flat settings, put together as a graph does: a depth map, its strength, and options for a sampler's node."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor

GEOMETRY = {"max_disparity": 3.0, "screen": "value", "convergence": 0.5, "exponent": 1.0, "invert": False}
PICTURE = {"preset": "custom", "shift_at": 0.2, "fill": "background", "mask_every": 0.1, "shift_both": False}
VIDEO = {"preset": "576x1024", "iterations": 7, "restart_until": 0.1, "form": "unrepeated", "fill": "background"}
REFINE = {"warp_every": 0.1, "last_warp": 0.68, "most_repeats": 8, "fewest_repeats": 3}
SHIFT = {"shift": "sub_column"}
"""The nodes' defaults."""


def gather(node: str, depth: Tensor, widgets: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs of a node by name, for a depth IMAGE and flat widgets of it, its strength and its options."""
    import nodes

    rest = dict(widgets)
    inputs = {"depth": strength(depth, rest)}
    if "options" in inspect.signature(nodes.NODE_CLASS_MAPPINGS[node].execute).parameters:
        inputs["options"] = picture_options(rest) if node == "Stereo_StereoKSampler" else video_options(rest)
    return {**inputs, **rest}


def strength(depth: Tensor, widgets: dict[str, Any]) -> Any:
    """Stereo Strength of a depth IMAGE; its widgets are taken out of ``widgets``."""
    return _execute("Stereo_StereoStrength", depth, **_taken(widgets, GEOMETRY))


def picture_options(widgets: dict[str, Any]) -> Any:
    """Stereo Picture Options; its widgets are taken out of ``widgets``."""
    return _execute("Stereo_StereoPictureOptions", **_taken(widgets, {**PICTURE, **SHIFT}))


def video_options(widgets: dict[str, Any]) -> Any:
    """Stereo Video Options and Stereo Refine Options; their widgets are taken out of ``widgets``."""
    options = _execute("Stereo_StereoVideoOptions", **_taken(widgets, {**VIDEO, **SHIFT}))
    return _execute("Stereo_StereoRefineOptions", options=options, **_taken(widgets, REFINE))


def _taken(widgets: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    return {name: widgets.pop(name, default) for name, default in defaults.items()}


def _execute(node: str, *args: Any, **inputs: Any) -> Any:
    import nodes

    return nodes.NODE_CLASS_MAPPINGS[node].execute(*args, **inputs).args[0]
