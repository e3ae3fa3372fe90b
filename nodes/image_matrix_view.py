"""ImageMatrixView: decodes those pictures of an image matrix that one wants to see, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import comfy.utils
import torch
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.image_matrix import (
    Cell,
    as_matrix,
    contact_sheet,
    decoding,
    frame_orbit,
    path,
    sheet_cells,
    stereo_pair,
    take,
    view_clip,
)
from .host import core_to_image, each_frame
from .matrix.latents import expect_decodable, read_matrix_size

_SHEET_GAP = 4


class Show(str, Enum):
    """Ways of looking at an image matrix."""

    VIEW = "view"
    FRAME = "frame"
    STEREO = "stereo"
    PATH = "path"
    CONTACT_SHEET = "contact_sheet"


class ImageMatrixView(io.ComfyNode):
    """Decode a video, an orbit, a stereo pair, a path or an overview of an image matrix."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_ImageMatrixView",
            display_name="Image Matrix View",
            category="stereo/multiview",
            description="Decodes part of an image matrix: a view's video, a frame's orbit, a stereo pair, a path "
            "through views and time, or a contact sheet.",
            search_aliases=["4D", "bullet time", "multi-view video", "orbit", "contact sheet", "stereo pair"],
            inputs=[
                # what to decode
                io.Latent.Input("matrix", tooltip="The image matrix, from Score Composition Sampler."),
                io.Vae.Input("vae", tooltip="VAE of the video model. It decodes only the pictures that are shown."),
                io.Combo.Input(
                    "show",
                    options=[show.value for show in Show],
                    default=Show.VIEW.value,
                    tooltip="view: the video of view. frame: the orbit at frame.\n"
                    "stereo: view is the right eye's video, and the left eye's is spacing views before it, because\n"
                    "SV3D's camera moves to its own right; all left frames, then all right ones, for Stereo Combine.\n"
                    "path: straight from (view, frame) to (last_view, last_frame) in length pictures.\n"
                    "contact_sheet: views below each other, frames side by side, every n-th of both.",
                ),
                # where
                io.Int.Input(
                    "view",
                    default=-1,
                    min=-4096,
                    max=4095,
                    tooltip="Index of the view; -1 is the last, the reference view. For view, stereo and path.",
                ),
                io.Int.Input(
                    "frame",
                    default=0,
                    min=-4096,
                    max=4095,
                    tooltip="Index of the frame; -1 is the last. For frame and path.",
                ),
                io.Int.Input(
                    "spacing",
                    default=1,
                    min=1,
                    max=4095,
                    tooltip="Views from the right eye back to the left one, for stereo; more is deeper.",
                ),
                # the path
                io.Int.Input(
                    "last_view",
                    default=0,
                    min=-4096,
                    max=4095,
                    advanced=True,
                    tooltip="View where the path ends; -1 is the last view.",
                ),
                io.Int.Input(
                    "last_frame",
                    default=-1,
                    min=-4096,
                    max=4095,
                    advanced=True,
                    tooltip="Frame where the path ends; -1 is the last. The same as frame: time stands still.",
                ),
                io.Int.Input("length", default=25, min=1, max=4096, advanced=True, tooltip="Pictures on the path."),
                # the contact sheet
                io.Int.Input(
                    "every",
                    default=4,
                    min=1,
                    max=4096,
                    advanced=True,
                    tooltip="The contact sheet shows every n-th view and frame; 1 shows, and decodes, all.",
                ),
                io.Int.Input(
                    "cell_width",
                    default=128,
                    min=8,
                    max=2048,
                    advanced=True,
                    tooltip="Width of each picture on the contact sheet, in pixels.",
                ),
                # the matrix
                io.Int.Input(
                    "views",
                    default=0,
                    min=0,
                    max=4096,
                    advanced=True,
                    tooltip="Number of views of a matrix from Load Latent, which does not keep it;\n"
                    "0 for a matrix from Score Composition Sampler.",
                ),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="The pictures, in the order in which they play.")],
        )

    @classmethod
    def execute(
        cls,
        # what to decode
        matrix: dict[str, Any],
        vae: Any,
        show: str,
        # where
        view: int,
        frame: int,
        spacing: int,
        # the path
        last_view: int,
        last_frame: int,
        length: int,
        # the contact sheet
        every: int,
        cell_width: int,
        # the matrix
        views: int = 0,
    ) -> io.NodeOutput:
        size = read_matrix_size(matrix, views)
        cells, mode = as_matrix(matrix["samples"], size), Show(show)
        if mode is Show.CONTACT_SHEET:
            return io.NodeOutput(_sheet(vae, cells, sheet_cells(size, every), cell_width))
        clips: Sequence[list[Cell]]
        if mode is Show.VIEW:
            clips = [view_clip(size, view)]
        elif mode is Show.FRAME:
            clips = [frame_orbit(size, frame)]
        elif mode is Show.STEREO:
            clips = stereo_pair(size, view, spacing)
        else:
            clips = [path(size, (view, frame), (last_view, last_frame), length)]
        expect_decodable(vae, cells, sum(map(len, clips)))
        return io.NodeOutput(torch.cat([_decode(vae, cells, clips[i]) for i in each_frame(len(clips))]))


def _decode(vae: Any, matrix: Tensor, clip: Sequence[Cell]) -> Tensor:
    """Decode a clip in one call, because the decoders of video models work along time.

    Args:
        vae: the VAE.
        matrix: (V, F, C, h, w).
        clip: N cells, in the order in which they play.

    Returns:
        IMAGE (N, H, W, 3).
    """
    cells, places = decoding(clip)
    return vae.decode(take(matrix, cells))[places]


def _sheet(vae: Any, matrix: Tensor, rows: list[list[Cell]], width: int) -> Tensor:
    """Decode rows of a matrix (V, F, C, h, w) to one IMAGE (1, H, W, 3), each picture ``width`` pixels wide."""
    expect_decodable(vae, matrix, sum(map(len, rows)), width)
    small = []
    for row in each_frame(len(rows)):
        pictures = _decode(vae, matrix, rows[row]).movedim(-1, 1)
        height = max(1, round(width * pictures.shape[2] / pictures.shape[3]))
        small.append(comfy.utils.common_upscale(pictures, width, height, "area", "disabled"))
    return core_to_image(contact_sheet(small, _SHEET_GAP))
