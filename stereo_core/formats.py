"""Stereo formats: both views packed into one picture or clip, and unpacked again."""

from __future__ import annotations

from enum import Enum

import torch
from torch import Tensor
from torch.nn import functional

from .anaglyph import Anaglyph, mix_anaglyph
from .checks import expect_shape


class StereoFormat(str, Enum):
    """How two views share one picture."""

    FULL_SBS = "full_sbs"
    HALF_SBS = "half_sbs"
    CROSS_EYED = "cross_eyed"
    FULL_TB = "full_tb"
    HALF_TB = "half_tb"
    ANAGLYPH_DUBOIS = "anaglyph_dubois"
    ANAGLYPH_COLOR = "anaglyph_color"
    ANAGLYPH_HALF_COLOR = "anaglyph_half_color"
    ANAGLYPH_GRAY = "anaglyph_gray"
    ANAGLYPH_GREEN_MAGENTA = "anaglyph_green_magenta"
    ANAGLYPH_AMBER_BLUE = "anaglyph_amber_blue"
    INTERLACED_ROWS = "interlaced_rows"
    INTERLACED_COLUMNS = "interlaced_columns"
    CHECKERBOARD = "checkerboard"
    RGB_DEPTH = "rgb_depth"
    WIGGLE = "wiggle"


SPLITTABLE: tuple[StereoFormat, ...] = (
    StereoFormat.FULL_SBS,
    StereoFormat.HALF_SBS,
    StereoFormat.CROSS_EYED,
    StereoFormat.FULL_TB,
    StereoFormat.HALF_TB,
    StereoFormat.INTERLACED_ROWS,
    StereoFormat.INTERLACED_COLUMNS,
    StereoFormat.CHECKERBOARD,
    StereoFormat.WIGGLE,
)

_ANAGLYPHS = {
    StereoFormat.ANAGLYPH_DUBOIS: Anaglyph.RED_CYAN_DUBOIS,
    StereoFormat.ANAGLYPH_COLOR: Anaglyph.RED_CYAN_COLOR,
    StereoFormat.ANAGLYPH_HALF_COLOR: Anaglyph.RED_CYAN_HALF_COLOR,
    StereoFormat.ANAGLYPH_GRAY: Anaglyph.RED_CYAN_GRAY,
    StereoFormat.ANAGLYPH_GREEN_MAGENTA: Anaglyph.GREEN_MAGENTA_DUBOIS,
    StereoFormat.ANAGLYPH_AMBER_BLUE: Anaglyph.AMBER_BLUE_DUBOIS,
}
_SIDE_BY_SIDE = (StereoFormat.FULL_SBS, StereoFormat.HALF_SBS, StereoFormat.CROSS_EYED)
_TOP_BOTTOM = (StereoFormat.FULL_TB, StereoFormat.HALF_TB)
_ROWS, _COLUMNS = -2, -1


