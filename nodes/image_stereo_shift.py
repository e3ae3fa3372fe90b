"""ImageStereoShift: both views from a picture or clip and its depth, in image space."""

from __future__ import annotations

import torch
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.clip_filling import ClipSettings, FillFrom, window_bytes
from ..stereo_core.depth_edges import DepthEdges
from ..stereo_core.rendering import Quality, View, working_bytes
from ..stereo_core.scenes import find_scene_starts
from ..stereo_core.stereo_depth import StereoDepth
from ..stereo_core.view_borders import (
    Borders,
    Strips,
    crop,
    describe_strips,
    entering,
    floating_windows,
    masked,
    screen_shift,
)
from .host import (
    compute_device,
    core_to_image,
    each_frame,
    expect_memory_for_views,
    image_to_core,
)
from .widgets.geometry import depth_input, read_depth, show_disparity
from .widgets.rendering import borders_input, depth_edges_input, disparity_of, quality_input, stream_views


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
                depth_edges_input(),
                borders_input(),
                io.Combo.Input(
                    "fill_from",
                    options=FillFrom,
                    default=FillFrom.FRAME.value,
                    optional=True,
                    tooltip="Where what fills the holes comes from.\nframe: from the frame itself (default).\n"
                    "clip: from up to 16 frames before and after, where these show what is behind; the rest holds "
                    "still. For clips in the order of time; several times slower.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="left", tooltip="The left view; the picture itself at balance 0."),
                io.Image.Output(display_name="right", tooltip="The right view, its holes filled."),
                io.Mask.Output(display_name="holes", tooltip="1 where the right view shows what the image does not."),
                io.Mask.Output(display_name="left_holes", tooltip="The same for the left view; empty at balance 0."),
            ],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
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
        depth_edges: str = DepthEdges.SHARPENED.value,
        borders: str = Borders.FILL.value,
        fill_from: str = FillFrom.FRAME.value,
    ) -> io.NodeOutput:
        source = image_to_core(image, "image")
        frames, channels, height, width = source.shape
        stereo = read_depth(depth, image)
        settings = ClipSettings.of(FillFrom(fill_from))
        working = working_bytes(height, width, channels, Quality(quality))
        moved = compute_device() != source.device
        working += window_bytes(height, width, channels, settings, frames, moved)
        expect_memory_for_views("Image Stereo Shift", source, working)
        disparity = disparity_of(stereo, source, DepthEdges(depth_edges))
        if Borders(borders) is Borders.SCREEN:
            disparity -= screen_shift(disparity, find_scene_starts(source), balance, edge_growth)
        fractions = {View.LEFT: balance, View.RIGHT: 1 - balance}
        images, holes = _render_views(source, disparity, fractions, Quality(quality), edge_growth, settings)
        strips = {view: entering(holes[view]) for view, fraction in fractions.items() if fraction}
        shown = show_disparity(cls, stereo, disparity, describe_strips(strips, width), pixels=width)
        _treat_borders(Borders(borders), images, holes, strips, disparity, source)
        left, right = (core_to_image(images[view]) for view in fractions)
        return io.NodeOutput(left, right, holes[View.RIGHT][:, 0], holes[View.LEFT][:, 0], ui=shown)


def _treat_borders(
    borders: Borders,
    images: dict[View, Tensor],
    holes: dict[View, Tensor],
    strips: dict[View, Strips],
    disparity: Tensor,
    source: Tensor,
) -> None:
    """Crop or mask the views (B, 3, H, W) and their holes (B, 1, H, W), in place of those in the dicts."""
    if borders is Borders.CROP:
        rows, columns = crop(strips.values(), tuple(source.shape[-2:]))
        for views in (images, holes):
            views.update({view: each[..., rows, columns] for view, each in views.items()})
    if borders is Borders.FLOATING_WINDOW:
        windows = floating_windows(disparity, find_scene_starts(source))
        for views in (images, holes):
            views[View.LEFT] = masked(views[View.LEFT], [Strips(window.left, 0) for window in windows])
            views[View.RIGHT] = masked(views[View.RIGHT], [Strips(0, window.right) for window in windows])


def _render_views(
    source: Tensor,
    disparity: Tensor,
    fractions: dict[View, float],
    quality: Quality,
    edge_growth: int,
    settings: ClipSettings,
) -> tuple[dict[View, Tensor], dict[View, Tensor]]:
    """Render a clip frame by frame, so that only those frames take memory to work in that a fill is taken from.

    Args:
        source: (B, 3, H, W) in [0, 1].
        disparity: (B, 1, H, W) in columns.
        fractions: for each view, how much of the disparity it is shifted by, 0 to 1; at 0 it is ``source`` itself.
        quality: of the rendering.
        edge_growth: pixels by which near objects grow before the shift.
        settings: which frames a fill is taken from.

    Returns:
        For each view its pictures (B, 3, H, W), and its holes (B, 1, H, W), 1 where the source shows nothing.
    """
    frames, _, height, width = source.shape
    images = {view: torch.empty_like(source) if fraction else source for view, fraction in fractions.items()}
    holes = {view: torch.zeros(frames, 1, height, width) for view in fractions}

    pairs = ((source[one : one + 1], disparity[one : one + 1]) for one in range(frames))
    rendered = stream_views(pairs, fractions, quality, edge_growth, settings)
    for frame, views in zip(each_frame(frames), rendered, strict=True):
        for view, made in views.items():
            images[view][frame] = made.image[0]
            holes[view][frame] = made.hole[0]
    return images, holes
