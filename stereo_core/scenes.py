"""Where a clip cuts to another scene."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .checks import expect_shape

# Frames are compared as grey thumbnails of so many rows and columns, shifted against each other by up to so many.
_ROWS, _COLUMNS = 18, 32
_SHIFT_ROWS, _SHIFT_COLUMNS = 2, 4
# Below this contrast (variance of grey in [0, 1]) frames count as empty rather than as different.
_EMPTY = 0.03**2
# 0 is equal, 1 unrelated. Frames of one shot, up to 16 frames of fast motion apart, stay below 0.2; cuts exceed 0.55.
_CUT = 0.5


def find_scene_starts(images: Tensor) -> Tensor:
    """Find the frames at which a new scene starts.

    Two frames are compared by the normalised correlation of their thumbnails (SSIM without its luminance term; Wang
    et al., 2004) under the shift that fits best, so that exposure and camera pans make little difference. A frame
    starts a scene if it differs from the frame before, and if each of these two also differs from the frame beyond
    the other: a flash of one frame starts none.

    Limits: dissolves and fades do not count as cuts; a cut between two takes of nearly the same picture is missed; two
    bad frames in a row split the clip; an object that suddenly fills most of the frame may count as a cut.

    Args:
        images: (B, C, H, W) in [0, 1], the frames of a clip, any floating dtype.

    Returns:
        (B,) bool on the device of ``images``, true where a scene starts; the first frame always does.

    Raises:
        ValueError: the shape does not fit.
    """
    expect_shape("images", images, "B C H W")
    thumbnails = torch.cat([_thumbnail(frame) for frame in images])  # (B, rows, columns)
    frames = len(thumbnails)
    starts = torch.zeros(frames, dtype=torch.bool, device=images.device)
    starts[0] = True
    if frames == 1:
        return starts
    change = _difference(thumbnails[:-1], thumbnails[1:])
    starts[1:] = change > _CUT
    if frames > 2:
        across = _difference(thumbnails[:-2], thumbnails[2:])
        starts[1:-1] &= across > _CUT
        starts[2:] &= across > _CUT
    return starts


def _thumbnail(frame: Tensor) -> Tensor:
    return functional.adaptive_avg_pool2d(frame.float().mean(dim=0, keepdim=True), (_ROWS, _COLUMNS))


def _difference(first: Tensor, second: Tensor) -> Tensor:
    """(N,) 0 equal to 1 unrelated, under the best shift of ``first`` against ``second``, both (N, rows, columns)."""
    best = first.new_full((len(first),), -1.0)
    for down in range(-_SHIFT_ROWS, _SHIFT_ROWS + 1):
        for right in range(-_SHIFT_COLUMNS, _SHIFT_COLUMNS + 1):
            one = _part(first, down, right)
            two = _part(second, -down, -right)
            one, two = (t - t.mean(dim=1, keepdim=True) for t in (one, two))
            covariance = (one * two).mean(dim=1)
            contrast = one.square().mean(dim=1) + two.square().mean(dim=1)
            best = torch.maximum(best, (2 * covariance + _EMPTY) / (contrast + _EMPTY))
    return 1 - best


def _part(thumbnails: Tensor, down: int, right: int) -> Tensor:
    rows = slice(max(0, down), _ROWS + min(0, down))
    columns = slice(max(0, right), _COLUMNS + min(0, right))
    return thumbnails[:, rows, columns].flatten(1)
