"""What looks wrong with a depth map before anything is shifted by it."""

from __future__ import annotations

from enum import Enum

import torch
from torch import Tensor
from torch.nn import functional

from .checks import expect_shape

# Maps are looked at on thumbnails of at most so many pixels a side.
_SIDE = 256
# JPEG and video make grey slightly coloured; colour maps differ by far more between channels.
_COLOUR = 0.05
# Below this range, outliers apart, nothing is deep: five of 256 levels.
_RANGE = 0.02
# A mask has two levels but for the soft edge between them.
_LEVEL, _SHARE = 0.02, 0.98
# Correlation of a map with the brightness of its own picture, above which it is that picture.
_SAME = 0.995


class Doubt(str, Enum):
    """A reason to doubt a depth map."""

    COLOURED = "coloured"
    """Its channels differ: a map in false colours."""
    FLAT = "flat"
    """It has no range."""
    MASK = "mask"
    """It has two levels: a mask."""
    PICTURE = "picture"
    """It is the picture itself."""


def doubt_depth(depth: Tensor, picture: Tensor | None = None) -> tuple[Doubt, ...]:
    """Look for what is wrong with depth maps.

    Args:
        depth: (N, 3, H, W) in [0, 1], as given.
        picture: (B, 3, H', W') in [0, 1], what they are the depth of, where that is known.

    Returns:
        What holds of the first map, of a clip that goes on like it; most often nothing.

    Raises:
        ValueError: another shape.
    """
    expect_shape("depth", depth, "N 3 H W")
    first = _thumbnail(depth[:1])
    grey = first.mean(1, keepdim=True)
    doubts = []
    if (first.amax(1) - first.amin(1)).mean() > _COLOUR:
        doubts.append(Doubt.COLOURED)
    low, high = grey.flatten().quantile(torch.tensor([0.01, 0.99], device=grey.device)).tolist()
    if high - low < _RANGE:
        doubts.append(Doubt.FLAT)
    elif ((grey < low + _LEVEL) | (grey > high - _LEVEL)).float().mean() > _SHARE:
        doubts.append(Doubt.MASK)
    if picture is not None and high - low >= _RANGE:
        expect_shape("picture", picture, "B 3 H W")
        shown = functional.interpolate(_thumbnail(picture[:1]), size=grey.shape[-2:], mode="area").mean(1, keepdim=True)
        if torch.corrcoef(torch.stack([shown.flatten(), grey.flatten()]))[0, 1] > _SAME:
            doubts.append(Doubt.PICTURE)
    return tuple(doubts)


def _thumbnail(picture: Tensor) -> Tensor:
    size = [min(side, _SIDE) for side in picture.shape[-2:]]
    return functional.interpolate(picture.float(), size=size, mode="nearest-exact")
