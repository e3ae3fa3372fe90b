"""Black bars around a picture, which are no part of it."""

from __future__ import annotations

import torch
from torch import Tensor

from .checks import expect_shape

# Of 1: video's black and its noise stay below it.
_BLACK = 0.05
# Bars that leave less of a side than this are a dark picture.
_LEAST = 0.3


def find_picture(frames: Tensor) -> tuple[slice, slice]:
    """Find what lies within the black bars of a picture or clip.

    A bar is made of rows or columns at the frame's border that are black in every frame. What is dark and leaves
    little is taken for a part of the picture.

    Args:
        frames: (B, C, H, W) in [0, 1], any floating dtype.

    Returns:
        The rows and the columns of the picture.

    Raises:
        ValueError: another shape.
    """
    expect_shape("frames", frames, "B C H W")
    rows = torch.stack([frame.amax((0, 2)) for frame in frames]).amax(0)
    columns = torch.stack([frame.amax((0, 1)) for frame in frames]).amax(0)
    return _inside(rows), _inside(columns)


def _inside(brightest: Tensor) -> slice:
    shown = (brightest > _BLACK).nonzero().flatten().tolist()
    size = len(brightest)
    if not shown or shown[-1] + 1 - shown[0] < _LEAST * size:
        return slice(0, size)
    return slice(shown[0], shown[-1] + 1)
