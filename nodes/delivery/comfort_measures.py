"""What Stereo Comfort measures: the disparity of a depth map, or what two finished views say of each other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ...stereo_core.comfort import (
    MATCHED_WIDTH,
    DisparityReport,
    Matched,
    agreement,
    match_views,
    measure_disparity,
    seem_exchanged,
)
from ...stereo_core.scenes import find_scene_starts
from ...stereo_core.stereo_depth import StereoDepth, one_for_each
from ..host import compute_device, describe_size, each_frame, expect_memory, image_to_core
from ..widgets.geometry import read_depth
from ..widgets.views import both_views

# Matching takes seconds for a frame; so many frames, spread over a clip, tell what all of it is like.
_MATCHED_FRAMES = 16
# And the frames on both sides of so many cuts.
_MATCHED_CUTS = 8
# Of the maps in float32, while they are measured: as given, as disparity, and one for the advice.
_COPIES = 3
# Bytes for a pixel of the views as they are matched, generously.
_MATCHING = 400
# Vertical disparity that this share of what was matched stays below; beyond it matching itself is wrong.
_MOST_ROWS = 0.9


class PairFacts(NamedTuple):
    """What two finished views say of each other.

    Attributes:
        vertical: the 90th percentile of vertical disparity, a share of the height.
        matched: the share of left that is found in right.
        agreement: of disparity with a depth map, from -1 to 1; 0 where there is none.
        exchanged: they seem to be, by themselves.
    """

    vertical: float
    matched: float
    agreement: float
    exchanged: bool


class Measured(NamedTuple):
    """What was found.

    Attributes:
        disparity: (B, 1, H, W) in columns, of the frames that were measured.
        report: what it says.
        cuts: the places among those frames at which a scene begins, and their frames; the one before is measured, too.
        pair: what finished views say of each other, where they were measured.
    """

    disparity: Tensor
    report: DisparityReport
    cuts: dict[int, int]
    pair: PairFacts | None = None


def measure(depth: StereoDepth | Tensor | None, left: Tensor | None, right: Tensor | None) -> Measured:
    """Measure finished views where there are two, else what the depth map asks for."""
    if right is not None and left is None:
        raise ValueError("left: only right is connected. Connect the left view, too.")
    if depth is None and left is None:
        raise ValueError("Stereo Comfort: nothing is connected. Connect depth, or two views to left and right.")
    if left is not None and (right is not None or depth is None):
        return _measure_views(*both_views(left, right), depth if depth is None else read_depth(depth, left))
    clip = None if left is None else image_to_core(left, "left")
    maps = depth.inverse_depth if isinstance(depth, StereoDepth) else image_to_core(depth, "depth")[:, :1]
    expect_memory("Stereo Comfort", describe_size(maps), _COPIES * maps.numel() * torch.float32.itemsize)
    stereo = read_depth(depth, left)
    if clip is not None:
        stereo.expect_aspect(*clip.shape[-2:])
        one_for_each(stereo.inverse_depth, len(clip))
    disparity = stereo.disparity()
    starts = [] if clip is None or len(clip) != len(disparity) else _scene_starts(clip)
    return Measured(disparity, measure_disparity(disparity), _cuts(range(len(disparity)), starts))


def _measure_views(left: Tensor, right: Tensor, depth: StereoDepth | None) -> Measured:
    width = min(MATCHED_WIDTH, left.shape[-1])
    pixels = width**2 * left.shape[-2] // left.shape[-1]
    expect_memory("Stereo Comfort", describe_size(left), 0, _MATCHING * pixels)
    if depth is not None:
        depth.expect_aspect(*left.shape[-2:])
    maps = None if depth is None else one_for_each(depth.inverse_depth, len(left))
    starts = _scene_starts(left)
    beside = [frame for start in _spread(starts, _MATCHED_CUTS) for frame in (start - 1, start)]
    frames = sorted({*_spread(range(len(left)), _MATCHED_FRAMES), *beside})
    matched = []
    for index in each_frame(len(frames)):
        one = slice(frames[index], frames[index] + 1)
        matched.append(match_views(left[one].to(compute_device()), right[one].to(compute_device())))
    found = Matched(*(torch.cat([part.cpu() for part in parts]) for parts in zip(*matched, strict=True)))
    disparity, vertical, known, _ = found
    agreed = 0.0 if maps is None else agreement(found, maps[frames].cpu())
    seen, share = known.flatten(1).any(1), float(known.float().mean())
    if not seen.any():
        raise ValueError("left and right have nothing in common. Connect two views of one scene.")
    disparity, vertical, known = disparity[seen], vertical[seen], known[seen]
    rows = (vertical[known].abs() / disparity.shape[-2]).sort().values
    most = float(rows[int(_MOST_ROWS * (len(rows) - 1))])
    cuts = _cuts([frame for frame, there in zip(frames, seen.tolist(), strict=True) if there], starts)
    return Measured(
        disparity, measure_disparity(disparity, known), cuts, PairFacts(most, share, agreed, seem_exchanged(found))
    )


def _scene_starts(clip: Tensor) -> list[int]:
    """Return the frames of a clip (B, 3, H, W) that begin a scene, but for the first."""
    return find_scene_starts(clip)[1:].nonzero().add(1).flatten().tolist()


def _spread(items: Sequence[int], most: int) -> list[int]:
    """Return at most so many of the items, evenly."""
    places = torch.linspace(0, len(items) - 1, most).round().int().tolist() if len(items) > most else range(len(items))
    return [items[place] for place in places]


def _cuts(frames: Sequence[int], starts: Sequence[int]) -> dict[int, int]:
    pairs = enumerate(itertools.pairwise(frames), start=1)
    return {place: frame for place, (before, frame) in pairs if frame in starts and frame == before + 1}
