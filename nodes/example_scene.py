"""ExampleScene: a picture of the pack and its true depth, so that a workflow runs before anything is loaded."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

import numpy as np
import torch
from comfy_api.latest import io
from PIL import Image
from torch import Tensor

EXAMPLES = Path(__file__).parent / "examples"


class Example(str, Enum):
    """The scenes; each is two files named after it."""

    STILL_LIFE = "still_life"


class ExampleScene(io.ComfyNode):
    """Read a rendered picture and its depth from the pack's own files."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_ExampleScene",
            display_name="Stereo Example",
            category="stereo/image",
            description="A picture and its true depth map to try stereo with; needs no file and no model.",
            search_aliases=["example", "sample picture", "test image", "demo", "depth map", "2d to 3d", "SBS"],
            inputs=[
                io.Combo.Input(
                    "scene",
                    options=Example,
                    default=Example.STILL_LIFE.value,
                    tooltip="Which picture.\nstill_life: a table by a window with near, thin and far things, 1152x768.",
                )
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The picture, a left view."),
                io.Image.Output(display_name="depth", tooltip="Its true depth map: white is near."),
            ],
        )

    @classmethod
    def execute(cls, scene: str) -> io.NodeOutput:
        name = Example(scene).value
        image, depth = _read(f"{name}.jpg"), _read(f"{name}_depth.png")
        return io.NodeOutput(image, depth[..., None].repeat(1, 1, 1, 3))


def _read(name: str) -> Tensor:
    """Read a file of the pack as a batch of one, (1, H, W, 3) or grey (1, H, W), float32 in [0, 1]."""
    try:
        with Image.open(EXAMPLES / name) as file:
            values = np.asarray(file)
    except OSError as error:
        raise ValueError(
            f"Stereo Example cannot read its file nodes/examples/{name}: it is missing or damaged. Install Latent "
            "Stereo again, or use Load Image."
        ) from error
    return torch.from_numpy(values.astype(np.float32))[None] / (255 if values.dtype == np.uint8 else 65535)
