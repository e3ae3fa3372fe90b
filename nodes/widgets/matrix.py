"""The inputs of the nodes that look at an image matrix."""

from __future__ import annotations

from comfy_api.latest import io


def matrix_inputs() -> list[io.Input]:
    """``matrix`` and ``vae``."""
    return [
        io.Latent.Input("matrix", tooltip="The image matrix, from Score Composition Sampler."),
        io.Vae.Input("vae", tooltip="VAE of the video model. It decodes only the pictures that are shown."),
    ]


def views_input() -> io.Input:
    """``views``."""
    return io.Int.Input(
        "views",
        default=0,
        min=0,
        max=4096,
        tooltip="Number of views of a matrix from Load Latent, which does not keep it;\n"
        "0 for a matrix from Score Composition Sampler.",
    )
