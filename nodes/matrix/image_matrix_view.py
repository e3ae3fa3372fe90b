"""ImageMatrixView: decodes those pictures of an image matrix that one wants to see, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import torch
from comfy_api.latest import io

from ...stereo_core.image_matrix import (
    Cell,
    as_matrix,
    frame_orbit,
    path,
    stereo_pair,
    view_clip,
)
from ..host import each_frame
from ..widgets.matrix import matrix_inputs, views_input
from .decoding import decode_clip
from .latents import expect_decodable, read_matrix_size


class Show(str, Enum):
    """Ways of looking at an image matrix."""

    VIEW = "view"
    FRAME = "frame"
    STEREO = "stereo"
    PATH = "path"


class ImageMatrixView(io.ComfyNode):
    """Decode a video, an orbit, a stereo pair or a path of an image matrix."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_ImageMatrixView",
            display_name="Image Matrix View",
            category="stereo/multiview",
            description="Decodes part of an image matrix: a view's video, a frame's orbit, a stereo pair, or a path "
            "through views and time.",
            search_aliases=["4D", "bullet time", "multi-view video", "orbit", "stereo pair"],
            inputs=[
                # what to decode
                *matrix_inputs(),
                io.Combo.Input(
                    "show",
                    options=[show.value for show in Show],
                    default=Show.VIEW.value,
                    tooltip="view: the video of view. frame: the orbit at frame.\n"
                    "stereo: view is the right eye's video, and the left eye's is spacing views before it, because\n"
                    "SV3D's camera moves to its own right; all left frames, then all right ones, for Stereo Combine.\n"
                    "path: straight from (view, frame) to (last_view, last_frame) in length pictures.",
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
                    tooltip="View where the path ends; -1 is the last view.",
                ),
                io.Int.Input(
                    "last_frame",
                    default=-1,
                    min=-4096,
                    max=4095,
                    tooltip="Frame where the path ends; -1 is the last. The same as frame: time stands still.",
                ),
                io.Int.Input("length", default=25, min=1, max=4096, tooltip="Pictures on the path."),
                # the matrix
                views_input(),
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
        # the matrix
        views: int,
    ) -> io.NodeOutput:
        size = read_matrix_size(matrix, views)
        cells, mode = as_matrix(matrix["samples"], size), Show(show)
        clips: Sequence[list[Cell]]
        if mode is Show.VIEW:
            clips = [view_clip(size, view)]
        elif mode is Show.FRAME:
            clips = [frame_orbit(size, frame)]
        elif mode is Show.STEREO:
            clips = stereo_pair(size, view, spacing)
        else:
            clips = [path(size, (view, frame), (last_view, last_frame), length)]
        expect_decodable("Image Matrix View", vae, cells, sum(map(len, clips)))
        return io.NodeOutput(torch.cat([decode_clip(vae, cells, clips[i]) for i in each_frame(len(clips))]))
