"""Cells of an image matrix, views by frames: which of them a way of looking at it shows, and the azimuths of its views.

A cell is (view, frame). Negative numbers count from the end, as in Python: view -1 is the last of the orbit, which in
SV3D is the reference view.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import expect_shape
from .degrees import read_degrees

Cell = tuple[int, int]

_TURN = 360.0
# Below this many degrees two azimuths are the same one.
_SAME_AZIMUTH = 1e-3
# A full turn that is written with rounded degrees may go on for so many more.
_ROUNDED_TURN = 0.5


class MatrixSize(NamedTuple):
    """How many views and frames an image matrix has."""

    views: int
    frames: int


class Decoding(NamedTuple):
    """What is decoded for one clip.

    Attributes:
        cells: each cell of the clip once, in the clip's order.
        places: for each entry of the clip, where its cell stands in ``cells``.
    """

    cells: list[Cell]
    places: list[int]


def as_matrix(samples: Tensor, size: MatrixSize) -> Tensor:
    """View a batch of latents, all frames of view 0 first, as the matrix.

    Args:
        samples: (V * F, C, H, W).
        size: V and F.

    Returns:
        (V, F, C, H, W), the same memory.

    Raises:
        ValueError: another count.
    """
    expect_shape("samples", samples, "B C H W", B=size.views * size.frames)
    return samples.reshape(*size, *samples.shape[1:])


def take(matrix: Tensor, cells: Sequence[Cell]) -> Tensor:
    """Gather cells of (V, F, C, H, W) into one batch (N, C, H, W), in the order given."""
    views, frames = zip(*cells, strict=True)
    return matrix[list(views), list(frames)]


def view_clip(size: MatrixSize, view: int) -> list[Cell]:
    """One view's video: a row."""
    row = position("view", view, size.views)
    return [(row, frame) for frame in range(size.frames)]


def frame_orbit(size: MatrixSize, frame: int) -> list[Cell]:
    """One frame's orbit: a column."""
    column = position("frame", frame, size.frames)
    return [(view, column) for view in range(size.views)]


def stereo_pair(size: MatrixSize, view: int, spacing: int) -> tuple[list[Cell], list[Cell]]:
    """Two views' videos as the left and the right eye.

    Azimuths grow towards the right eye (counted counterclockwise from above), so the earlier view of the orbit is the
    left one.

    Args:
        size: of the matrix.
        view: the right eye.
        spacing: how many views before it the left eye lies.

    Raises:
        ValueError: no such view.
    """
    right = position("view", view, size.views)
    if not 0 < spacing <= right:
        raise ValueError(
            f"spacing {spacing} before view {right} is no view of the {size.views}. Choose spacing from 1 to {right}."
            if right
            else "view 0 has no view before it. Choose a later view, -1 is the last."
        )
    return view_clip(size, right - spacing), view_clip(size, right)


