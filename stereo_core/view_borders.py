"""What enters a view at its left and right border, where its source ends, and what may be done about it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor

from .checks import expect_shape
from .warping import View

# A pixel beside a nearer surface joins it when it is rendered, so the border's neighbour can reach the border.
_JOINED = 1


class Borders(str, Enum):
    """What becomes of the strips that enter at the borders of a view."""

    FILL = "fill"
    """They are filled, as holes are."""
    CROP = "crop"
    """Both views lose the columns in which either has one."""
    FLOATING_WINDOW = "floating_window"
    """The eye that sees more of what stands in front of the screen at a border is masked there, so that the window
    through which both look comes forward."""
    SCREEN = "screen"
    """The screen comes forward to the nearest point at the border, so that nothing enters there."""


class Strips(NamedTuple):
    """Columns at the left and at the right border of a view."""

    left: int
    right: int


def entering(hole: Tensor) -> Strips:
    """Measure how wide the strips are that enter a view: the widest run of holes at either border of any row.

    Args:
        hole: (B, 1, H, W) bool or 0 and 1, what the source does not show.

    Returns:
        Columns; the whole width where a row is all hole.

    Raises:
        ValueError: another shape.
    """
    expect_shape("hole", hole, "B 1 H W")
    widths = [
        [int(side.int().cumprod(-1).sum(-1).max()) for side in (frame, frame.flip(-1))]
        for frame in hole  # one at a time: sums of a whole clip are large
    ]
    return Strips(*map(max, zip(*widths, strict=True)))


def crop(strips: Iterable[Strips], size: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns without strips, an even number of each, as videos need them.

    Args:
        strips: of each view; the wider one at either border is cut off all of them.
        size: (H, W) of the views.

    Raises:
        ValueError: views that are too small, or nothing would be left.
    """
    height, width = size
    if min(size) < 2:
        raise ValueError(
            f"image: is {width}x{height}, and crop needs at least 2x2 pixels. Connect a larger picture, or set borders "
            "to fill."
        )
    left, right = (max(columns) for columns in zip(*strips, strict=True))
    end = width - right
    if end - left < 2:
        raise ValueError(
            f"borders: {left} columns at the left and {right} at the right enter a picture {width} wide, "
            "so crop leaves nothing. Lower max_disparity of Stereo Strength, or set borders to fill."
        )
    return slice(0, height - height % 2), slice(left, end - (end - left) % 2)


def floating_windows(disparity: Tensor, scene_starts: Tensor) -> list[Strips]:
    r"""Find how much of each border to mask, so that nothing stands in front of the window that cuts it off.

    A point at the right border of the left view has the disparity :math:`d`; where :math:`d > 0` the right eye sees
    :math:`d` columns more of what lies beyond it. Masked there, both eyes' pictures end at the same point, and the
    window's edge has its disparity. At the left border it is the left eye that sees more.

    Args:
        disparity: (B, 1, H, W) between both views, in columns, larger is nearer.
        scene_starts: (B,) bool, true where a scene starts: its frames share a window.

    Returns:
        For each frame the columns to mask: at the left border of the left view, and at the right border of the right
        one, the nearest points at the borders deciding.

    Raises:
        ValueError: another shape.

    Source:
        The floating window of stereo films; Mendiburu, "3D Movie Making", 2009.
    """
    expect_shape("disparity", disparity, "B 1 H W")
    width = disparity.shape[-1]
    windows = []
    for scene in _scenes(scene_starts, len(disparity)):
        borders = (disparity[scene, ..., column].max() for column in (0, -1))
        windows += [Strips(*(int(nearest.clamp(0, width).ceil()) for nearest in borders))] * (scene.stop - scene.start)
    return windows


def screen_shift(disparity: Tensor, scene_starts: Tensor, balance: float, edge_growth: int = 0) -> Tensor:
    r"""Find how far the screen must come forward for nothing to enter where near things stand at a border.

    With :math:`x_r = x - (1 - b)(d - c)` nothing enters the right view at its right border if the border's own points
    do not move left: if :math:`c \ge d` there. The same holds for the left view at its left border. What lies behind
    the screen at the other borders enters there instead, and beside a near object a hole may still run out of the view.

    Args:
        disparity: (B, 1, H, W) between both views, in columns, larger is nearer.
        scene_starts: (B,) bool, true where a scene starts: its frames share a screen.
        balance: b, how much of the shift the left view takes, 0 to 1.
        edge_growth: pixels by which near surfaces grow when they are rendered.

    Returns:
        (B, 1, 1, 1) float32, c in columns, to be taken off the disparity; 0 where nothing enters as it is.

    Raises:
        ValueError: another shape.
    """
    expect_shape("disparity", disparity, "B 1 H W")
    reach = 1 + _JOINED + edge_growth
    shift = torch.zeros(len(disparity), 1, 1, 1)
    for scene in _scenes(scene_starts, len(disparity)):
        sides = [disparity[scene, ..., -reach:]] if balance < 1 else []
        sides += [disparity[scene, ..., :reach]] if balance > 0 else []
        shift[scene] = max(0.0, *(float(side.max()) for side in sides))
    return shift.to(disparity.device)


def _scenes(starts: Tensor, frames: int) -> Iterator[slice]:
    expect_shape("scene_starts", starts, "B", B=frames)
    bounds = [0, *starts[1:].nonzero().add(1).flatten().tolist(), frames]
    return itertools.starmap(slice, itertools.pairwise(bounds))


def masked(view: Tensor, strips: Sequence[Strips]) -> Tensor:
    """Black out strips.

    Args:
        view: (B, C, H, W).
        strips: of each frame.

    Returns:
        A copy; the view itself where there is nothing to mask.
    """
    if not any(map(any, strips)):
        return view
    dark = view.clone()
    for frame, (left, right) in zip(dark, strips, strict=True):
        frame[..., :left] = 0
        frame[..., frame.shape[-1] - right :] = 0
    return dark


def describe_strips(views: Mapping[View, Strips], width: int) -> str:
    """Tell how wide the strips are: for each view and border, per mille of the width and pixels."""
    lines = []
    for view, strips in views.items():
        sides = (f"{side} {1000 * columns / width:.1f} ‰ ({columns} px)" for side, columns in strips._asdict().items())
        lines.append(f"strips that enter the {view.value} view: {', '.join(sides)}")
    return "\n".join(lines)
