"""Removal of the jitter in scale and shift that frame-by-frame depth models show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .checks import expect_finite, expect_shape
from .depth_tracking import track_points

# Fits are made on an even grid of at most this many rows and columns.
_GRID = 160
# A neighbourhood of this many grid points in each direction shows whether anything moved if its grey values (in [0, 1])
# differ by more than _TEXTURE; it stood still if none of its colours changed by more than _SAME_COLOUR.
_NEIGHBOURHOOD = 5
_TEXTURE = 0.1
_SAME_COLOUR = 0.02
# The camera stood still if at least this fraction of the textured points did: 0.85 and more in locked-off shots, below
# 0.3 in the slowest pans and dollies tried. A fit also needs this fraction of all points.
_STILL_FRACTION = 0.5
_ENOUGH = 0.01
# From one frame to the next the scale may change by this factor at most, and by its third power in all.
_MAX_SCALE = 2.0
# Of a correction that was found along the motion, this much is forgotten with every frame, so that errors of the flow
# do not add up over a long shot: half of it in 35 frames.
_FORGOTTEN = 0.02
_ROUNDS = 10


class _Correction(NamedTuple):
    """corrected = raw + gain * raw + offset; both are exactly 0 where nothing is to be corrected."""

    gain: float = 0.0
    offset: float = 0.0

    def apply(self, raw: Tensor) -> Tensor:
        return raw + (raw * self.gain + self.offset)

    def faded(self) -> _Correction:
        return _Correction(self.gain * (1 - _FORGOTTEN), self.offset * (1 - _FORGOTTEN))


@dataclass(frozen=True)
class SteadyState:
    """What the frame before leaves for the next: to be kept, saved and taken up again, of one size for any clip.

    Attributes:
        gain, offset: of its correction, corrected = raw + gain * raw + offset.
        points: (1, 1, h, w) its corrected depth on the grid of the fits, at most 160x160.
        colours: (1, C, h, w) its picture on the same grid.
    """

    gain: float
    offset: float
    points: Tensor
    colours: Tensor


def stabilize(raw: Tensor, images: Tensor, scene_starts: Tensor | None = None) -> Tensor:
    """Remove from a clip the changes of scale and shift that a frame-by-frame depth model makes between frames.

    Within a scene every frame's inverse depth is fitted, by a robust affine map, to the corrected frame before it,
    over the points that did not move: those whose textured neighbourhood kept its colour. If fewer than half of the
    textured points stood still, as under a moving camera, points are followed along the optical flow, and where the
    picture grows they come nearer with it; such corrections fade by 2 % with every frame, so that the depth that is
    estimated has the last word over a long shot. Where the flow finds too few of the points again, the correction of
    the frame before is kept. The fit is
    symmetric (reduced major axis: the ratio of the stds), so that noise does not flatten the depth over a long clip,
    as it would with least squares, and its weights reject points that move in depth alone. A scene's first frame
    stays as it is, and so do the frames after it, bit for bit, as long as neither picture nor depth changes.

    Limits: jitter that is not affine stays, and so does jitter in a picture without texture; under a camera so slow
    that neighbouring frames look alike (about a thousandth of the width per frame), a true change of scale is taken
    for jitter; and a lens that zooms for a camera that comes nearer.

    Args:
        raw: (B, 1, h, w) relative inverse depth, any scale and shift for each frame, any floating dtype.
        images: (B, C, H, W) in [0, 1], the frames that it was made from, of any size with the same aspect ratio.
        scene_starts: (B,) bool, true where a scene starts; ``None`` is one scene.

    Returns:
        (B, 1, h, w), the dtype of ``raw``.

    Raises:
        ValueError: a shape does not fit, or values are not finite.
    """
    expect_shape("raw", raw, "B 1 H W")
    frames = len(raw)
    expect_shape("images", images, "B C H W", B=frames)
    starts = [False] * frames
    if scene_starts is not None:
        expect_shape("scene_starts", scene_starts, "B", B=frames)
        starts = scene_starts.tolist()

    stable = torch.empty_like(raw)
    state = None
    for index in range(frames):
        one = slice(index, index + 1)
        stable[one], state = steady_frame(raw[one], images[one], None if starts[index] else state)
    return stable


def steady_frame(raw: Tensor, image: Tensor, state: SteadyState | None) -> tuple[Tensor, SteadyState]:
    """Steady the next frame of a clip, as :func:`stabilize` does for all of them, to the bit.

    Args:
        raw: (1, 1, h, w) relative inverse depth, any floating dtype.
        image: (1, C, H, W) in [0, 1], the frame that it was made from.
        state: that of the frame before; ``None`` where a scene starts.

    Returns:
        The steadied frame, of the dtype of ``raw``, and the state for the next.

    Raises:
        ValueError: values are not finite.
    """
    expect_finite("raw", raw)
    depth = raw if raw.dtype == torch.float64 else raw.float()
    grid = (min(raw.shape[2], _GRID), min(raw.shape[3], _GRID))
    points = functional.interpolate(depth, size=grid, mode="nearest-exact")
    colours = functional.adaptive_avg_pool2d(image.float(), grid).to(raw.device)
    correction = _Correction()
    if state is not None:
        correction = _Correction(state.gain, state.offset)
        textured, still = _still_points(state.colours, colours)
        if still is not None:
            correction = _follow(state.points[still], points[still], correction)
        else:
            moved = track_points(state.points, state.colours, points, colours, textured)
            if moved is not None:
                correction = _follow(*moved, correction).faded()
    after = SteadyState(*correction, correction.apply(points), colours)
    return correction.apply(depth).to(raw.dtype), after


def _still_points(before: Tensor, now: Tensor) -> tuple[Tensor, Tensor | None]:
    """(1, 1, h, w) bool where a neighbourhood is textured, and where it kept its colour; ``None`` if too few did."""
    pad = _NEIGHBOURHOOD // 2
    grey = now.mean(dim=1, keepdim=True)
    high = functional.max_pool2d(grey, _NEIGHBOURHOOD, 1, pad)
    low = -functional.max_pool2d(-grey, _NEIGHBOURHOOD, 1, pad)
    change = functional.max_pool2d((now - before).abs().amax(dim=1, keepdim=True), _NEIGHBOURHOOD, 1, pad)
    textured = high - low > _TEXTURE
    still = textured & (change < _SAME_COLOUR)
    points = still.sum().item()
    if points < _STILL_FRACTION * textured.sum().item() or points < max(_ENOUGH * still.numel(), 2):
        return textured, None
    return textured, still


def _follow(target: Tensor, points: Tensor, correction: _Correction) -> _Correction:
    """Refine ``correction`` so that it takes ``points`` (N,) to ``target`` (N,); keep it if the fit is implausible."""
    expected = correction.apply(points)
    scale, shift = _fit(expected, target)
    gain = scale * (1 + correction.gain) - 1
    if not 1 / _MAX_SCALE <= scale <= _MAX_SCALE or not _MAX_SCALE**-3 <= 1 + gain <= _MAX_SCALE**3:
        return correction
    return _Correction(gain, scale * correction.offset + shift)


def _fit(source: Tensor, target: Tensor) -> tuple[float, float]:
    """Fit scale and shift from ``source`` to ``target``, both (N,), by reduced major axis with Tukey's biweight."""
    scale, shift = 1.0, (target - source).median().item()
    centre_source, centre_target = source.median(), target.median()
    spread = (source - centre_source).abs().median().item()
    if spread > 0:
        scale = (target - centre_target).abs().median().item() / spread
        shift = centre_target.item() - scale * centre_source.item()
    for _ in range(_ROUNDS):
        residual = (target - (scale * source + shift)).abs()
        reach = 4.685 * 1.4826 * residual.median()
        if reach == 0:
            break
        weight = (1 - (residual / reach).clamp(max=1).square()).square()
        total = weight.sum()
        mean_source, mean_target = (weight * source).sum() / total, (weight * target).sum() / total
        variance = (weight * (source - mean_source).square()).sum().item()
        if variance == 0:
            break
        scale = ((weight * (target - mean_target).square()).sum().item() / variance) ** 0.5
        shift = (mean_target - scale * mean_source).item()
    return scale, shift