def path(size: MatrixSize, start: Cell, end: Cell, length: int) -> list[Cell]:
    """A straight way through views and time, each entry the cell nearest to it.

    Args:
        size: of the matrix.
        start: the first cell.
        end: the last cell.
        length: entries, 1 or more; a single one is ``start``.

    Raises:
        ValueError: no such cell, or no entry.
    """
    if length < 1:
        raise ValueError(f"length is {length}. Give the path 1 or more pictures.")
    first, last = (
        (position("view", view, size.views), position("frame", frame, size.frames)) for view, frame in (start, end)
    )
    # Halves go up everywhere; round() would send them to even numbers and so take uneven steps.
    steps = max(length - 1, 1)
    views, frames = (
        [(2 * (a * (steps - i) + b * i) + steps) // (2 * steps) for i in range(length)]
        for a, b in zip(first, last, strict=True)
    )
    return list(zip(views, frames, strict=True))


def sheet_cells(size: MatrixSize, every: int) -> list[list[Cell]]:
    """Rows of a contact sheet: each ``every``-th view and frame, always with the last view and the first frame.

    Raises:
        ValueError: ``every`` below 1.
    """
    if every < 1:
        raise ValueError(f"every is {every}. Give 1 for all cells, or more for fewer of them.")
    views = range((size.views - 1) % every, size.views, every)
    return [[(view, frame) for frame in range(0, size.frames, every)] for view in views]


def decoding(cells: Sequence[Cell]) -> Decoding:
    """List each cell of a clip once, so that none is decoded twice."""
    found: dict[Cell, int] = {}
    places = [found.setdefault(cell, len(found)) for cell in cells]
    return Decoding(list(found), places)


def contact_sheet(rows: Sequence[Tensor], gap: int = 0) -> Tensor:
    """Lay clips below each other, the entries of each beside each other.

    Args:
        rows: clips (N, C, H, W) of one shape.
        gap: empty columns and rows between the pictures, in pixels.

    Returns:
        (1, C, len(rows) * (H + gap) - gap, N * (W + gap) - gap); the gaps are 0.
    """
    stacked = F.pad(torch.stack(tuple(rows)), (0, gap, 0, gap))  # (R, N, C, H + gap, W + gap)
    sheet = stacked.permute(2, 0, 3, 1, 4).flatten(3).flatten(1, 2)
    return sheet[:, : sheet.shape[1] - gap, : sheet.shape[2] - gap].unsqueeze(0)


def full_turn(views: int) -> list[float]:
    """Azimuths of the orbit that SV3D was trained on (Voleti et al., 2024): evenly once around, the last is 360."""
    return [_TURN * (view + 1) / views for view in range(views)]


def is_full_turn(azimuths: Sequence[float]) -> bool:
    """Whether views lie evenly once around, or once around from the reference view to itself.

    The second is the host's SV3D_Conditioning: from 0 to 360, both included.
    """
    evenly = full_turn(len(azimuths))
    return same_azimuths(azimuths, evenly) or same_azimuths(azimuths, [0.0, *full_turn(len(azimuths) - 1)])


def spaced_azimuths(views: int, spacing: float, name: str = "spacing") -> list[float]:
    """Azimuths of an arc that ends at the reference view.

    A stereo baseline is 2 to 4 degrees. 360 / ``views``, also in rounded degrees, makes the full turn.

    Args:
        views: how many, the last is the reference view.
        spacing: degrees from each view to the next.
        name: of the input that it stands in, for the message.

    Returns:
        Degrees in (0, 360], the last is 360.

    Raises:
        ValueError: no view, no spacing, or more than a full turn.
    """
    if views < 1:
        raise ValueError(f"views is {views}. Give 1 or more.")
    if not 0 < spacing * views <= _TURN + _ROUNDED_TURN:
        raise ValueError(
            f"{name}: {views} views {spacing:g} degrees apart do not fit into a full turn. "
            f"Choose more than 0 and at most {_TURN / views:.4g} degrees, or fewer views."
        )
    if spacing * views >= _TURN - _ROUNDED_TURN:
        return full_turn(views)
    return [_TURN - spacing * before for before in reversed(range(views))]


def to_reference(azimuths: Sequence[float], name: str = "azimuths") -> list[float]:
    """Write azimuths as a model is told them: in [0, 360), but the reference view's, the last, as a full turn.

    A model embeds the number and not the direction. SV3D has seen 354 and never -6; and between 354 and 0 its
    embedding jumps, so the reference view's is 360 and the jump lies on the far side of the arc.

    Args:
        azimuths: degrees from the reference view, growing counterclockwise as seen from above; the last may be 0.
        name: of the input that they stand in, for the message.

    Raises:
        ValueError: a last one that is not the reference view's, or an angle that is not finite.

    Source:
        Diffusion²'s published code, whose azimuths end with 2 pi.
    """
    turn = azimuths[-1] % _TURN
    # Also false where an angle is not finite.
    if not min(turn, _TURN - turn) < _SAME_AZIMUTH or not all(abs(angle) < float("inf") for angle in azimuths):
        raise ValueError(
            f"{name}: the last view is at {azimuths[-1]:g} degrees. Angles count from the picture's own view, which is "
            "the last: end with 0 or 360, and give finite numbers."
        )
    return [*(angle % _TURN for angle in azimuths[:-1]), _TURN]


def parse_azimuths(text: str, views: int) -> list[float]:
    """Read azimuths as ``parse_degrees`` does, of views whose last is the reference view.

    Returns:
        As ``to_reference`` writes them.

    Raises:
        ValueError: as ``parse_degrees``, or a last one that is not the reference view's, 0 or 360.
    """
    return to_reference(parse_degrees(text, views))


def parse_degrees(text: str, views: int) -> list[float]:
    """Read azimuths: degrees for each view, written as ``read_degrees`` takes them, or one number, their spacing.

    A negative spacing goes the other way round, as photographs of a turntable may.

    Raises:
        ValueError: no finite number, or another count.
    """
    azimuths = read_degrees(text, views, "azimuths")
    if len(azimuths) == 1 and views > 1:
        evenly = spaced_azimuths(views, abs(azimuths[0]), "azimuths")
        return evenly if azimuths[0] > 0 else [-azimuth for azimuth in evenly]
    if len(azimuths) != views:
        raise ValueError(
            f"azimuths names {len(azimuths)} views for {views}. Give one angle for each view, or one number, the "
            "degrees between them."
        )
    return azimuths


def same_azimuths(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether two orbits of as many views look from the same directions; 0 and 360 are the same one."""
    distances = ((a - b) % _TURN for a, b in zip(first, second, strict=True))
    return all(min(distance, _TURN - distance) < _SAME_AZIMUTH for distance in distances)


def position(name: str, number: int, count: int) -> int:
    """Turn a number that may count from the end into one from 0.

    Raises:
        ValueError: out of range; the message names ``name``.
    """
    if not -count <= number < count:
        raise ValueError(
            f"{name} is {number}, and there are {count} of them. Choose 0 to {count - 1}, or -1 to -{count} from "
            "the end."
        )
    return number % count