def combine(left: Tensor, right: Tensor | None, format: StereoFormat, depth: Tensor | None = None) -> Tensor:
    """Pack both views into one picture.

    - ``full_sbs`` left | right, ``cross_eyed`` right | left, both 2W wide; ``full_tb`` left above right, 2H high.
    - ``half_sbs`` and ``half_tb``: each view squeezed to half its width or height by area averaging.
    - ``anaglyph_*``: see :mod:`anaglyph`; the left eye looks through red, green or amber.
    - ``interlaced_rows``, ``interlaced_columns``: the left view on even lines, the right view on odd ones, counted
      from 0; ``checkerboard``: the left view where row + column is even. Pixels are copied, not filtered.
    - ``rgb_depth``: the left view | its depth as grey.
    - ``wiggle``: left and right as alternating frames.

    Width and height come out even in every format, as video needs them: the last column or row of views of odd size is
    repeated first, so that nothing is stretched. :func:`trimmed` takes it away again. H and W below are those after it.

    Args:
        left: (B, C, H, W) in [0, 1], any floating dtype; anaglyphs need C = 3.
        right: the same shape and dtype; unused, and may be ``None``, for ``rgb_depth``.
        format: one of :class:`StereoFormat`.
        depth: (B, 1, H, W) in [0, 1], 1 nearest; for ``rgb_depth`` only.

    Returns:
        (B, C, H, W), (B, C, H, 2W), (B, C, 2H, W), or (2B, C, H, W) for ``wiggle``; the dtype of ``left``.

    Raises:
        ValueError: the format is unknown, a view or the depth is missing, or sizes do not fit.
    """
    format = StereoFormat(format)
    expect_shape("left", left, "B C H W")
    if format is StereoFormat.RGB_DEPTH:
        return torch.cat([_even(left), _even(_grey(left, depth))], _COLUMNS)
    if right is None:
        raise ValueError(f"right: is missing for format {format.value}. Give both views.")
    if right.shape != left.shape:
        raise ValueError(
            f"left is {_words(left)} and right is {_words(right)}. "
            "Connect two views of the same size and the same number of frames."
        )
    left, right = _even(left), _even(right)
    if format in _ANAGLYPHS:
        return mix_anaglyph(left, right, _ANAGLYPHS[format])
    match format:
        case StereoFormat.FULL_SBS:
            return torch.cat([left, right], _COLUMNS)
        case StereoFormat.CROSS_EYED:
            return torch.cat([right, left], _COLUMNS)
        case StereoFormat.HALF_SBS:
            return torch.cat([_halve(left, _COLUMNS), _halve(right, _COLUMNS)], _COLUMNS)
        case StereoFormat.FULL_TB:
            return torch.cat([left, right], _ROWS)
        case StereoFormat.HALF_TB:
            return torch.cat([_halve(left, _ROWS), _halve(right, _ROWS)], _ROWS)
        case StereoFormat.WIGGLE:
            return torch.stack([left, right], 1).flatten(0, 1)
        case _:
            return torch.where(_is_left(format, left), left, right)


def packed_views(format: StereoFormat) -> int:
    """Return how many views' pixels a picture of this format has: 2, or 1 where they share the place of one."""
    whole = (StereoFormat.FULL_SBS, StereoFormat.CROSS_EYED, StereoFormat.FULL_TB)
    return 2 if format in (*whole, StereoFormat.RGB_DEPTH, StereoFormat.WIGGLE) else 1


def packed_size(format: StereoFormat, width: int, height: int) -> tuple[int, int]:
    """Return the width and height of what :func:`combine` makes of views of this size."""
    width, height = width + width % 2, height + height % 2
    if format is StereoFormat.FULL_TB:
        return width, 2 * height
    wide = format in (StereoFormat.FULL_SBS, StereoFormat.CROSS_EYED, StereoFormat.RGB_DEPTH)
    return (2 if wide else 1) * width, height


def split(image: Tensor, format: StereoFormat) -> tuple[Tensor, Tensor]:
    """Take both views out of a packed picture, the inverse of :func:`combine`.

    From ``full_sbs``, ``cross_eyed``, ``full_tb`` and ``wiggle`` they come back bit for bit. Half formats are scaled
    back to full size. From interlaced formats and the checkerboard a view's own pixels come back bit for bit, and each
    pixel between them is the mean of the view's own pixels next to it.

    Args:
        image: (B, C, H, W) in [0, 1], any floating dtype.
        format: one of :data:`SPLITTABLE`.

    Returns:
        The left and the right view, in the dtype of ``image``.

    Raises:
        ValueError: the format does not keep both views, or the size cannot hold two views of equal size.
    """
    format = StereoFormat(format)
    expect_shape("image", image, "B C H W")
    if format not in SPLITTABLE:
        raise ValueError(
            f"format: {format.value} does not keep both views. "
            f"Choose one of {', '.join(form.value for form in SPLITTABLE)}."
        )
    if format in _SIDE_BY_SIDE:
        first, second = _halves(image, _COLUMNS, "columns", format)
        if format is StereoFormat.HALF_SBS:
            return _double(first, _COLUMNS), _double(second, _COLUMNS)
        return (second, first) if format is StereoFormat.CROSS_EYED else (first, second)
    if format in _TOP_BOTTOM:
        first, second = _halves(image, _ROWS, "rows", format)
        if format is StereoFormat.HALF_TB:
            return _double(first, _ROWS), _double(second, _ROWS)
        return first, second
    if format is StereoFormat.WIGGLE:
        _expect_even(image.shape[0], "frames", format)
        return image[0::2], image[1::2]
    is_left = _is_left(format, image)
    if is_left.all():
        raise ValueError(
            f"image: {_words(image)} has no room for a right view in {format.value}. Choose the format that it has."
        )
    return _interpolate(image, is_left), _interpolate(image, ~is_left)


