"""Inputs of the nodes that condition a model on the views of an orbit."""

from __future__ import annotations

from comfy_api.latest import io


def elevation_input() -> io.Float.Input:
    """``elevation``."""
    return io.Float.Input(
        "elevation",
        default=0.0,
        min=-90.0,
        max=90.0,
        step=0.1,
        tooltip="Degrees by which the camera is above the object's middle, for SV3D_p.\n"
        "The same on Orbit Conditioning and Image Matrix Conditioning.",
    )
