"""Edits of a pair of views: against the paper's nested loop, and by their invariants."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stereo_core.view_pairs import BothShifted, RightShifted, renew_right, replace_left, start_pair
from stereo_core.view_shift import ShiftForm, ViewShift

SHAPES = [(1, 4, 6, 9), (3, 2, 5, 16), (2, 2, 3, 4, 7)]


def state(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def columns(shape: tuple[int, ...], low: int = -2, high: int = 4) -> Tensor:
    random = torch.Generator().manual_seed(9)
    return torch.randint(low, high + 1, (shape[0], 1, *shape[2:]), generator=random).float()


def nested_loop(source: Tensor, disparity: Tensor) -> tuple[Tensor, Tensor]:
    """Appendix B, far pixels first so that the nearer stays; also where something was written."""
    out, seen = torch.zeros_like(source), torch.zeros_like(disparity, dtype=torch.bool)
    width = source.shape[-1]
    for index in torch.cartesian_prod(*(torch.arange(n) for n in (source.shape[0], *source.shape[2:-1]))).tolist():
        row = (index[0], slice(None), *index[1:])
        for x in sorted(range(width), key=lambda x, row=row: disparity[row][0, x].item()):
            target = x - int(disparity[row][0, x])
            if 0 <= target < width:
                out[(*row, target)] = source[(*row, x)]
                seen[(*row, target)] = True
    return out, seen


@pytest.mark.parametrize("shape", SHAPES)
def test_the_right_view_is_the_nested_loops_and_the_left_one_the_source(shape: tuple[int, ...]):
    source, disparity = state(shape), columns(shape)
    left, right = start_pair(source, torch.full_like(source, 7.0), disparity).chunk(2)
    expected, seen = nested_loop(source, disparity)
    assert torch.equal(left, source)
    assert torch.equal(right, torch.where(seen, expected, torch.tensor(7.0)))


@pytest.mark.parametrize("shape", SHAPES)
def test_both_views_shifted_are_as_far_apart_as_one_shifted_by_all(shape: tuple[int, ...]):
    disparity = torch.full((shape[0], 1, *shape[2:]), 3.0)
    source = state(shape)
    left, right = start_pair(source, torch.zeros_like(source), disparity, shift_both=True).chunk(2)
    assert torch.equal(left[..., 1:], source[..., :-1])
    assert torch.equal(right[..., :-2], source[..., 2:])
    assert not left[..., :1].any() and not right[..., -2:].any()


@pytest.mark.parametrize(("disparity", "left", "right"), [(3, 1, 2), (-3, -2, -1), (1, 0, 1), (-1, -1, 0)])
def test_of_an_odd_column_the_right_view_moves_further_to_the_left(disparity: int, left: int, right: int):
    """Also behind the screen: or the surfaces on either side of it would drift apart by a column."""
    source = torch.arange(12.0).view(1, 1, 1, 12)
    pair = start_pair(source, torch.full_like(source, -9.0), torch.full_like(source, disparity), shift_both=True)
    assert pair[0, 0, 0, 4:8].tolist() == [column - left for column in range(4, 8)]
    assert pair[1, 0, 0, 4:8].tolist() == [column + right for column in range(4, 8)]


@pytest.mark.parametrize("shift_both", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_fresh_pair_has_nothing_to_renew(shape: tuple[int, ...], shift_both: bool):
    source, disparity = state(shape), columns(shape)
    pair = start_pair(source, state(shape, 1), disparity, shift_both)
    assert torch.equal(renew_right(pair, disparity, shift_both), pair)


@pytest.mark.parametrize("shape", SHAPES)
def test_renewal_is_equation_7(shape: tuple[int, ...]):
    left, right, disparity = state(shape), state(shape, 1), columns(shape)
    renewed = renew_right(torch.cat([left, right]), disparity)
    shifted, seen = nested_loop(left, disparity)
    assert torch.equal(renewed, torch.cat([left, torch.where(seen, shifted, right)]))


def test_renewal_of_two_shifted_views_moves_each_pixel_from_eye_to_eye():
    source = torch.arange(10.0).view(1, 1, 1, 10)
    disparity = torch.zeros_like(source)
    disparity[..., 4:6] = 4.0
    pair = start_pair(source, torch.full_like(source, -1.0), disparity, shift_both=True)
    left, right = pair.chunk(2)
    assert left.flatten().tolist() == [0, 1, 2, 3, -1, -1, 4, 5, 8, 9]
    assert right.flatten().tolist() == [0, 1, 4, 5, -1, -1, 6, 7, 8, 9]
    renewed = renew_right(torch.cat([left + 100, right]), disparity, shift_both=True)
    # Columns 6 and 7 are hidden in the left view, the holes in both: they stay as they were.
    assert renewed.chunk(2)[1].flatten().tolist() == [100, 101, 104, 105, -1, -1, 6, 7, 108, 109]


@pytest.mark.parametrize("shift_both", [False, True])
def test_without_disparity_the_views_are_equal(shift_both: bool):
    source = state((2, 4, 5, 6))
    pair = start_pair(source, torch.zeros_like(source), torch.zeros(2, 1, 5, 6), shift_both)
    assert torch.equal(pair, torch.cat([source, source]))


def test_what_the_left_view_missed_is_moved_into_the_right_one_and_never_through_a_vae():
    here, right, left = (state((1, 4, 3, 8), seed) for seed in range(3))
    flat = ViewShift(torch.zeros(1, 1, 3, 8), ShiftForm.SUB_COLUMN, estimates=lambda latent: latent + 5)
    followed = RightShifted(flat).follow(torch.cat([here, right]), left)
    torch.testing.assert_close(followed, torch.cat([left, right + left - here]))
    disparity = torch.full((1, 1, 3, 8), 2.0)
    moved = RightShifted(ViewShift(disparity, ShiftForm.ROUNDED)).follow(torch.cat([here, right]), left)
    torch.testing.assert_close(moved[1:, ..., :6], (right[..., :6] + (left - here)[..., 2:]))
    assert torch.equal(moved[1:, ..., 6:], right[..., 6:]), "holes are the right view's own"


def test_replay_replaces_the_left_view_alone():
    pair, left = state((4, 2, 3, 3)), state((2, 2, 3, 3), 1)
    replayed = replace_left(pair, left.double())
    assert torch.equal(replayed, torch.cat([left, pair[2:]]))


def test_bad_input_is_named():
    source = state((1, 4, 3, 5))
    with pytest.raises(ValueError, match="disparity"):
        start_pair(source, source, torch.zeros(1, 1, 3, 4))
    with pytest.raises(ValueError, match="pair: expected twice the 1 entries"):
        renew_right(source, torch.zeros(1, 1, 3, 5))
    with pytest.raises(ValueError, match="left"):
        replace_left(state((2, 4, 3, 5)), state((2, 4, 3, 5)))


@pytest.mark.parametrize("form", [ShiftForm.SUB_COLUMN, ShiftForm.ROUNDED])
@pytest.mark.parametrize("shape", SHAPES)
def test_maps_move_with_the_picture_and_stay_where_nothing_moves(form: ShiftForm, shape: tuple[int, ...]):
    values = state(shape).sigmoid()
    still = RightShifted(ViewShift(torch.zeros(shape[0], 1, *shape[2:]), form))
    assert torch.equal(still.maps(values), torch.cat([values, values]))
    moved = RightShifted(ViewShift(torch.full((shape[0], 1, *shape[2:]), 2.0), form))
    left, right = moved.maps(values).chunk(2)
    assert torch.equal(left, values)
    torch.testing.assert_close(right[..., :-2], values[..., 2:])
    assert right.min() >= values.min() and right.max() <= values.max(), "weights must not leave their range"


def test_pictures_of_another_size_move_by_their_own_columns():
    pictures, columns = state((2, 3, 8, 24)), torch.full((2, 1, 8, 24), 6.0)
    right_shifted = RightShifted(ViewShift(torch.full((2, 1, 4, 12), 3.0), ShiftForm.ROUNDED))
    left, right = right_shifted.pictures(pictures, columns).chunk(2)
    assert torch.equal(left, pictures)
    torch.testing.assert_close(right[..., :-6], pictures[..., 6:])
    # Of three columns the left view moves by one and the right one by two, so by two and four of these.
    left, right = BothShifted(torch.full((2, 1, 4, 12), 3.0)).pictures(pictures, columns).chunk(2)
    torch.testing.assert_close(left[..., 2:], pictures[..., :-2])
    torch.testing.assert_close(right[..., :-4], pictures[..., 4:])
