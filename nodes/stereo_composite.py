"""StereoComposite: the original's pixels where the right eye sees them, a generated view's where it does not."""

from __future__ import annotations

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..stereo_core.color_matching import ColorMatch, fit_colors, steady
from ..stereo_core.compositing import composite
from ..stereo_core.depth_edges import DepthEdges
from ..stereo_core.placement import Placement, find_placement, place_view, placements
from ..stereo_core.rendering import Quality, RenderedView, render_view, working_bytes
from ..stereo_core.scenes import find_scene_starts
from ..stereo_core.stereo_depth import StereoDepth
from .host import (
    compute_device,
    core_to_image,
    each_frame,
    expect_memory_for_views,
    image_to_core,
)
from .widgets.geometry import depth_input, read_depth, tell_disparity
from .widgets.rendering import depth_edges_input, disparity_of, quality_input

# Frames of a clip that tell where the generated views lie.
_LOOKED_AT = 3


class StereoComposite(io.ComfyNode):
    """Warp the original at full resolution, and take only the holes from a diffusion result."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_StereoComposite",
            display_name="Stereo Composite",
            category="stereo/image",
            description="Finishes the right view: the original's own pixels at full resolution, and in the holes a "
            "diffusion result, matched in colour.",
            search_aliases=["merge", "inpaint", "keep original", "sharp", "color match", "disocclusion", "2d to 3d"],
            inputs=[
                # what to combine
                io.Image.Input("image", tooltip="The original picture or clip; it becomes the left view, untouched."),
                depth_input(
                    "picture",
                    "One map for each frame, or one for all. Connect what the diffusion result was made with.",
                ),
                io.Image.Input(
                    "diffusion",
                    tooltip="The decoded diffusion result, any size of the same shape: the right views, or both views "
                    "in one batch, all left ones first. A result that VAE Encode cropped goes where it belongs.",
                ),
                # the rendering
                io.Float.Input(
                    "feather",
                    default=0.5,
                    min=0.0,
                    max=3.0,
                    step=0.1,
                    tooltip="Width of the soft rim of the holes, in percent of the picture's width, 0 to 3.\n"
                    "It lies inside the holes, so the original's pixels are always kept. 0 is a hard edge.",
                ),
                io.Combo.Input(
                    "color_match",
                    options=ColorMatch,
                    default=ColorMatch.LOCAL.value,
                    tooltip="How the diffusion result takes on the original's colours, measured where both show the "
                    "same.\ngain: brightness, contrast and colour cast of the whole frame.\n"
                    "local: the same, and what changes slowly across the frame. none: colours as they are.",
                ),
                quality_input(),
                depth_edges_input(),
            ],
            outputs=[
                io.Image.Output(display_name="left", tooltip="The original, to the bit."),
                io.Image.Output(
                    display_name="right",
                    tooltip="The original where the right eye sees it, the diffusion result elsewhere.",
                ),
                io.Mask.Output(display_name="holes", tooltip="1 where the right view is not the original's."),
            ],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls,
        # what to combine
        image: Tensor,
        depth: StereoDepth | Tensor,
        diffusion: Tensor,
        # the rendering
        feather: float,
        color_match: str,
        quality: str,
        depth_edges: str = DepthEdges.SHARPENED.value,
    ) -> io.NodeOutput:
        source = image_to_core(image, "image")
        frames, channels, height, width = source.shape
        stereo = read_depth(depth, image)
        generated = _right_views(image_to_core(diffusion, "diffusion"), frames)
        candidates = placements(tuple(generated.shape[-2:]), (height, width))
        if not candidates:
            raise ValueError(
                f"diffusion is {generated.shape[-1]}x{generated.shape[-2]}, of another shape than image, which is "
                f"{width}x{height}. Make it from this image; scale width and height by the same factor before VAE "
                "Encode."
            )
        working = working_bytes(height, width, channels, Quality(quality)) + 16 * channels * height * width
        expect_memory_for_views("Stereo Composite", source, working)
        disparity = disparity_of(stereo, source, DepthEdges(depth_edges))
        tell_disparity(cls, stereo, disparity, pixels=width)
        place = _find_placement(source, disparity, generated, candidates)
        right, holes = _render(
            source, disparity, generated, place, Quality(quality), ColorMatch(color_match), feather / 100 * width
        )
        return io.NodeOutput(
            core_to_image(source),
            core_to_image(right),
            holes[:, 0].float(),
            ui=ui.PreviewImage(core_to_image(right[:1]), cls=cls),
        )


def _right_views(diffusion: Tensor, frames: int) -> Tensor:
    """Return the generated right views, one for each of ``frames``, of (B, 3, h, w): these alone, or after all left."""
    if len(diffusion) not in (frames, 2 * frames):
        raise ValueError(
            f"diffusion holds {len(diffusion)} pictures and image {frames}. "
            "Give one right view for each picture, or both views in one batch, all left ones first."
        )
    return diffusion[-frames:]


def _find_placement(source: Tensor, disparity: Tensor, generated: Tensor, candidates: list[Placement]) -> Placement:
    """Compare a few frames, warped, with what was generated, where sizes do not tell how it lies on them."""
    if len(candidates) == 1:
        return candidates[0]
    device = compute_device()
    frames = torch.linspace(0, len(source) - 1, min(len(source), _LOOKED_AT)).round().long()
    warped = render_view(source[frames].to(device), disparity[frames].to(device), Quality.FAST)
    return find_placement(candidates, generated[frames].to(device), warped.image, ~warped.hole)


def _render(
    source: Tensor,
    disparity: Tensor,
    generated: Tensor,
    place: Placement,
    quality: Quality,
    match: ColorMatch,
    feather: float,
) -> tuple[Tensor, Tensor]:
    """Go over the clip twice: once to warp it and compare colours, once to fill the holes.

    Args:
        source: (B, 3, H, W) in [0, 1].
        disparity: (B, 1, H, W) in columns.
        generated: (B, 3, h, w) in [0, 1], the right views that fill the holes.
        place: where they lie on the pictures.
        quality: of the warp.
        match: how colours are matched.
        feather: width of the soft rim of the holes, in pixels.

    Returns:
        Right views (B, 3, H, W), and holes (B, 1, H, W), boolean.
    """
    device, size, frames = compute_device(), source.shape[-2:], len(source)
    right, holes = torch.empty_like(source), torch.empty_like(disparity, dtype=torch.bool)
    steps, fits = each_frame(2 * frames), []
    for frame, _ in zip(range(frames), steps, strict=False):
        one = slice(frame, frame + 1)
        rendered = render_view(source[one].to(device), disparity[one].to(device), quality)
        result = place_view(generated[one].to(device), place, size)
        fits.append(fit_colors(result, rendered.image, ~rendered.hole, match))
        right[one], holes[one] = rendered
    correction = steady(fits, find_scene_starts(source))
    for step in steps:
        frame = step - frames
        one = slice(frame, frame + 1)
        result = correction.apply(place_view(generated[one].to(device), place, size), frame)
        rendered = RenderedView(right[one].to(device), holes[one].to(device))
        right[one] = composite(rendered, result, feather)
    return right, holes
