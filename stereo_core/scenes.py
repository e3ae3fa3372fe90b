"""Where a clip cuts to another scene."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class CutState:
    """What the frames so far leave for the next: to be kept, saved and taken up again, of one size for any clip.

    Attributes:
        thumbnails: (n, rows, columns) of the last two frames, or of the first one.
        changed: the last frame starts a scene, unless the next one shows that it was a flash.
    """

    thumbnails: Tensor
    changed: bool


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
    starts, state = follow_cuts(torch.cat([thumbnail(frame) for frame in images]))
    return torch.tensor([*starts, state.changed], device=images.device)


def follow_cuts(thumbnails: Tensor, state: CutState | None = None) -> tuple[list[bool], CutState]:
    """Go on through the frames of a clip, as :func:`find_scene_starts` does through all of them, to the bit.

    Whether a frame starts a scene is told once the next one is there; of the last frame of a clip the state tells it.

    Args:
        thumbnails: (n, rows, columns) of the next frames, at least one; see :func:`thumbnail`.
        state: that of the frames before; ``None`` at the start of the clip.

    Returns:
        For each frame not told of before, up to the last but one, whether it starts a scene; and the state for the
        next frames.
    """
    told = 0
    if state is not None:
        told, thumbnails = len(state.thumbnails) - 1, torch.cat([state.thumbnails, thumbnails])
    starts = torch.ones(len(thumbnails), dtype=torch.bool, device=thumbnails.device)
    starts[1:] = _difference(thumbnails[:-1], thumbnails[1:]) > _CUT
    if state is not None:
        starts[told] = state.changed
    across = _difference(thumbnails[:-2], thumbnails[2:]) > _CUT
    starts[1:-1] &= across
    starts[2:] &= across
    *decided, changed = starts[told:].tolist()
    return decided, CutState(thumbnails[-2:], changed)


def thumbnail(frame: Tensor) -> Tensor:
    """Return what cuts are found from, (1, rows, columns) float32, of a frame (C, H, W) in [0, 1]."""
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
