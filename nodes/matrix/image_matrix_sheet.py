"""ImageMatrixSheet: an image matrix at a glance."""

from __future__ import annotations

from typing import Any

import comfy.utils
from comfy_api.latest import io

from ...stereo_core.image_matrix import as_matrix, contact_sheet, sheet_cells
from ..host import core_to_image, each_frame
from ..widgets.matrix import matrix_inputs, views_input
from .decoding import decode_clip
from .latents import expect_decodable, read_matrix_size

_GAP = 4


class ImageMatrixSheet(io.ComfyNode):
    """Decode a contact sheet of an image matrix: views below each other, frames side by side."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_ImageMatrixSheet",
            display_name="Image Matrix Sheet",
            category="stereo/multiview",
            description="Decodes a contact sheet of an image matrix: views below each other, frames side by side.",
            search_aliases=["4D", "contact sheet", "multi-view video", "overview", "grid"],
            inputs=[
                *matrix_inputs(),
                io.Int.Input(
                    "every",
                    default=4,
                    min=1,
                    max=4096,
                    tooltip="Show every n-th view and frame; 1 shows, and decodes, all.",
                ),
                io.Int.Input(
                    "cell_width", default=128, min=8, max=2048, tooltip="Width of each picture on the sheet, in pixels."
                ),
                views_input(),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="The sheet, one picture.")],
        )

    @classmethod
    def execute(cls, matrix: dict[str, Any], vae: Any, every: int, cell_width: int, views: int) -> io.NodeOutput:
        size = read_matrix_size(matrix, views)
        cells, rows = as_matrix(matrix["samples"], size), sheet_cells(size, every)
        expect_decodable("Image Matrix Sheet", vae, cells, sum(map(len, rows)), cell_width)
        small = []
        for row in each_frame(len(rows)):
            pictures = decode_clip(vae, cells, rows[row]).movedim(-1, 1)
            height = max(1, round(cell_width * pictures.shape[2] / pictures.shape[3]))
            small.append(comfy.utils.common_upscale(pictures, cell_width, height, "area", "disabled"))
        return io.NodeOutput(core_to_image(contact_sheet(small, _GAP)))
