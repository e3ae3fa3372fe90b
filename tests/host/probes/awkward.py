"""Nodes that make awkward input, for the tests alone."""

from __future__ import annotations

import torch
from comfy_api.latest import io


def ramp(frames: int, height: int, width: int, channels: int) -> torch.Tensor:
    """A picture that differs at every pixel, frame and channel, in [0, 1]."""
    count = frames * height * width * channels
    return (torch.arange(count) * 7919 % 997 / 996).reshape(frames, height, width, channels)


class ProbeImage(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Probe_Image",
            category="probe",
            is_dev_only=True,
            inputs=[
                io.Combo.Input("kind", options=["ramp", "still", "nan", "infinite", "too_bright"]),
                io.Int.Input("width", default=32, min=1, max=65536),
                io.Int.Input("height", default=24, min=1, max=65536),
                io.Int.Input("frames", default=1, min=0, max=4096),
                io.Int.Input("channels", default=3, min=1, max=8),
            ],
            outputs=[io.Image.Output(display_name="image")],
        )

    @classmethod
    def execute(cls, kind: str, width: int, height: int, frames: int, channels: int) -> io.NodeOutput:
        if kind == "still":
            return io.NodeOutput(ramp(1, height, width, channels).expand(frames, -1, -1, -1))
        image = ramp(frames, height, width, channels)
        spoiled = {"nan": float("nan"), "infinite": float("inf"), "too_bright": 40.0}
        if kind in spoiled:
            image[0, 0, 0] = spoiled[kind]
        return io.NodeOutput(image)


class ProbeLatent(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Probe_Latent",
            category="probe",
            is_dev_only=True,
            inputs=[io.String.Input("shape", default="1,4,16,16")],
            outputs=[io.Latent.Output(display_name="latent")],
        )

    @classmethod
    def execute(cls, shape: str) -> io.NodeOutput:
        sizes = [int(size) for size in shape.split(",")]
        return io.NodeOutput({"samples": torch.randn(sizes, generator=torch.Generator().manual_seed(0))})
