"""ImageStereoShift: both views from a picture or clip and its depth, in image space."""

from __future__ import annotations

import torch
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.rendering import Quality, View, render_view, working_bytes
from ..stereo_core.stereo_depth import StereoDepth
from .host import (
    compute_device,
    core_to_image,
    each_frame,
    expect_memory_for_views,
    image_to_core,
)
from .widgets.geometry import depth_input, read_depth, show_disparity
from .widgets.rendering import quality_input


class ImageStereoShift(io.ComfyNode):
    """Warp every frame along its disparity and fill what the left view does not show."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_ImageStereoShift",
            display_name="Image Stereo Shift",
            category="stereo/image",
            description="Makes the left and right view of a picture or clip from its depth map, without a model.",
            search_aliases=["2d to 3d", "parallax", "divergence", "stereo image", "SBS", "depth warp"],
            inputs=[
                # what to shift
                io.Image.Input("image", tooltip="The picture or clip; it becomes the left view."),
                depth_input("picture", "One map for each frame, or one for all."),
                # the shift
                io.Float.Input(
                    "balance",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="How much of the shift the left view takes, 0 to 1.\n0 leaves the left view untouched, "
                    "0.5 shifts both views by half, 1 leaves the right view untouched.",
                ),
                # the rendering
                quality_input(),
                io.Int.Input(
                    "edge_growth",
                    default=0,
                    min=0,
                    max=16,
                    advanced=True,
                    tooltip="Pixels by which near objects grow before the shift, 0 to 16.\n"
                    "1 or 2 removes halos where depth edges lie slightly inside the objects.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="left", tooltip="The left view; the picture itself at balance 0."),
                io.Image.Output(display_name="right", tooltip="The right view, its holes filled."),
                io.Mask.Output(display_name="holes", tooltip="1 where the right view shows what the image does not."),
                io.Mask.Output(display_name="left_holes", tooltip="The same for the left view; empty at balance 0."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        # what to shift
        image: Tensor,
        depth: StereoDepth | Tensor,
        # the shift
        balance: float,
        # the rendering
        quality: str,
        edge_growth: int,
    ) -> io.NodeOutput:
        source = image_to_core(image, "image")
        frames, channels, height, width = source.shape
        stereo = read_depth(depth, image)
        working = working_bytes(height, width, channels, Quality(quality))
        expect_memory_for_views("Image Stereo Shift", source, working)
        disparity = stereo.for_pictures(frames, (height, width))
        shown = show_disparity(cls, stereo, disparity, pixels=width)
        fractions = {View.LEFT: balance, View.RIGHT: 1 - balance}
        images, holes = _render_views(source, disparity, fractions, Quality(quality), edge_growth)
        left, right = (core_to_image(images[view]) for view in fractions)
        return io.NodeOutput(left, right, holes[View.RIGHT], holes[View.LEFT], ui=shown)


def _render_views(
    source: Tensor, disparity: Tensor, fractions: dict[View, float], quality: Quality, edge_growth: int
) -> tuple[dict[View, Tensor], dict[View, Tensor]]:
    """Render a clip frame by frame, so that only one frame at a time takes memory to work in.

    Args:
        source: (B, 3, H, W) in [0, 1].
        disparity: (B, 1, H, W) in columns.
        fractions: for each view, how much of the disparity it is shifted by, 0 to 1; at 0 it is ``source`` itself.
        quality: of the rendering.
        edge_growth: pixels by which near objects grow before the shift.

    Returns:
        For each view its pictures (B, 3, H, W), and its holes (B, H, W), 1 where the source shows nothing.
    """
    frames, _, height, width = source.shape
    images = {view: torch.empty_like(source) if fraction else source for view, fraction in fractions.items()}
    holes = {view: torch.zeros(frames, height, width) for view in fractions}
    for frame in each_frame(frames):
        one = slice(frame, frame + 1)
        picture, shift = source[one].to(compute_device()), disparity[one].to(compute_device())
        for view, fraction in fractions.items():
            if fraction:
                rendered = render_view(picture, shift * fraction, quality, view, edge_growth)
                images[view][one] = rendered.image
                holes[view][one] = rendered.hole[:, 0]
    return images, holes
