"""The other view of an image: a forward warp along rows, then a fill of what nothing covers."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import expect_finite, expect_shape
from .hole_filling import HoleEdges, fill_smoothly, find_hole_edges, stretch
from .letterbox import find_picture
from .masks import true_places
from .parallel import operation_threads, share_out
from .rasterizing import TEAR, land_surfaces
from .row_sampling import sample_cubic, sample_linear, soften_edges
from .texture_filling import add_texture
from .warping import View

# Pixels warped at a time on a CPU, few enough for intermediate results to stay in its cache.
_BAND = 1 << 17
# Pixels of a frame from which on threads gain by sharing it, also where the machine has other work.
_SHARED = 3 << 19
# Every so many columns are looked at to find bars and margins above and below a picture.
_BAR_STEP = 8
# By how much of the picture's range the colours of a margin's row differ at most.
_EVEN = 1.5 / 255


class Quality(str, Enum):
    """The trade between time and picture quality."""

    FAST = "fast"
    BEST = "best"
    DETAIL = "detail"


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
    fills holes smoothly from the surface behind; ``detail`` adds texture copied from that surface. Frames are
    independent: equal frames give equal results. A value that is not finite counts as 0.

    Args:
        image: (B, C, H, W), any floating dtype and range; computed in float32.
        disparity: (B, 1, H, W) in columns of this grid, larger is nearer, any sign.
        quality: ``fast``, ``best`` or ``detail``.
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
    if edge_growth < 0:
        raise ValueError(f"edge_growth: got {edge_growth}. Give a whole number of pixels, 0 or more.")
    threads = torch.get_num_threads() if height * width >= _SHARED else 1
    frames, holes = [], []
    with operation_threads(1):  # but for bands of rows, and for texture
        expect_finite("disparity", disparity)
        for colour, near in zip(image, disparity[:, 0], strict=True):
            colour, near = colour.float(), near.float()
            if view is View.LEFT:  # the right view of the mirrored scene
                frame, hole = _render_right(colour.flip(-1), near.flip(-1), quality, edge_growth, threads)
                frame, hole = frame.flip(-1), hole.flip(-1)
            else:
                frame, hole = _render_right(colour.contiguous(), near, quality, edge_growth, threads)
            frames.append(frame.to(image.dtype))
            holes.append(hole[None])
        if batch == 1:  # spares a copy
            return RenderedView(frames[0][None], holes[0][None])
        return RenderedView(torch.stack(frames), torch.stack(holes))


def _render_right(
    image: Tensor, disparity: Tensor, quality: Quality, edge_growth: int, threads: int
) -> tuple[Tensor, Tensor]:
    """Render the right view of one float32 (C, H, W) image; return it and its (H, W) holes."""
    height, width = disparity.shape
    low, high = image.aminmax()  # NaN where any value is
    if not (low.isfinite() and high.isfinite()):
        image = image.nan_to_num(0, 0, 0)
        low, high = image.aminmax()
    if edge_growth:
        disparity = F.max_pool2d(disparity[None], 2 * edge_growth + 1, 1, edge_growth)[0]
    frame = torch.empty_like(image)
    near = torch.empty_like(disparity)
    hole = torch.empty_like(disparity, dtype=torch.bool)
    columns = torch.arange(width, device=disparity.device)

    def warp(band: slice) -> None:
        surfaces = disparity[band] if edge_growth else _claim_mixed_pixels(disparity[band])
        landing = land_surfaces(surfaces)
        hole[band] = landing.hole
        point = landing.point()
        torch.sub(point, columns, out=near[band])
        if quality is Quality.FAST:
            sample_linear(image, landing, frame, band)
        else:
            frame[:, band] = sample_cubic(image[:, band], point)
            soften_edges(frame[:, band], image[:, band], surfaces, landing, near[band])

    bands = max(1, height * width // _BAND) if disparity.device.type == "cpu" else 1
    rows = torch.arange(height).tensor_split(bands)
    share_out(warp, [slice(int(band[0]), int(band[-1]) + 1) for band in rows], threads)
    edges = find_hole_edges(hole, near)
    if quality is Quality.FAST:
        stretch(frame, edges)
    else:
        near.view(-1)[edges.pixel] = near.view(-1)[edges.edge]
        picture = _rows_between_bars(image, float(high - low))
        if picture == slice(0, height):
            _fill(frame, near, hole, edges, quality, threads)
        else:  # bars and margins above or below are filled by themselves
            stretch(frame, edges)
            between, near, within = frame[:, picture].contiguous(), near[picture], hole[picture]
            _fill(between, near, within, find_hole_edges(within, near), quality, threads)
            frame[:, picture] = between
        frame.clamp_(low, high)
    return frame, hole


def _rows_between_bars(image: Tensor, contrast: float) -> slice:
    """Find the rows of (C, H, W), of this range, between black bars and margins whose every row has one colour."""
    seen = image[..., ::_BAR_STEP]
    bars = find_picture(seen[None])[0]
    spread = (seen.amax(-1) - seen.amin(-1)).amax(0)
    uneven = (spread > _EVEN * contrast).nonzero().flatten()
    if not len(uneven):
        return bars
    start, stop = max(bars.start, int(uneven[0])), min(bars.stop, int(uneven[-1]) + 1)
    return slice(start, stop) if start < stop else bars


def _fill(frame: Tensor, near: Tensor, hole: Tensor, edges: HoleEdges, quality: Quality, threads: int) -> None:
    """Fill the holes of ``frame``, in place, with more than their edges."""
    if not len(edges.pixel):
        return
    fill_smoothly(frame, near, hole, edges)
    if quality is Quality.DETAIL:
        with operation_threads(threads):  # which it shares out itself
            add_texture(frame, near, hole, (edges.pixel - edges.edge).abs())


def _claim_mixed_pixels(disparity: Tensor) -> Tensor:
    """Assign the pixel to the right of a nearer surface, whose colour is a mixture of both, to that surface.

    Left behind, it would leave a ghost of the edge on the far side of the hole and taint the fill.
    """
    nearer = true_places(disparity[:, :-1] - disparity[:, 1:] > TEAR)  # few
    nearer += nearer // max(1, disparity.shape[-1] - 1)  # counted in rows of all columns
    claimed = disparity.clone()
    claimed.view(-1)[nearer + 1] = disparity.flatten()[nearer]
    return claimed


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
    quality = Quality(quality)
    per_pixel = 100 + 16 * channels if quality is Quality.FAST else 160 + 32 * channels
    textures = 64 * 2**20 if quality is Quality.DETAIL else 0  # its patches are chosen on a grid of bounded size
    return height * width * per_pixel + textures
