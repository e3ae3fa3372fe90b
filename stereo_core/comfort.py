"""How comfortable a stereo picture or clip is to look at: measured on its disparity, or on its finished views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .checks import expect_finite, expect_shape
from .eye_order import eye_order, scaled
from .optical_flow import optical_flow, sample_along

# Disparity is counted in steps of a 10,000th of the width.
_STEPS = 10_000
# The outer columns on either side, as a share of the width, in which nothing should stand before the screen.
_EDGE = 0.02
# Nearer to the screen than this share of the width nobody sees a window cut.
_CUT = 0.001
MATCHED_WIDTH = 640
"""Finished views are matched at this width at most."""
# They are trusted where the way there and back ends where it began, in pixels of that width.
_ROUND_TRIP = 1.0
# Disparity that varies less, in pixels of that width, is too flat to be compared with a depth map.
_FLAT = 0.5
# The order of views is told from so much evidence on; photographed pairs, in order, have more than this (tests).
_LEAST_WEIGHT, _ORDER = 100.0, 0.03


class Spread(NamedTuple):
    """Disparity of most of a picture or clip, shares of the width, positive in front of the screen.

    Attributes:
        low: the 1st percentile, what is far.
        middle: the median.
        high: the 99th percentile, what is near.
    """

    low: float
    middle: float
    high: float


class EdgeCut(NamedTuple):
    """What stands before the screen at one side of the picture, where the frame cuts it off in one eye only.

    Attributes:
        rows: the share of the rows, of all frames, where it does.
        most: how far in front, a share of the width.
    """

    rows: float
    most: float


@dataclass(frozen=True, slots=True)
class DisparityReport:
    """What was measured on a picture's or clip's disparity; all of it shares of the width.

    Attributes:
        clip: of all frames together.
        frames: of each frame.
        left, right: at either side.
        steps: the difference of neighbours in a row that one in a thousand exceeds: large where surfaces stand before
            each other like cardboard, and where holes open.
        count: how many pixels of all frames have each disparity, in steps of a 10,000th from -1 to 1.
    """

    clip: Spread
    frames: tuple[Spread, ...]
    left: EdgeCut
    right: EdgeCut
    steps: float
    count: Tensor

    def beyond(self, behind: float, front: float) -> tuple[float, float]:
        """Return the share of the pixels that are nearer than ``front``, and of those that are farther than ``behind``.

        Both are disparities as shares of the width, ``front`` the larger one; infinity is nothing.
        """
        shares, whole = torch.arange(-_STEPS, _STEPS + 1) / _STEPS, max(1, int(self.count.sum()))
        near, far = (int(self.count[place.to(self.count.device)].sum()) for place in (shares > front, shares < behind))
        return near / whole, far / whole

    def jumps(self, starts: Sequence[int]) -> tuple[tuple[int, float], ...]:
        """Return how far depth jumps at each cut: the frame it begins with, and the larger change of median and high.

        Args:
            starts: the first frame of every scene, 0 among them or not.
        """
        cuts = [start for start in starts if 0 < start < len(self.frames)]
        pairs = ((cut, self.frames[cut - 1], self.frames[cut]) for cut in cuts)
        return tuple((cut, max((b.middle - a.middle, b.high - a.high), key=abs)) for cut, a, b in pairs)


def measure_disparity(disparity: Tensor, known: Tensor | None = None) -> DisparityReport:
    """Measure how far before and behind the screen a picture or clip reaches.

    Args:
        disparity: (B, 1, H, W) in columns, positive in front of the screen, any floating dtype.
        known: (B, 1, H, W) bool, where it is known; ``None`` for everywhere.

    Raises:
        ValueError: a shape does not fit, values are not finite, or nothing of a frame is known.
    """
    expect_shape("disparity", disparity, "B 1 H W")
    expect_finite("disparity", disparity)
    width = disparity.shape[-1]
    counts, edges, steps = [], [], []
    for index, frame in enumerate(disparity[:, 0]):
        shares = frame.float() / width
        seen = torch.ones_like(shares, dtype=torch.bool) if known is None else known[index, 0]
        if not seen.any():
            raise ValueError("disparity: nothing of a frame is known. Give views that show the same scene.")
        counts.append(_count(shares[seen]))
        edges.append(_before_edges(shares, None if known is None else seen))
        both = seen[:, 1:] & seen[:, :-1]
        steps.append(_count(shares.diff(dim=1).abs()[both]))
    rows, most = torch.stack([rows for rows, _ in edges]), torch.stack([most for _, most in edges])
    left, right = (EdgeCut(float(rows[:, side].mean()), float(most[:, side].max())) for side in (0, 1))
    count = torch.stack(counts).sum(0)
    return DisparityReport(
        _spread(count),
        tuple(_spread(count) for count in counts),
        left,
        right,
        _percentile(torch.stack(steps).sum(0), 0.999),
        count,
    )


class Matched(NamedTuple):
    """What two finished views say of each other.

    Attributes:
        disparity: (B, 1, h, w) in columns of this grid, positive in front of the screen.
        vertical: (B, 1, h, w) rows of this grid by which the right view's point lies lower.
        known: (B, 1, h, w) bool, where both eyes show the same.
        order: (B, 2), what speaks for the order of the views (``eye_order``).
    """

    disparity: Tensor
    vertical: Tensor
    known: Tensor
    order: Tensor


def match_views(left: Tensor, right: Tensor) -> Matched:
    """Measure the disparity between two finished views, along rows and across them, whoever made them.

    Args:
        left: (B, 3, H, W) in [0, 1].
        right: the same shape.

    Returns:
        At most ``MATCHED_WIDTH`` columns wide.

    Raises:
        ValueError: shapes that differ, or values that are not finite.
    """
    expect_shape("left", left, "B 3 H W")
    expect_shape("right", right, "B 3 H W", B=left.shape[0], H=left.shape[2], W=left.shape[3])
    one, two = (scaled(view, min(MATCHED_WIDTH, view.shape[-1])) for view in (left, right))
    there, back = optical_flow(one, two), optical_flow(two, one)
    returned, inside = sample_along(back, there)
    known = inside & ((there + returned).square().sum(1, keepdim=True) < _ROUND_TRIP**2)
    return Matched(-there[:, :1], there[:, 1:], known, eye_order(one, two))


def agreement(matched: Matched, depth: Tensor) -> float:
    """Tell whether what a depth map calls near is near in the views, too.

    Args:
        matched: what the views say.
        depth: (B, 1, H, W) in [0, 1], of the left view, 1 nearest.

    Returns:
        The correlation of both where the views were matched, from -1 to 1. It is near -1 where the views are exchanged
        or the map is inverted, and 0 where either is flat.

    Raises:
        ValueError: a shape does not fit.
    """
    expect_shape("depth", depth, "B 1 H W", B=matched.disparity.shape[0])
    size = matched.disparity.shape[-2:]
    maps = torch.nn.functional.interpolate(depth.float(), size, mode="bilinear", antialias=True)
    both = torch.stack([matched.disparity[matched.known], maps[matched.known]])
    if both.shape[1] < 2 or both[0].std() < _FLAT or not both[1].std():
        return 0.0
    return float(torch.corrcoef(both)[0, 1])


def seem_exchanged(matched: Matched) -> bool:
    """Tell whether the left view seems to be the right eye's, and the right one the left eye's.

    Two things must say so: the strips that only one view shows (``eye_order``), and the ground, which is nearer at the
    bottom of most pictures than what is at their top.

    Args:
        matched: what the views of one scene or clip say.
    """
    votes, weight = matched.order.sum(0).tolist()
    third = max(1, matched.disparity.shape[-2] // 3)
    bottom, top = (
        matched.disparity[..., rows, :][matched.known[..., rows, :]] for rows in (slice(-third, None), slice(third))
    )
    if weight < _LEAST_WEIGHT or not len(bottom) or not len(top):
        return False
    return votes / weight < -_ORDER and float(bottom.median() - top.median()) < -_FLAT


class Advice(NamedTuple):
    """How deep the stereo may be.

    Attributes:
        max_disparity: in percent of the width.
        convergence: the depth on the screen, 0 to 1.
    """

    max_disparity: float
    convergence: float


def advise(depth: Tensor, behind: float, front: float, most: float = 30.0) -> Advice:
    """Find the strength and convergence at which the near things meet one limit and the far ones the other.

    Near is the 99th percentile and far the 1st, so that single pixels do not count.

    Args:
        depth: (B, 1, H, W) inverse depth to the power of the exponent, in [0, 1], 1 nearest.
        behind: the smallest comfortable disparity, a negative share of the width.
        front: the largest one.
        most: the largest ``max_disparity`` that is advised, in percent.

    Raises:
        ValueError: a shape does not fit, or limits that leave nothing between them.
    """
    expect_shape("depth", depth, "B 1 H W")
    if not behind < 0 < front:
        raise ValueError(f"limits: got {behind} to {front}. Give a negative share of the width and a positive one.")
    reach = front - behind
    spread = _spread(torch.stack([_count(frame.float()) for frame in depth]).sum(0))
    near, far = spread.high, spread.low
    strength = min(reach / max(near - far, 1e-6), most / 100)
    convergence = min(max(far + (near - far) * -behind / reach, 0.0), 1.0)
    return Advice(100 * strength, convergence)


def _count(shares: Tensor) -> Tensor:
    """Count how often each step of the share occurs, (2 * steps + 1,)."""
    place = (shares.clamp(-1, 1) * _STEPS).round().long() + _STEPS
    return torch.bincount(place.flatten(), minlength=2 * _STEPS + 1)


def _percentile(count: Tensor, share: float) -> float:
    total = count.cumsum(0)
    if not total[-1]:
        return 0.0
    place = int(torch.searchsorted(total, share * total[-1]))
    return (min(place, 2 * _STEPS) - _STEPS) / _STEPS


def _spread(count: Tensor) -> Spread:
    return Spread(*(_percentile(count, share) for share in (0.01, 0.5, 0.99)))


def _before_edges(shares: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return for the left and the right side the share of rows with something before the screen, and the most, (2,).

    Where views were matched (``seen``), what the left edge cuts is found at the edge of the right view: what lies at
    that of the left view, and before the screen, is beyond the right one.
    """
    width = shares.shape[-1]
    columns = max(1, round(_EDGE * width))
    place = torch.arange(width, device=shares.device).expand_as(shares)
    at_left, at_right = place < columns, place >= width - columns
    if seen is not None:
        at_left, at_right = seen & (at_left | (place - width * shares < columns)), seen & at_right
    sides = torch.stack([torch.where(side, shares, -torch.inf).amax(1) for side in (at_left, at_right)])
    return (sides > _CUT).float().mean(1), sides.amax(1).clamp(min=0)
