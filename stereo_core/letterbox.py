"""Black bars around a picture, which are no part of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import and_

import torch
from torch import Tensor

from .checks import expect_shape

# Of 1: video's black, which may lie at 16 of 255, and its noise stay below it.
_BLACK = 0.08
# So much of a bar's row is black in every frame; and so much across from another bar, for subtitles lie there.
_ALL, _WITH_TEXT = 0.98, 0.5
# Bars that leave less of a side than this are a dark picture.
_LEAST = 0.3


@dataclass(frozen=True)
class BlackLines:
    """How much of each line has been black in all frames so far: to be kept, saved and taken up again.

    Attributes:
        rows: (H,) float32, the least fraction of each row that was black in a frame.
        columns: (W,) of each column.
    """

    rows: Tensor
    columns: Tensor

    @classmethod
    def of(cls, frame: Tensor) -> BlackLines:
        """Look at one frame (C, H, W) in [0, 1]."""
        black = (frame.amax(0) <= _BLACK).float()
        return cls(black.mean(1), black.mean(0))

    def __and__(self, other: BlackLines) -> BlackLines:
        """Add what other frames of the same scene show, in any order."""
        return BlackLines(torch.minimum(self.rows, other.rows), torch.minimum(self.columns, other.columns))

    def picture(self) -> tuple[slice, slice]:
        """Return the rows and the columns within the bars, as :func:`find_picture` does."""
        return _inside(self.rows), _inside(self.columns)


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
    return reduce(and_, map(BlackLines.of, frames)).picture()


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
