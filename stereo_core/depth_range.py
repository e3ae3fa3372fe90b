"""From raw depth maps to inverse depth in [0, 1] whose range holds still over a clip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import reduce

import torch
from torch import Tensor

from .checks import expect_finite, expect_shape

# Percentiles are taken over about this many pixels of a frame.
_SAMPLES = 1 << 16
FARTHEST = 10_000.0
"""Metres beyond which eyes and cameras cannot tell distances from infinity, where the sky is."""
# What a map without any depth becomes: the middle, which the default convergence places on the screen.
_FLAT = 0.5


class DepthRange(str, Enum):
    """What is given one range, within which depths keep their relations: a scene, the whole clip, or a single image."""

    SCENE = "scene"
    CLIP = "clip"
    IMAGE = "image"


@dataclass(frozen=True)
class RangeState:
    """The range of the frames of a scene so far: to be kept, saved and taken up again, of one size for any scene.

    Attributes:
        last: low and high of the last two frames, or of the first one.
        widest: lowest low and highest high of the medians over three frames; ``None`` before there are three frames.
    """

    last: Sequence[tuple[float, float]] = ()
    widest: tuple[float, float] | None = None

    def add(self, bounds: tuple[float, float]) -> RangeState:
        """Go on to the next frame, whose low and high these are; see :func:`frame_bounds`."""
        three = [*self.last, bounds]
        if len(three) < 3:
            return RangeState(three)
        low, high = (sorted(values)[1] for values in zip(*three, strict=True))
        if self.widest is not None:
            low, high = min(low, self.widest[0]), max(high, self.widest[1])
        return RangeState(three[1:], (low, high))

    @property
    def range(self) -> tuple[float, float]:
        """What becomes 0 and what becomes 1 if the scene ends here, at least one frame after its start."""
        if self.widest is not None:
            return self.widest
        lows, highs = zip(*self.last, strict=True)
        return min(lows), max(highs)


def inverse_depth_from_metric(depth: Tensor) -> Tensor:
    """Turn metric depth into inverse depth, 1 / metre.

    Args:
        depth: (B, 1, H, W) in metres, far is large, any floating dtype. Infinity is the sky. Zero, negative values
            and NaN stand for unknown depth, as sensors and models write them.

    Returns:
        (B, 1, H, W) float32, finite and not negative: 0 for the sky, and for unknown depth, which thus stays in the
        background.

    Raises:
        ValueError: the shape does not fit.

    Source:
        StereoDiffusion (Wang et al., CVPRW 2024), Eq. 2, up to scale.
    """
    expect_shape("depth", depth, "B 1 H W")
    metres = depth.float()
    return torch.where(metres > 0, 1 / metres.clamp_min(torch.finfo(torch.float32).tiny), 0)


def normalize_inverse_depth(
    raw: Tensor,
    range: DepthRange = DepthRange.SCENE,
    scene_starts: Tensor | None = None,
    percentile: float = 0.5,
    areas: Sequence[tuple[slice, slice]] | None = None,
) -> Tensor:
    """Normalise relative inverse depth to [0, 1] with one range for each scene, clip or image.

    A low and a high percentile is taken of every frame; a median over three frames drops outliers of single frames;
    the range goes from the lowest low to the highest high of the scene, and values beyond it are clamped. So frames
    keep their depth relative to each other: a near object that enters does not push the background away.

    Args:
        raw: (B, 1, H, W), larger is nearer, any scale and shift, any floating dtype; B are the frames of a clip.
        range: what is given one range; with ``scene``, every cut starts a new one.
        scene_starts: (B,) bool, true where a scene starts, as :func:`scenes.find_scene_starts` gives them; ``None``
            is one scene.
        percentile: how much of a frame is clipped at either end, in percent, from 0 to below 50.
        areas: for each frame the rows and columns that the range is taken from, without bars; ``None`` for all.
            Values elsewhere are clamped to that range.

    Returns:
        (B, 1, H, W) in [0, 1], the dtype of ``raw``. A scene that is flat to within rounding, apart from what is
        clipped, becomes 0.5.

    Raises:
        ValueError: a shape does not fit, values are not finite, or an option is out of its range.
    """
    return apply_ranges(raw, inverse_depth_ranges(raw, range, scene_starts, percentile, areas))


def inverse_depth_ranges(
    raw: Tensor,
    range: DepthRange = DepthRange.SCENE,
    scene_starts: Tensor | None = None,
    percentile: float = 0.5,
    areas: Sequence[tuple[slice, slice]] | None = None,
) -> Tensor:
    """Find the range of each frame that :func:`normalize_inverse_depth` stretches, with the same arguments.

    Returns:
        (B, 2) float32: what becomes 0, and what becomes 1.

    Raises:
        ValueError: a shape does not fit, values are not finite, or an option is out of its range.
    """
    range = DepthRange(range)
    expect_shape("raw", raw, "B 1 H W")
    frames = raw.shape[0]
    if scene_starts is not None:
        expect_shape("scene_starts", scene_starts, "B", B=frames)
    within = [None] * frames if areas is None else areas
    bounds = [frame_bounds(frame, percentile, area) for frame, area in zip(raw, within, strict=True)]
    ranges = torch.empty(frames, 2, device=raw.device)
    for first, last in _spans(range, frames, scene_starts):
        ranges[first:last] = torch.tensor(reduce(RangeState.add, bounds[first:last], RangeState()).range)
    return ranges


def frame_bounds(
    frame: Tensor, percentile: float = 0.5, area: tuple[slice, slice] | None = None
) -> tuple[float, float]:
    """Find the low and the high percentile of one frame, from which :class:`RangeState` makes the range of a scene.

    Args:
        frame: (1, H, W) raw inverse depth, any floating dtype.
        percentile, area: as for :func:`normalize_inverse_depth`.

    Raises:
        ValueError: values are not finite, or ``percentile`` is out of its range.
    """
    if not 0 <= percentile < 50:
        raise ValueError(f"percentile: got {percentile}. Give percent, from 0 to below 50.")
    expect_finite("raw", frame)
    if area is not None:
        frame = frame[:, area[0], area[1]]
    step = math.ceil(math.sqrt(frame.numel() / _SAMPLES))  # an even grid of the pixels
    quantiles = frame.new_tensor([percentile / 100, 1 - percentile / 100], dtype=torch.float32)
    start = min(step // 2, min(frame.shape[1:]) - 1)
    low, high = frame[0, start::step, start::step].float().flatten().quantile(quantiles).tolist()
    return low, high


def apply_ranges(raw: Tensor, ranges: Tensor) -> Tensor:
    """Stretch each frame of (B, 1, H, W) from its range (B, 2) to [0, 1], in the dtype of ``raw``; flat ones to 0.5."""
    normalized = torch.empty_like(raw)
    for source, target, (low, high) in zip(raw, normalized, ranges.tolist(), strict=True):
        if high - low <= 4 * torch.finfo(raw.dtype).eps * max(abs(low), abs(high)):
            target.fill_(_FLAT)
        else:
            target.copy_(source.float().sub(low).div_(high - low).clamp_(0, 1))
    return normalized


def metric_distances(ranges: Tensor) -> tuple[float, float] | None:
    """Tell how far away is what becomes 1 and what becomes 0, in metres.

    Args:
        ranges: (B, 2), of inverse depth in 1 / metre, as :func:`inverse_depth_ranges` gives them.

    Returns:
        The nearest and the farthest distance, at most ``FARTHEST``; ``None`` where frames differ in their range, so
        that no distance belongs to a value, or where nothing is deep.
    """
    far, near = max(ranges[0, 0].item(), 1 / FARTHEST), ranges[0, 1].item()
    if (ranges != ranges[0]).any() or not near > far:
        return None
    return 1 / near, 1 / far


def _spans(range: DepthRange, frames: int, scene_starts: Tensor | None) -> list[tuple[int, int]]:
    """First frame and end of every group of frames with a range of its own."""
    if range is DepthRange.IMAGE:
        cuts = torch.arange(1, frames).tolist()
    elif range is DepthRange.CLIP or scene_starts is None:
        cuts = []
    else:
        cuts = [index + 1 for index in scene_starts[1:].nonzero().flatten().tolist()]
    return list(zip([0, *cuts], [*cuts, frames], strict=True))
