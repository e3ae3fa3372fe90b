"""Black bars around a picture, which are no part of it."""

from __future__ import annotations

import torch
from torch import Tensor

from .checks import expect_shape

# Of 1: video's black, which may lie at 16 of 255, and its noise stay below it.
_BLACK = 0.08
# So much of a bar's row is black in every frame; and so much across from another bar, for subtitles lie there.
_ALL, _WITH_TEXT = 0.98, 0.5
# Bars that leave less of a side than this are a dark picture.
_LEAST = 0.3


def find_picture(frames: Tensor) -> tuple[slice, slice]:
    """Find what lies within the black bars of a picture, or of a clip without cuts.

    A bar is made of rows or columns at the frame's border that are black in every frame, but for a few stray pixels;
    where there is one, the other side's may hold a text. What is dark and leaves little is taken for a part of the
    picture.

    Args:
        frames: (B, C, H, W) in [0, 1], any floating dtype.

    Returns:
        The rows and the columns of the picture.

    Raises:
        ValueError: another shape.
    """
    expect_shape("frames", frames, "B C H W")
    rows, columns = [], []
    for frame in frames:
        black = frame.amax(0) <= _BLACK
        rows.append(black.float().mean(1))
        columns.append(black.float().mean(0))
    return _inside(torch.stack(rows).amin(0)), _inside(torch.stack(columns).amin(0))


def _inside(black: Tensor) -> slice:
    """The part between the bars, by how much of every line is black."""
    size = len(black)
    first, last = _bar(black, _ALL), _bar(black.flip(0), _ALL)
    wide = max(first, last)
    first = max(first, min(_bar(black, _WITH_TEXT), wide))
    last = max(last, min(_bar(black.flip(0), _WITH_TEXT), wide))
    return slice(first, size - last) if size - first - last >= _LEAST * size else slice(0, size)


def _bar(black: Tensor, share: float) -> int:
    return int((black >= share).int().cumprod(0).sum())