class Trim(str, Enum):
    """What :func:`combine` repeated of a view of odd size."""

    NONE = "none"
    COLUMN = "column"
    ROW = "row"
    COLUMN_AND_ROW = "column_and_row"


def trimmed(view: Tensor, what: Trim) -> Tensor:
    """Take the last column, the last row or both away from a view (B, C, H, W), which stays as it is but for them.

    Raises:
        ValueError: nothing would be left.
    """
    what, (height, width) = Trim(what), view.shape[-2:]
    columns = width - (what in (Trim.COLUMN, Trim.COLUMN_AND_ROW))
    rows = height - (what in (Trim.ROW, Trim.COLUMN_AND_ROW))
    if not columns or not rows:
        raise ValueError(f"trim: {what.value} would leave nothing of a view of {width}x{height}. Set it to none.")
    return view[..., :rows, :columns]


def _grey(left: Tensor, depth: Tensor | None) -> Tensor:
    if depth is None:
        raise ValueError("depth: is missing for format rgb_depth. Give the depth map of the left view.")
    batch, channels, height, width = left.shape
    expect_shape("depth", depth, "B 1 H W", B=batch, H=height, W=width)
    return depth.to(left.dtype).expand(-1, channels, -1, -1)


def _even(view: Tensor) -> Tensor:
    height, width = view.shape[-2:]
    odd = (0, width % 2, 0, height % 2)
    return functional.pad(view, odd, mode="replicate") if any(odd) else view


def _halve(view: Tensor, axis: int) -> Tensor:
    size = list(view.shape[-2:])
    size[axis] //= 2
    return functional.interpolate(view.float(), size=size, mode="area").to(view.dtype)


def _double(view: Tensor, axis: int) -> Tensor:
    # Of the usual filters bicubic restores most of what area averaging removed; its overshoot is clamped.
    size = list(view.shape[-2:])
    size[axis] *= 2
    return functional.interpolate(view.float(), size=size, mode="bicubic").clamp_(0, 1).to(view.dtype)


def _halves(image: Tensor, axis: int, what: str, format: StereoFormat) -> tuple[Tensor, Tensor]:
    _expect_even(image.shape[axis], what, format)
    first, second = image.chunk(2, axis)
    return first, second


def _expect_even(count: int, what: str, format: StereoFormat) -> None:
    if count % 2:
        raise ValueError(
            f"image: {count} {what} cannot hold two equal views in {format.value}. Choose the format that it has, or "
            f"leave out {'a frame' if what == 'frames' else f'one of the {what}'}."
        )


def _words(views: Tensor) -> str:
    count, _, height, width = views.shape
    return f"{'one picture' if count == 1 else f'{count} pictures'} of {width}x{height}"


def _is_left(format: StereoFormat, like: Tensor) -> Tensor:
    height, width = like.shape[-2:]
    row = torch.arange(height, device=like.device).view(-1, 1)
    column = torch.arange(width, device=like.device).view(1, -1)
    if format is StereoFormat.INTERLACED_ROWS:
        return (row % 2 == 0).expand(height, width)
    if format is StereoFormat.INTERLACED_COLUMNS:
        return (column % 2 == 0).expand(height, width)
    return (row + column) % 2 == 0


def _interpolate(image: Tensor, known: Tensor) -> Tensor:
    """Fill pixels that are not ``known`` (H, W) with the mean of the known ones above, below, left and right."""
    count = _sum_of_neighbours(known.float()).clamp_(min=1)
    filled = image.clone()
    for frame in filled:  # one frame at a time: memory may not hold another clip
        mean = _sum_of_neighbours(frame.float() * known) / count
        frame.copy_(torch.where(known, frame, mean.to(frame.dtype)))
    return filled


def _sum_of_neighbours(values: Tensor) -> Tensor:
    """Sum of the four pixels next to each one, zero beyond the border; (..., H, W)."""
    padded = functional.pad(values, (1, 1, 1, 1))
    rows = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
    return rows + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
