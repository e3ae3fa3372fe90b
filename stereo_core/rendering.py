"""The other view of an image: a forward warp along rows, then a fill of what nothing covers."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import expect_finite, expect_shape
from .hole_filling import fill_smoothly, find_hole_edges, stretch
from .rasterizing import TEAR, Landing, land_surfaces
from .warping import View

# Pixels warped at a time on a CPU, few enough for intermediate results to stay in its cache.
_BAND = 1 << 18


class Quality(str, Enum):
    """The trade between time and picture quality."""

    FAST = "fast"
    BEST = "best"


class RenderedView(NamedTuple):
    """One rendered view.

    Attributes:
        image: (B, C, H, W), the source's dtype and device, every pixel filled.
        hole: (B, 1, H, W) bool, true where no surface of the source lands and the image is filled in.
    """

    image: Tensor
    hole: Tensor


def render_view(
    image: Tensor,
    disparity: Tensor,
    quality: Quality = Quality.BEST,
    view: View = View.RIGHT,
    edge_growth: int = 0,
) -> RenderedView:
    """Render the other view of ``image``, every pixel filled.

    Rows are warped as connected surfaces at sub-pixel columns, so that no cracks open. ``fast`` samples
    linearly and stretches the farther edge of a hole over it; ``best`` samples with the Catmull-Rom cubic and
    fills holes smoothly from the surface behind. Frames are independent: equal frames give equal results.

    Args:
        image: (B, C, H, W), any floating dtype and range; computed in float32.
        disparity: (B, 1, H, W) in columns of this grid, larger is nearer, any sign.
        quality: ``fast`` or ``best``.
        view: the view to make; the right view has x_right = x_left - disparity, the left the opposite.
        edge_growth: pixels by which nearer surfaces grow on all sides before the warp. At 0 only the one
            pixel beside a nearer surface that the warp would uncover joins it, because its colour is a mixture.

    Returns:
        The filled view, in the dtype of ``image``, and its holes.

    Raises:
        ValueError: a shape does not fit, the disparity is not finite, edge_growth is negative, or the
            quality or view is unknown.
    """
    quality, view = Quality(quality), View(view)
    expect_shape("image", image, "B C H W")
    batch, _, height, width = image.shape
    expect_shape("disparity", disparity, "B 1 H W", B=batch, H=height, W=width)
    expect_finite("disparity", disparity)
    if edge_growth < 0:
        raise ValueError(f"edge_growth: got {edge_growth}. Give a whole number of pixels, 0 or more.")
    frames, holes = [], []
    for colour, near in zip(image, disparity[:, 0], strict=True):
        colour, near = colour.float(), near.float()
        if view is View.LEFT:  # the right view of the mirrored scene
            frame, hole = _render_right(colour.flip(-1), near.flip(-1), quality, edge_growth)
            frame, hole = frame.flip(-1), hole.flip(-1)
        else:
            frame, hole = _render_right(colour.contiguous(), near, quality, edge_growth)
        frames.append(frame.to(image.dtype))
        holes.append(hole[None])
    if batch == 1:  # spares a copy
        return RenderedView(frames[0][None], holes[0][None])
    return RenderedView(torch.stack(frames), torch.stack(holes))


def _render_right(image: Tensor, disparity: Tensor, quality: Quality, edge_growth: int) -> tuple[Tensor, Tensor]:
    """Render the right view of one float32 (C, H, W) image; return it and its (H, W) holes."""
    best = quality is Quality.BEST
    height, width = disparity.shape
    if edge_growth:
        disparity = F.max_pool2d(disparity[None], 2 * edge_growth + 1, 1, edge_growth)[0]
    else:
        disparity = _claim_mixed_pixels(disparity)
    frame = torch.empty_like(image)
    near = torch.empty_like(disparity)
    hole = torch.empty_like(disparity, dtype=torch.bool)
    columns = torch.arange(width, device=disparity.device)
    bands = max(1, height * width // _BAND) if disparity.device.type == "cpu" else 1
    for rows in torch.arange(height).tensor_split(bands):
        band = slice(int(rows[0]), int(rows[-1]) + 1)
        landing = land_surfaces(disparity[band])
        hole[band] = landing.hole
        point = landing.point()
        torch.sub(point, columns, out=near[band])
        if best:
            frame[:, band] = _sample_cubic(image[:, band], point)
            _soften_edges(frame[:, band], image[:, band], disparity[band], landing.hole)
        else:
            _sample_linear(image, landing, frame, band)
    edges = find_hole_edges(hole, near)
    if best:
        near.view(-1)[edges.pixel] = near.view(-1)[edges.edge]
        if len(edges.pixel):
            fill_smoothly(frame, near, hole, edges)
        low, high = image.aminmax()
        frame.clamp_(low, high)
    else:
        stretch(frame, edges)
    return frame, hole


def _claim_mixed_pixels(disparity: Tensor) -> Tensor:
    """Assign the pixel to the right of a nearer surface, whose colour is a mixture of both, to that surface.

    Left behind, it would leave a ghost of the edge on the far side of the hole and taint the fill: 0.61 dB of PSNR
    in ``best`` and 0.54 dB in ``fast`` (mean over eight Middlebury pairs at 512 x 512).
    """
    before = torch.cat((disparity[:, :1], disparity[:, :-1]), 1)
    return torch.where(before - disparity > TEAR, before, disparity)


def _soften_edges(frame: Tensor, image: Tensor, disparity: Tensor, hole: Tensor) -> None:
    """Average in ``frame``, in place, what pixels at edges show at their centre and on either side of it.

    Worth 0.14 dB of PSNR (mean over eight Middlebury pairs at 512 x 512).
    """
    columns = torch.arange(image.shape[-1], device=image.device)
    # Adding to the disparity shifts the view that far to the left; half a column would reach into the next pixel.
    sides = [land_surfaces(disparity + offset) for offset in (-0.49, 0.49)]
    points = [side.point() for side in sides]
    left, right = (point - columns for point in points)
    edge = (left - right).abs_() > TEAR
    edge &= ~(hole | sides[0].hole | sides[1].hole)
    pixel = edge.flatten().nonzero().flatten()
    row = pixel // image.shape[-1]
    shown, flat = frame.flatten(1)[:, pixel], image.flatten(1)
    for point in points:
        column, weights = _cubic_taps(point.flatten()[pixel], image.shape[-1])
        for at, weight in zip(column, weights, strict=True):
            shown.addcmul_(flat[:, row * image.shape[-1] + at], weight)
    frame[:, row, pixel % image.shape[-1]] = shown / 3


def _sample_linear(image: Tensor, landing: Landing, frame: Tensor, band: slice) -> None:
    """Sample ``image`` linearly at the points of ``landing`` into the rows ``band`` of ``frame``."""
    width = image.shape[-1]
    row = torch.arange(band.start * width, band.stop * width, width, device=image.device)[:, None]
    flat, shape = image.flatten(1), frame[:, band].shape
    start, end = (flat.index_select(1, (at + row).flatten()).view(shape) for at in (landing.column, landing.neighbour))
    torch.lerp(start, end, landing.fraction.expand(shape), out=frame[:, band])


def _sample_cubic(image: Tensor, point: Tensor) -> Tensor:
    """Sample rows at fractional columns with the Catmull-Rom cubic."""
    total = torch.zeros_like(image)
    for column, weight in zip(*_cubic_taps(point, image.shape[-1]), strict=True):
        total.addcmul_(image.gather(-1, column.expand_as(image)), weight)
    return total


def _cubic_taps(point: Tensor, width: int) -> tuple[list[Tensor], list[Tensor]]:
    """Return the four columns around each point and their weights in the Catmull-Rom cubic."""
    floor = point.floor()
    f = point - floor
    columns = [(floor.long() + step).clamp_(0, width - 1) for step in (-1, 0, 1, 2)]
    weights = [
        ((1 - f * 0.5) * f - 0.5) * f,
        (1.5 * f - 2.5) * f * f + 1,
        ((2 - 1.5 * f) * f + 0.5) * f,
        (f - 1) * f * f * 0.5,
    ]
    return columns, weights


def working_bytes(height: int, width: int, channels: int, quality: Quality) -> int:
    """Bound the memory that ``render_view`` takes besides its inputs and results.

    Frames are rendered one at a time, so the bound does not grow with the length of a clip.

    Args:
        height: rows of one frame.
        width: columns of one frame.
        channels: channels of one frame.
        quality: the quality asked for.

    Returns:
        Bytes, for a frame that is all hole; an ordinary one takes about half.
    """
    per_pixel = 100 + 16 * channels if Quality(quality) is Quality.FAST else 160 + 32 * channels
    return height * width * per_pixel
