"""Image matrices: which cells a way of looking shows, and the azimuths of an orbit."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stereo_core.image_matrix import (
    MatrixSize,
    as_matrix,
    contact_sheet,
    decoding,
    frame_orbit,
    full_turn,
    is_full_turn,
    parse_azimuths,
    parse_degrees,
    path,
    same_azimuths,
    sheet_cells,
    spaced_azimuths,
    stereo_pair,
    take,
    to_reference,
    view_clip,
)

SIZE = MatrixSize(3, 4)


def numbered(size: MatrixSize = SIZE) -> torch.Tensor:
    """A batch as the samplers hand it on, every latent its own number."""
    return torch.arange(size.views * size.frames).float().reshape(-1, 1, 1, 1).expand(-1, 2, 3, 5)


def shown(cells: list[tuple[int, int]]) -> list[int]:
    return take(as_matrix(numbered(), SIZE), cells)[:, 0, 0, 0].int().tolist()


def test_a_view_is_a_row_and_a_frame_a_column():
    assert shown(view_clip(SIZE, 1)) == [4, 5, 6, 7]
    assert shown(frame_orbit(SIZE, 1)) == [1, 5, 9]
    assert view_clip(SIZE, -1) == view_clip(SIZE, 2)
    assert frame_orbit(SIZE, -4) == frame_orbit(SIZE, 0)


def test_a_matrix_of_another_count_is_refused():
    with pytest.raises(ValueError, match="samples.*B=12"):
        as_matrix(numbered(MatrixSize(2, 5)), SIZE)


def test_the_left_eye_is_the_earlier_view():
    left, right = stereo_pair(SIZE, -1, 2)
    assert shown(left) == [0, 1, 2, 3] and shown(right) == [8, 9, 10, 11]


def across(azimuth: float) -> float:
    """Where a point before the object's middle is in a view, in focal lengths from the left to the right.

    The camera stands at (sin a, 0, cos a) and looks at the middle, so a growing azimuth takes it to its own right, as
    in Stability's plot of the cameras that SV3D was trained with (counterclockwise seen from above).
    """
    angle = math.radians(azimuth)
    to_the_right, towards = -0.5 * math.sin(angle), 0.5 * math.cos(angle)  # of the point (0, 0, 0.5)
    return to_the_right / (1 - towards)


@pytest.mark.parametrize("azimuths", [spaced_azimuths(4, 3), full_turn(21)])
def test_what_is_near_lies_farther_left_in_the_right_eye(azimuths: list[float]):
    left, right = stereo_pair(MatrixSize(len(azimuths), 1), -1, 1)
    assert across(azimuths[left[0][0]]) > across(azimuths[right[0][0]])


@pytest.mark.parametrize(
    ("view", "spacing", "message"),
    [
        (1, 2, "spacing 2 before view 1 is no view of the 3. Choose spacing from 1 to 1"),
        (2, 0, "from 1 to 2"),
        (2, -1, "from 1 to 2"),
        (0, 1, "view 0 has no view before it"),
        (3, 1, "view is 3, and there are 3 of them. Choose 0 to 2, or -1 to -3 from the end"),
        (-4, 1, "view is -4"),
    ],
)
def test_a_pair_that_is_not_there_is_refused(view: int, spacing: int, message: str):
    with pytest.raises(ValueError, match=message):
        stereo_pair(SIZE, view, spacing)


def test_a_path_goes_from_cell_to_cell():
    assert path(SIZE, (2, 0), (0, -1), 4) == [(2, 0), (1, 1), (1, 2), (0, 3)]
    assert path(SIZE, (1, 2), (0, 0), 1) == [(1, 2)]
    assert path(SIZE, (0, 1), (-1, 1), 3) == frame_orbit(SIZE, 1)
    with pytest.raises(ValueError, match="length is 0"):
        path(SIZE, (0, 0), (1, 1), 0)
    with pytest.raises(ValueError, match="frame is 4"):
        path(SIZE, (0, 0), (1, 4), 3)


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 90), st.data())
def test_a_path_keeps_to_the_straight_way(views: int, frames: int, length: int, data: st.DataObject):
    size = MatrixSize(views, frames)
    start, end = (data.draw(st.tuples(st.integers(0, views - 1), st.integers(0, frames - 1))) for _ in range(2))
    way = path(size, start, end, length)
    assert len(way) == length and way[0] == start and (length == 1 or way[-1] == end)
    for step, cell in enumerate(way):
        for a, b, at in zip(start, end, cell, strict=True):
            assert abs(a + (b - a) * step / max(length - 1, 1) - at) <= 0.5 + 1e-9


def test_a_cell_is_decoded_once_however_often_it_is_shown():
    assert decoding([(0, 1), (0, 1), (2, 2), (0, 1)]) == ([(0, 1), (2, 2)], [0, 0, 1, 0])


def test_a_sheet_shows_every_nth_cell_with_the_reference_cell():
    assert sheet_cells(SIZE, 1) == [view_clip(SIZE, view) for view in range(3)]
    rows = sheet_cells(MatrixSize(6, 5), 4)
    assert rows == [[(1, 0), (1, 4)], [(5, 0), (5, 4)]]
    with pytest.raises(ValueError, match="every is 0"):
        sheet_cells(SIZE, 0)


@pytest.mark.parametrize("gap", [0, 2])
def test_a_sheet_lays_rows_below_each_other(gap: int):
    rows = [take(as_matrix(numbered(), SIZE), cells) + 1 for cells in sheet_cells(SIZE, 1)]
    sheet = contact_sheet(rows, gap)
    assert sheet.shape == (1, 2, 3 * 3 + 2 * gap, 4 * 5 + 3 * gap)
    for view in range(3):
        for frame in range(4):
            top, left = view * (3 + gap), frame * (5 + gap)
            cell = sheet[0, :, top : top + 3, left : left + 5]
            assert (cell == view * 4 + frame + 1).all()
    assert (sheet == 0).sum() == 2 * (sheet.shape[2] * sheet.shape[3] - 12 * 15)


def test_the_full_turn_of_sv3d_ends_at_the_reference_view():
    azimuths = full_turn(21)
    assert azimuths[-1] == 360 and azimuths[0] == pytest.approx(360 / 21)
    assert azimuths == sorted(azimuths)


@pytest.mark.parametrize("spacing", [360 / 21, 17.14, 17.15, 17.1429])
def test_a_full_turn_may_be_written_with_rounded_degrees(spacing: float):
    assert spaced_azimuths(21, spacing) == full_turn(21)


def test_a_turn_is_full_whether_or_not_the_reference_view_is_seen_twice():
    hosts = [18.0 * view for view in range(21)]
    assert is_full_turn(full_turn(21)) and is_full_turn(hosts) and is_full_turn([*hosts[:-1], 0])
    assert is_full_turn([360]) and is_full_turn([0])
    assert not is_full_turn(spaced_azimuths(21, 3)) and not is_full_turn([90, 170, 270, 360])


def test_the_same_directions_in_other_numbers():
    assert same_azimuths([90, 360], [-270, 0]) and not same_azimuths([90, 360], [91, 360])


def test_a_stereo_spacing_is_that_many_degrees():
    assert spaced_azimuths(3, 2.5) == [355, 357.5, 360]
    assert spaced_azimuths(1, 3) == [360]


@pytest.mark.parametrize("last", [0, 360, -360, 1e-4, 359.9999])
def test_the_reference_view_is_a_full_turn_so_that_neighbours_are_told_neighbouring_numbers(last: float):
    azimuths = to_reference([-6, 357, last])
    assert azimuths == [354, 357, 360]
    assert max(b - a for a, b in zip(azimuths, azimuths[1:], strict=False)) == 3


@pytest.mark.parametrize(("views", "spacing"), [(21, 0), (21, -3), (21, 18), (0, 3), (3, float("nan"))])
def test_a_spacing_beyond_a_turn_is_refused(views: int, spacing: float):
    with pytest.raises(ValueError, match="views is 0" if views == 0 else "at most"):
        spaced_azimuths(views, spacing)


def test_azimuths_are_read_from_text():
    assert parse_azimuths("-6, -3,0", 3) == [354, 357, 360]
    assert parse_azimuths(" 355 357.5\n360 ", 3) == [355, 357.5, 360]
    assert parse_azimuths("2.5", 3) == spaced_azimuths(3, 2.5) and parse_azimuths("0", 1) == [360]
    assert parse_azimuths(", ".join(map(repr, spaced_azimuths(7, 3.3))), 7) == spaced_azimuths(7, 3.3)


@pytest.mark.parametrize(
    "text",
    [
        "-6°, -3.5°, 0°",
        "-6; -3,5; 0",
        "−6\n−3.5\n0\n",
        "[-6.0, -3.5, 0.0],",
        "-6 deg, -3.5 deg, 0 deg",
        "-6°-3.5°0°",
        "-6，-3.5、 0；",
        "| -6 | -3.5 | +0 |",
    ],
)
def test_azimuths_are_read_as_people_paste_them(text: str):
    assert parse_degrees(text, 3) == [-6, -3.5, 0]


def test_a_negative_spacing_goes_the_other_way_round():
    assert parse_degrees("-30", 3) == [-300, -330, -360] and parse_azimuths("-30", 3) == [60, 30, 360]
    assert parse_degrees("-90", 4) == [-90, -180, -270, -360]


def test_commas_part_numbers_unless_that_makes_too_many():
    assert parse_degrees("22,5; 45", 3) == [22, 5, 45] and parse_degrees("22,5; 45", 2) == [22.5, 45]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-6, x, 0", "azimuths: 'x' is not a number. Write degrees"),
        ("0..90", "'0..90' is not a number"),
        (";", "names 0 views for 3"),
        ("-3, 0", "names 2 views for 3"),
        ("-6, -3, 3", "azimuths: the last view is at 3 degrees"),
        ("0, inf, 0", "finite"),
        ("0, 3, nan", "finite"),
        ("0, nan, 0", "finite"),
    ],
)
def test_azimuths_that_do_not_fit_are_refused(text: str, message: str):
    with pytest.raises(ValueError, match=message):
        parse_azimuths(text, 3)
