"""Removal of the scale and shift jitter that frame-by-frame depth models have."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .checks import expect_finite, expect_shape

# Fits are made on an even grid of at most this many rows and columns.
_GRID = 160
# A neighbourhood of this many grid points can show whether anything moved when its grey values differ by so much
# (values in [0, 1]); it stood still when no colour in it changed by more than that.
_NEIGHBOURHOOD = 5
_TEXTURE = 0.1
_SAME_COLOUR = 0.02
# The camera stood still when at least this share of the textured points did: 0.85 and more in locked-off shots,
# below 0.3 under the slowest pans and dollies tried. And a fit needs this share of all points.
_STILL_SHARE = 0.5
_ENOUGH = 0.01
# One frame's correction may scale by this at most against the one before, and by its third power in all.
_MAX_SCALE = 2.0
_ROUNDS = 10


class _Correction(NamedTuple):
    """corrected = raw + gain * raw + offset; both exactly 0 where nothing is to be done."""

    gain: float = 0.0
    offset: float = 0.0

    def apply(self, raw: Tensor) -> Tensor:
        return raw + (raw * self.gain + self.offset)


def stabilize(raw: Tensor, images: Tensor, scene_starts: Tensor | None = None) -> Tensor:
    """Take out of a clip the scale and shift that a frame-by-frame depth model gives each frame anew.

    Within a scene every frame's inverse depth is fitted, by a robust affine map, to the corrected frame before it,
    over the points that did not move: whose textured neighbourhood kept its colour. With less than half of the
    textured points still, as under a moving camera, the correction before is carried on. The fit is symmetric
    (reduced major axis: the ratio of the deviations), so that noise does not flatten the depth over a long clip as
    least squares would, and is weighted against points that move in depth alone. A scene's first frame stays as it
    is, and so do the frames after it, to the bit, while neither picture nor depth changes.

    Limits: jitter that is not affine stays, and so does jitter while the camera moves or in a picture without
    texture; under a camera so slow that neighbouring frames look alike (about a thousandth of the width a frame), a
    true change of scale is taken for jitter.

    Args:
        raw: (B, 1, h, w) relative inverse depth, any scale and shift for each frame, any floating dtype.
        images: (B, C, H, W) in [0, 1], the frames that it was made from, of any size of the same shape.
        scene_starts: (B,) bool, true where a scene starts; ``None`` is one scene.

    Returns:
        (B, 1, h, w), the dtype of ``raw``.

    Raises:
        ValueError: a shape does not fit, or values are not finite.
    """
    expect_shape("raw", raw, "B 1 H W")
    frames, _, height, width = raw.shape
    expect_shape("images", images, "B C H W", B=frames)
    starts = [False] * frames
    if scene_starts is not None:
        expect_shape("scene_starts", scene_starts, "B", B=frames)
        starts = scene_starts.tolist()

    grid = (min(height, _GRID), min(width, _GRID))
    stable = torch.empty_like(raw)
    correction = _Correction()
    points_before = colours_before = raw.new_empty(0)
    for index in range(frames):
        frame = raw[index : index + 1]
        expect_finite("raw", frame)
        depth = frame if frame.dtype == torch.float64 else frame.float()
        points = functional.interpolate(depth, size=grid, mode="nearest-exact")
        colours = functional.adaptive_avg_pool2d(images[index : index + 1].float(), grid).to(raw.device)
        if index == 0 or starts[index]:
            correction = _Correction()
        else:
            still = _still_points(colours_before, colours)
            if still is not None:
                correction = _follow(points_before[still], points[still], correction)
        points_before, colours_before = correction.apply(points), colours
        stable[index] = correction.apply(depth)[0]
    return stable


def _still_points(before: Tensor, now: Tensor) -> Tensor | None:
    """(1, 1, h, w) bool, true where a textured neighbourhood kept its colour; ``None`` if the camera moved."""
    pad = _NEIGHBOURHOOD // 2
    grey = now.mean(dim=1, keepdim=True)
    high = functional.max_pool2d(grey, _NEIGHBOURHOOD, 1, pad)
    low = -functional.max_pool2d(-grey, _NEIGHBOURHOOD, 1, pad)
    change = functional.max_pool2d((now - before).abs().amax(dim=1, keepdim=True), _NEIGHBOURHOOD, 1, pad)
    textured = high - low > _TEXTURE
    still = textured & (change < _SAME_COLOUR)
    points = still.sum().item()
    if points < _STILL_SHARE * textured.sum().item() or points < max(_ENOUGH * still.numel(), 2):
        return None
    return still


def _follow(target: Tensor, points: Tensor, correction: _Correction) -> _Correction:
    """Refine ``correction`` so that it takes ``points`` (N,) to ``target`` (N,); keep it if the fit is not sane."""
    expected = correction.apply(points)
    scale, shift = _fit(expected, target)
    gain = scale * (1 + correction.gain) - 1
    if not 1 / _MAX_SCALE <= scale <= _MAX_SCALE or not _MAX_SCALE**-3 <= 1 + gain <= _MAX_SCALE**3:
        return correction
    if scale == 1:  # adds exactly nothing where the depth did not change
        return _Correction(correction.gain, correction.offset + shift)
    return _Correction(gain, scale * correction.offset + shift)


def _fit(source: Tensor, target: Tensor) -> tuple[float, float]:
    """Scale and shift from ``source`` to ``target``, both (N,), by the reduced major axis with Tukey's weights."""
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
