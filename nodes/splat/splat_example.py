"""SplatExample: pictures of a small scene that moves, so that the way to 4D stereo runs before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from comfy_api.latest import io
from PIL import Image

SHEET = Path(__file__).parents[1] / "examples" / "moving_scene.png"
"""Views below each other, frames side by side; tools/example/moving_scene.py made it."""
VIEWS, FRAMES = 12, 8


class SplatExample(io.ComfyNode):
    """Read rendered views of a moving scene from the pack's own files."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_SplatExample",
            display_name="Splat 4D Example",
            category="stereo/multiview",
            description="A small moving scene seen from twelve sides, to try 4D with; needs no file and no model.",
            search_aliases=["example", "4D", "multi-view", "gaussian splat", "test pictures", "demo"],
            inputs=[],
            outputs=[
                io.Image.Output(
                    display_name="images", tooltip=f"{VIEWS} views of {FRAMES} frames each, view by view, 128x128."
                ),
                io.Int.Output(display_name="views", tooltip="How many views there are."),
                io.String.Output(display_name="azimuths", tooltip="Degrees of each view, for Splat 4D Reconstruct."),
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        try:
            with Image.open(SHEET) as file:
                sheet = torch.from_numpy(np.asarray(file.convert("RGB"), dtype=np.float32)) / 255
        except OSError as error:
            raise ValueError(
                f"Splat 4D Example cannot read its file nodes/examples/{SHEET.name}: it is missing or damaged. Install "
                "Latent Stereo again, or connect pictures of your own to Splat 4D Reconstruct."
            ) from error
        cells = sheet.unflatten(0, (VIEWS, -1)).unflatten(2, (FRAMES, -1))  # (V, H, F, W, 3)
        images = cells.transpose(1, 2).flatten(0, 1).contiguous()
        azimuths = ", ".join(f"{360 * (view + 1) / VIEWS:g}" for view in range(VIEWS))
        return io.NodeOutput(images, VIEWS, azimuths)
