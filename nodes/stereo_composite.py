"""StereoComposite: the original's pixels where the right eye sees them, a generated view's where it does not."""

from __future__ import annotations

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..stereo_core.color_matching import ColorMatch, fit_colors, steady
from ..stereo_core.compositing import composite, resize_view
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
from .widgets.rendering import quality_input

# Rows or columns by which a generated view may differ from the picture's shape: autoencoders crop that much.
_ROUNDING = 16


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
                    "in one batch, all left ones first.",
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
    ) -> io.NodeOutput:
        source = image_to_core(image, "image")
        frames, channels, height, width = source.shape
        stereo = read_depth(depth, image)
        generated = _right_views(image_to_core(diffusion, "diffusion"), frames, (height, width))
        working = working_bytes(height, width, channels, Quality(quality)) + 16 * channels * height * width
        expect_memory_for_views("Stereo Composite", source, working)
        disparity = stereo.for_pictures(frames, (height, width))
        tell_disparity(cls, stereo, disparity, pixels=width)
        right, holes = _render(
            source, disparity, generated, Quality(quality), ColorMatch(color_match), feather / 100 * width
        )
        return io.NodeOutput(
            core_to_image(source),
            core_to_image(right),
            holes[:, 0].float(),
            ui=ui.PreviewImage(core_to_image(right[:1]), cls=cls),
        )


def _right_views(diffusion: Tensor, frames: int, size: tuple[int, int]) -> Tensor:
    """Return the generated right views, one for each frame.

    Args:
        diffusion: (B, 3, h, w), the right views alone, or all left views and then all right ones.
        frames: of the clip.
        size: (H, W) of the clip.
    """
    (height, width), (rows, columns) = size, diffusion.shape[-2:]
    if abs(columns * height / width - rows) > _ROUNDING and abs(rows * width / height - columns) > _ROUNDING:
        raise ValueError(
            f"diffusion is {columns}x{rows}, of another shape than image, which is {width}x{height}. "
            "Make it from this image; scale width and height by the same factor before VAE Encode."
        )
    if len(diffusion) not in (frames, 2 * frames):
        raise ValueError(
            f"diffusion holds {len(diffusion)} pictures and image {frames}. "
            "Give one right view for each picture, or both views in one batch, all left ones first."
        )
    return diffusion[-frames:]


def _render(
    source: Tensor, disparity: Tensor, generated: Tensor, quality: Quality, match: ColorMatch, feather: float
) -> tuple[Tensor, Tensor]:
    """Go over the clip twice: once to warp it and compare colours, once to fill the holes.

    Args:
        source: (B, 3, H, W) in [0, 1].
        disparity: (B, 1, H, W) in columns.
        generated: (B, 3, h, w) in [0, 1], the right views that fill the holes.
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
        result = resize_view(generated[one].to(device), size)
        fits.append(fit_colors(result, rendered.image, ~rendered.hole, match))
        right[one], holes[one] = rendered
    correction = steady(fits, find_scene_starts(source))
    for step in steps:
        frame = step - frames
        one = slice(frame, frame + 1)
        result = correction.apply(resize_view(generated[one].to(device), size), frame)
        rendered = RenderedView(right[one].to(device), holes[one].to(device))
        right[one] = composite(rendered, result, feather)
    return right, holes
