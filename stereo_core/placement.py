"""Where a generated view lies on the picture that it was made from: stretched over all of it, or cropped by a VAE."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from .checks import expect_shape
from .compositing import resize_view

# Latents have 8 to 32 pixels a column; what does not fill the last one is cropped, half of it at either side.
_LARGEST_STRIDE = 32
# Pictures are compared at so many pixels of their longer side: there, cropped and stretched views differ by whole ones.
_COMPARED = 1024
# Details up to so many pixels wide are compared: colours, which the generator may have changed, do not matter then.
_DETAIL = 15
# Another placement than the likeliest must be better by so much of the correlation.
_CLEARLY = 0.002


class Placement(NamedTuple):
    """The rectangle of a picture that a view shows, in the picture's pixels; it need not begin at a whole one.

    Attributes:
        top, left: of the first row and column.
        height, width: of the whole view.
    """

    top: float
    left: float
    height: float
    width: float


def placements(view: tuple[int, int], picture: tuple[int, int]) -> list[Placement]:
    """List how a view may lie on its picture, by their sizes alone; the likeliest comes first.

    A VAE crops what does not fill a column or row of its latent, at the middle, so a view that is smaller by less than
    the largest stride most likely lies there pixel by pixel. Else it has most likely been scaled, and shows everything;
    but it may also have been scaled first and cropped then.

    Args:
        view: (h, w) of the view.
        picture: (H, W) of the picture.

    Returns:
        None where the view is of another shape than the picture; one where sizes tell all.
    """
    (rows, columns), (height, width) = view, picture
    whole = Placement(0, 0, height, width)
    if view == picture:
        return [whole]
    cropped = []
    for scaled_rows in range(rows, rows + _LARGEST_STRIDE):
        wished = scaled_rows * width / height  # both sides were rounded, so this may be off by a column
        for scaled_columns in sorted({math.floor(wished), math.ceil(wished)}):
            if 0 <= scaled_columns - columns < _LARGEST_STRIDE and (scaled_rows, scaled_columns) != view:
                cropped.append(_centred(view, (scaled_rows, scaled_columns), picture))
    stretched = abs(columns * height / width - rows) < _LARGEST_STRIDE
    stretched |= abs(rows * width / height - columns) < _LARGEST_STRIDE
    if 0 <= height - rows < _LARGEST_STRIDE and 0 <= width - columns < _LARGEST_STRIDE:
        return [_centred(view, picture, picture), whole]
    return [whole, *cropped] if stretched else []


def place_view(view: Tensor, placement: Placement, size: tuple[int, int]) -> Tensor:
    """Lay a view on a picture, and continue it as its mirror image where it was cropped.

    Args:
        view: (B, C, h, w) in [0, 1], any floating dtype.
        placement: where it lies.
        size: (H, W) of the picture.

    Returns:
        (B, C, H, W) in [0, 1], the same dtype: ``view`` itself where it is the whole picture already, its very pixels
        where it lies pixel by pixel.

    Raises:
        ValueError: the shape does not fit.
    """
    expect_shape("view", view, "B C H W")
    top, bottom = _whole_pixels(placement.top, placement.height, size[0])
    left, right = _whole_pixels(placement.left, placement.width, size[1])
    height, width = bottom - top, right - left
    shown = resize_view(view, (height, width))
    padding = left, size[1] - right, top, size[0] - bottom
    if not any(padding):
        return shown
    mode = "reflect" if max(padding[:2]) < width and max(padding[2:]) < height else "replicate"
    return functional.pad(shown, padding, mode=mode)


def find_placement(candidates: Sequence[Placement], views: Tensor, pictures: Tensor, visible: Tensor) -> Placement:
    """Tell by what both show which of the placements is right.

    Args:
        candidates: one or more, the likeliest first; see ``placements``.
        views: (B, C, h, w) in [0, 1], the generated views.
        pictures: (B, C, H, W) in [0, 1], what they should show.
        visible: (B, 1, H, W) bool, where the pictures count.

    Returns:
        The one with which the details of both correlate best; the likeliest if none is clearly better.

    Raises:
        ValueError: a shape does not fit.
    """
    expect_shape("views", views, "B C H W")
    batch, channels = views.shape[:2]
    expect_shape("pictures", pictures, "B C H W", B=batch, C=channels)
    height, width = pictures.shape[-2:]
    expect_shape("visible", visible, "B 1 H W", B=batch, H=height, W=width)
    if len(candidates) == 1:
        return candidates[0]
    scale = min(_COMPARED, max(views.shape[-2:]), max(height, width)) / max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    grey = views.float().mean(1, keepdim=True)
    counts = functional.interpolate((~visible).float(), size=size, mode="area") == 0
    wanted = _details(resize_view(pictures.float().mean(1, keepdim=True), size)) * counts
    likeliest, *others = (_agreement(_laid(grey, each, scale, size), wanted, counts) for each in candidates)
    best = max(range(len(others)), key=others.__getitem__)
    return candidates[1 + best] if others[best] > likeliest + _CLEARLY else candidates[0]


def _laid(grey: Tensor, placement: Placement, scale: float, size: tuple[int, int]) -> Tensor:
    return place_view(grey, Placement(*(each * scale for each in placement)), size)


def _whole_pixels(start: float, length: float, size: int) -> tuple[int, int]:
    """Round where something begins and ends, so that one pixel is left of it at least."""
    begin = min(round(start), size - 1)
    return begin, max(begin + 1, round(start + length))


def _agreement(view: Tensor, wanted: Tensor, counts: Tensor) -> float:
    """The correlation of the details of ``view`` with those ``wanted``."""
    shown = _details(view) * counts
    energy = shown.square().sum() * wanted.square().sum()
    return float((shown * wanted).sum() / energy.sqrt().clamp_min(1e-9))


def _details(grey: Tensor) -> Tensor:
    return grey - functional.avg_pool2d(grey, _DETAIL, 1, _DETAIL // 2, count_include_pad=False)


def _centred(view: tuple[int, int], scaled: tuple[int, int], picture: tuple[int, int]) -> Placement:
    """What a view shows that was cropped at the middle of the picture at another size, as ComfyUI's VAE does it."""
    places = []
    for shown, size, full in zip(view, scaled, picture, strict=True):
        places.append(((size - shown) // 2 * full / size, shown * full / size))
    (top, height), (left, width) = places
    return Placement(top, left, height, width)
