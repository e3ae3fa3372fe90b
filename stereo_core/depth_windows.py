"""Depth of long clips from a network that takes a window of frames at once: Video Depth Anything's key frames.

Chen et al., Video Depth Anything, CVPR 2025 (arXiv 2501.12375), section 3.3. Every window begins with frames that
were in the window before: two far back, which carry scale and shift on, and eight that lead into the new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

WINDOW = 32
"""Frames that the network takes at once."""

_KEY_FRAMES = (0, 12, *range(24, WINDOW))  # of a window, with which the next begins
_SHARED = len(_KEY_FRAMES)
_FADED = 8  # the last frames of a window, which fade into the same frames of the next
_FITTED = _SHARED - _FADED
_STEP = WINDOW - _SHARED


def _later_starts(frames: int) -> range:
    """Return where the windows after the first start; one that ends with its two far frames would change nothing."""
    return range(_STEP, frames - _FITTED, _STEP)


def clip_depth(frames: int, estimate: Callable[[Sequence[int]], Tensor], metric: bool) -> Iterator[Tensor]:
    """Estimate the depth of a clip of any length, window by window; no more than a window is held at once.

    Args:
        frames: of the clip.
        estimate: gives (``WINDOW``, ...) depth, not below 0, of the frames of the clip with these numbers, which may
            repeat: a clip that ends within a window is filled up with its last frame.
        metric: whether depth has a scale of its own. Otherwise every window is brought to that of the first by the
            least squares of scale and shift over the two far frames.

    Yields:
        Depth of the next frames (n, ...), in order.
    """
    last = frames - 1
    window = [min(number, last) for number in range(WINDOW)]
    depth = estimate(window)
    # The first frame stays in every window, and so does its depth as what the others are fitted to.
    far = [depth[number] for number in _KEY_FRAMES[:_FITTED]]
    left = frames
    for start in _later_starts(frames):
        yield depth[:-_FADED]
        left -= len(depth) - _FADED
        window = [window[k] for k in _KEY_FRAMES] + [min(start + k, last) for k in range(_SHARED, WINDOW)]
        raw = estimate(window)
        scale, shift = (1.0, 0.0) if metric else _fit(raw[:_FITTED], torch.stack(far))
        raw = (raw * scale + shift).clamp(min=0)
        far[1:] = [raw[number] for number in _KEY_FRAMES[1:_FITTED]]
        share = torch.linspace(0, 1, _FADED, dtype=raw.dtype, device=raw.device).view(-1, *(1,) * (raw.ndim - 1))
        faded = torch.lerp(depth[-_FADED:], raw[_FITTED:_SHARED], share)
        depth = torch.cat([faded, raw[_SHARED:]])
    yield depth[:left]


def _fit(source: Tensor, target: Tensor) -> tuple[float, float]:
    """Return the scale and shift that bring ``source`` nearest to ``target``; depth without any relief is kept."""
    source, target = source.double(), target.double()
    mean_source, mean_target = source.mean(), target.mean()
    variance = (source - mean_source).square().mean()
    if variance == 0:
        return 1.0, 0.0
    scale = ((source - mean_source) * (target - mean_target)).mean() / variance
    return scale.item(), (mean_target - scale * mean_source).item()
