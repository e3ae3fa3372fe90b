"""Long clips in overlapping windows, and the clip put together again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def plan_windows(frames: int, window: int, overlap: int) -> list[slice]:
    """Cut a clip into windows of equal length.

    Args:
        frames: of the clip.
        window: frames of one window; 0, or no fewer than the clip has, takes the whole clip at once.
        overlap: frames that a window shares with the one before; the last may share more, since it ends with the clip.

    Returns:
        The windows in order, every frame in at least one.

    Raises:
        ValueError: ``window`` is below 0, or ``overlap`` not shorter than ``window``.
    """
    if window < 0:
        raise ValueError(f"window: got {window}. Give a number of frames, or 0 for the whole clip.")
    if window == 0 or window >= frames:
        return [slice(0, frames)]
    if not 0 <= overlap < window:
        raise ValueError(f"overlap: {overlap} frames of a window of {window}. Give 0 to {window - 1}.")
    starts = [*range(0, frames - window, window - overlap), frames - window]
    return [slice(start, start + window) for start in starts]


def blend_windows(pieces: Sequence[Tensor], windows: Sequence[slice]) -> Tensor:
    """Put windows together, each fading linearly into the next over the frames they share.

    Args:
        pieces: (n, ...) frames of each window.
        windows: where they lie, in order, as ``plan_windows`` gives them.

    Returns:
        (T, ...) the clip. Where windows agree, their common value to the bit.
    """
    clip = pieces[0].new_empty(windows[-1].stop, *pieces[0].shape[1:])
    done = 0
    for piece, window in zip(pieces, windows, strict=True):
        shared = done - window.start
        clip[window.start : done] = fade(clip[window.start : done], piece[:shared])
        clip[done : window.stop] = piece[shared:]
        done = window.stop
    return clip


def fade(old: Tensor, new: Tensor) -> Tensor:
    """Fade linearly from one clip into another.

    Args:
        old: (n, ...) frames.
        new: the same shape.

    Returns:
        (n, ...) frame ``i`` is ``old`` and ``new`` in parts of ``1 - (i + 1) / (n + 1)`` and ``(i + 1) / (n + 1)``: the
        frames lie between the last that is only old and the first that is only new.
    """
    share = torch.arange(1, len(old) + 1, device=old.device, dtype=old.dtype) / (len(old) + 1)
    return torch.lerp(old, new, share.view(-1, *(1,) * (old.ndim - 1)))
