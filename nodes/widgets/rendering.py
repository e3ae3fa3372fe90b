"""Inputs of the nodes that render views in image space, and the disparity by which they do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import comfy.model_management
from comfy_api.latest import io
from torch import Tensor

from ...stereo_core.clip_filling import ClipSettings, stream_clip
from ...stereo_core.depth_edges import DepthEdges, sharpen_edges
from ...stereo_core.rasterizing import TEAR
from ...stereo_core.rendering import Quality, RenderedView, View, render_view
from ...stereo_core.stereo_depth import StereoDepth
from ...stereo_core.view_borders import Borders
from ..host import compute_device


def quality_input() -> io.Combo.Input:
    """``quality``."""
    return io.Combo.Input(
        "quality",
        options=Quality,
        default=Quality.BEST.value,
        tooltip="best: exact surfaces and the smoothest fill. fast: several times quicker, for long clips.\n"
        "detail: as best, and holes get the texture of the background; takes about five times as long as best.",
    )


def depth_edges_input(default: DepthEdges = DepthEdges.SHARPENED) -> io.Combo.Input:
    """``depth_edges``."""
    return io.Combo.Input(
        "depth_edges",
        options=DepthEdges,
        default=default.value,
        optional=True,
        tooltip="What is done about soft depth edges, which leave streaks and ghosts.\nsharpened: they become steps "
        "on the picture's edges; sharp ones stay as they are. as_given: nothing.",
    )


def disparity_of(depth: StereoDepth, pictures: Tensor, edges: DepthEdges) -> Tensor:
    """Return the disparity of pictures (B, 3, H, W), (B, 1, H, W) in columns, its edges treated frame by frame."""
    sharpened = edges is DepthEdges.SHARPENED
    disparity = depth.for_pictures(len(pictures), tuple(pictures.shape[-2:]), soft=sharpened)
    if sharpened:
        for frame in range(len(pictures)):
            comfy.model_management.throw_exception_if_processing_interrupted()
            one, device = slice(frame, frame + 1), compute_device()
            disparity[one] = sharpen_edges(disparity[one].to(device), pictures[one].to(device), TEAR)
    return disparity


def stream_views(
    frames: Iterable[tuple[Tensor, Tensor]],
    fractions: Mapping[View, float],
    quality: Quality,
    edge_growth: int,
    settings: ClipSettings,
) -> Iterator[dict[View, RenderedView]]:
    """Render a clip frame by frame, on the device where the host wants work done; ends when the user interrupts.

    Args:
        frames: pictures (1, 3, H, W) in [0, 1] and their disparity (1, 1, H, W) in columns.
        fractions: for each view, how much of the disparity it is shifted by, 0 to 1; at 0 it is not rendered.
        quality: of the rendering.
        edge_growth: pixels by which near objects grow before the shift.
        settings: which frames a fill is taken from.

    Yields:
        For each frame its rendered views, as ``stream_clip`` has them.
    """

    def moved() -> Iterator[tuple[Tensor, Tensor]]:
        for picture, disparity in frames:
            comfy.model_management.throw_exception_if_processing_interrupted()
            yield picture.to(compute_device()), disparity.to(compute_device())

    def render(picture: Tensor, shift: Tensor, view: View) -> RenderedView:
        return render_view(picture, shift, quality, view, edge_growth)

    return stream_clip(moved(), {view: part for view, part in fractions.items() if part}, render, settings)


def borders_input() -> io.Combo.Input:
    """``borders``."""
    return io.Combo.Input(
        "borders",
        options=Borders,
        default=Borders.FILL.value,
        optional=True,
        tooltip="What becomes of the strips that enter the views at the left and right border.\nfill: filled like "
        "other holes (default). crop: cut off both views, which get an even size.\nfloating_window: where something "
        "stands in front of the screen at a border, the eye that sees more of it is masked.\nscreen: the screen comes "
        "forward to the nearest point at the right border, so that nothing enters there; with balance above 0, at the "
        "left one, too.",
    )
