"""Sampling of a source view at the fractional columns that the rows of the other view show."""

from __future__ import annotations

import torch
from torch import Tensor

from .rasterizing import TEAR, Landing

# A surface that brings this many source columns more than two to two target columns is averaged over them.
_CROWDED = 0.5
# The part of a column by which a surface must reach into its neighbour's pixel to be mixed into it.
_LEAST_REACH = 0.01


def sample_linear(image: Tensor, landing: Landing, frame: Tensor, band: slice) -> None:
    """Sample ``image`` linearly at the points of ``landing`` into the rows ``band`` of ``frame``."""
    width = image.shape[-1]
    row = torch.arange(band.start * width, band.stop * width, width, device=image.device)[:, None]
    flat, shape = image.flatten(1), frame[:, band].shape
    start, end = (flat.index_select(1, (at + row).flatten()).view(shape) for at in (landing.column, landing.neighbour))
    torch.lerp(start, end, landing.aside.abs().expand(shape), out=frame[:, band])


def sample_cubic(image: Tensor, point: Tensor) -> Tensor:
    """Sample the rows of ``image`` (C, H, W) at the columns ``point`` (H, W) with the Catmull-Rom cubic."""
    total = torch.zeros_like(image)
    for column, weight in _cubic_taps(point, image.shape[-1]):
        total.addcmul_(image.gather(-1, column.expand_as(image)), weight)
    return total


def soften_edges(frame: Tensor, image: Tensor, disparity: Tensor, landing: Landing, near: Tensor) -> None:
    """Mix in ``frame``, in place, what pixels show beside their centre where that is another surface.

    Args:
        frame: (C, H, W), sampled at the pixels' centres.
        image: (C, H, W), the source.
        disparity: (H, W) of the source.
        landing: what the centres show.
        near: (H, W), the disparity of that.
    """
    covered = ~landing.hole
    covered = covered[:, 1:] & covered[:, :-1]
    step = near[:, 1:] - near[:, :-1]
    _average_crowds(frame, image, near, covered, step)
    _mix_across_tears(frame, image, disparity, landing, near, covered & (step.abs() > TEAR))


def _average_crowds(frame: Tensor, image: Tensor, near: Tensor, covered: Tensor, step: Tensor) -> None:
    """Average three samples of a pixel where its surface is seen at so low an angle that columns are skipped."""
    width = image.shape[-1]
    crowded = (near[:, 2:] - near[:, :-2] > _CROWDED) & covered[:, 1:] & covered[:, :-1]
    crowded &= (step[:, 1:] <= TEAR) & (step[:, :-1] <= TEAR)
    row, before = crowded.nonzero(as_tuple=True)
    pixel = row * width + before + 1
    left, middle, right = (_points(near, pixel + side) for side in (-1, 0, 1))
    shown = frame[:, row, before + 1]
    for neighbour in (left, right):
        shown += _sample_cubic_at(image, row, (middle + neighbour) / 2)
    frame[:, row, before + 1] = shown / 3


def _mix_across_tears(
    frame: Tensor, image: Tensor, disparity: Tensor, landing: Landing, near: Tensor, torn: Tensor
) -> None:
    """Mix a third of the other surface into the pixel, of two at a tear, into which it reaches.

    The nearer surface covers half a column beyond its outermost pixel. Where that ends within the neighbour's pixel
    this one takes a part of it; where it ends within its own, that takes a part of the surface behind.
    """
    width = image.shape[-1]
    row, left = torn.nonzero(as_tuple=True)
    start = row * width
    outward = (near[row, left] > near[row, left + 1]).long() * 2 - 1  # from the nearer pixel to the farther
    nearer = start + left + (outward < 0)
    farther = nearer + outward
    column = landing.column.flatten()[nearer]
    position = column - disparity.flatten()[start + column]
    # A pixel's landing is the last of several columns; toward the left the first may reach farther.
    first = (column - 1).clamp_(min=0)
    first_position = first - disparity.flatten()[start + first]
    is_first = (outward < 0) & (first_position >= nearer % width - 0.5) & (first_position <= position)
    column, position = torch.where(is_first, first, column), torch.where(is_first, first_position, position)
    reach = (position - nearer % width) * outward
    behind = _points(near, farther) - 0.5 * outward
    mixed = (reach.abs() > _LEAST_REACH).nonzero().flatten()
    target, point = torch.where(reach > 0, farther, nearer)[mixed], torch.where(reach > 0, column, behind)[mixed]
    row, column = row[mixed], target % width
    frame[:, row, column] = torch.lerp(frame[:, row, column], _sample_cubic_at(image, row, point), 1 / 3)


def _points(near: Tensor, pixel: Tensor) -> Tensor:
    """Return the source columns that the pixels (N,) of a view show."""
    return near.flatten()[pixel] + pixel % near.shape[-1]


def _sample_cubic_at(image: Tensor, row: Tensor, point: Tensor) -> Tensor:
    """Sample single points, (C, N)."""
    width, flat = image.shape[-1], image.flatten(1)
    total = image.new_zeros(len(image), len(point))
    for column, weight in _cubic_taps(point, width):
        total.addcmul_(flat[:, row * width + column], weight)
    return total


def _cubic_taps(point: Tensor, width: int) -> list[tuple[Tensor, Tensor]]:
    """Return the four columns around each point, each with its weight in the Catmull-Rom cubic."""
    floor = point.floor()
    first = floor.long()
    columns = [(first + step).clamp_(0, width - 1) for step in (-1, 0, 1, 2)]
    f = point - floor
    rest = 1 - f
    # All four weights share -f (1 - f) / 2.
    both = (f * rest).mul_(-0.5)
    before, after = both * rest, both * f
    near = torch.add(rest, before, alpha=-2).add_(after)
    far = torch.add(f, after, alpha=-2).add_(before)
    return list(zip(columns, (before, near, far, after), strict=True))
