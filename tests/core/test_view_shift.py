"""The right view of a noisy latent: whole columns, parts of a column, and what holes start from."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stereo_core.noise_forms import NoiseForm, alpha
from stereo_core.view_shift import HoleFill, ShiftForm, ViewShift
from stereo_core.warping import forward_warp
from tests.core.closed_form import normal

SIGMAS = {NoiseForm.VE: torch.tensor(3.0), NoiseForm.FLOW: torch.tensor(0.7)}


def block(height: int = 4, width: int = 24, near: float = 3.0, far: float = -1.0) -> Tensor:
    """An object at columns 8 to 12 before a background."""
    disparity = torch.full((1, 1, height, width), far)
    disparity[..., 8:13] = near
    return disparity


@pytest.mark.parametrize("form", [ShiftForm.ROUNDED, ShiftForm.TRUNCATED])
def test_whole_columns_are_copied_to_the_bit(form: ShiftForm):
    x, disparity = normal(1, 4, 4, 24).float(), block()
    shift, warp = ViewShift(disparity, form), forward_warp(x, disparity)
    moved = shift.right(x, None, SIGMAS[NoiseForm.VE], NoiseForm.VE)
    assert torch.equal(shift.filled, warp.filled)
    assert torch.equal(torch.where(shift.filled, moved, 0.0), warp.image)


@pytest.mark.parametrize("form", NoiseForm)
@pytest.mark.parametrize("part", [0.0, 0.3, -0.4])
def test_by_parts_of_a_column_the_estimate_moves_exactly_and_the_noise_stays_white(form: NoiseForm, part: float):
    width, sigma = 512, SIGMAS[form]
    column = torch.arange(width, dtype=torch.float32)
    picture = (column / 7).sin().expand(1, 1, 64, width)
    noise = normal(1, 1, 64, width).float()
    a = float(alpha(sigma, form))
    shift = ViewShift(torch.full((1, 1, 64, width), 2 + part), ShiftForm.SUB_COLUMN)
    moved = shift.right(a * picture + sigma * noise, picture, sigma, form, torch.Generator().manual_seed(0))
    inside = slice(4, width - 8)
    expected = ((column + 2 + part) / 7).sin().expand(1, 1, 64, width)
    left_over = (moved - a * expected)[..., inside] / sigma
    torch.testing.assert_close(left_over, noise[..., 6:-6], rtol=0, atol=2e-3)
    neighbours = (left_over[..., 1:] * left_over[..., :-1]).mean()
    assert abs(left_over.std() - 1) < 0.02 and abs(neighbours) < 0.02


def test_where_no_whole_column_lands_noise_is_new_and_by_the_generator():
    disparity = torch.linspace(0, 6, 64).expand(1, 1, 8, 64)  # a slope spreads its columns apart
    x, sigma = normal(1, 2, 8, 64).float(), torch.tensor(1.0)
    shift = ViewShift(disparity, ShiftForm.SUB_COLUMN)
    first, again, other = (
        shift.right(x, torch.zeros_like(x), sigma, NoiseForm.VE, torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    landed = forward_warp(x, disparity.round()).filled.expand_as(x)
    assert torch.equal(first, again) and not landed.all()
    assert torch.equal(first[landed], other[landed]) and (first[~landed] != other[~landed]).all()


@pytest.mark.parametrize("asked", [0.25, 0.96, -0.4, 1.5])
def test_the_view_is_as_far_away_as_was_asked_for(asked: float):
    """Between whole columns too: what is made misses what was asked by less than a fiftieth of a column."""
    column = torch.arange(256, dtype=torch.float32)
    picture = (column / 9).sin().expand(1, 1, 4, 256)
    made = ViewShift(torch.full((1, 1, 4, 256), asked), ShiftForm.SUB_COLUMN).estimate(picture)
    shifts = torch.arange(-3, 3, 0.01)
    errors = [(made[0, 0, 0, 8:-8] - ((column + s) / 9).sin()[8:-8]).square().mean() for s in shifts]
    assert abs(float(shifts[int(torch.stack(errors).argmin())]) - asked) < 0.02


def test_an_estimate_is_needed_for_parts_of_a_column():
    shift = ViewShift(block(), ShiftForm.SUB_COLUMN)
    with pytest.raises(ValueError, match="denoised: a shift by parts of a column needs the estimate"):
        shift.right(torch.zeros(1, 4, 4, 24), None, SIGMAS[NoiseForm.VE], NoiseForm.VE)


def test_a_picture_space_shift_takes_the_place_of_the_rendered_latent():
    shift = ViewShift(block(), ShiftForm.SUB_COLUMN, estimates=lambda latent: latent + 1)
    latent = normal(1, 4, 4, 24).float()
    assert torch.equal(shift.estimate(latent), latent + 1)


@pytest.mark.parametrize("form", ShiftForm)
def test_a_video_latent_is_moved_frame_by_frame(form: ShiftForm):
    x = normal(2, 3, 4, 5, 24).float()
    disparity = torch.stack([block(5, near=float(n)) for n in range(8)]).view(2, 4, 1, 5, 24).movedim(2, 1)
    sigma, denoised = SIGMAS[NoiseForm.FLOW], x * 0.3
    shift = ViewShift(disparity.contiguous(), form)
    whole = shift.right(x, denoised, sigma, NoiseForm.FLOW, torch.Generator().manual_seed(0))
    for entry in range(2):
        for frame in range(4):
            alone = ViewShift(disparity[entry, :, frame][None], form)
            one = alone.right(x[entry, :, frame][None], denoised[entry, :, frame][None], sigma, NoiseForm.FLOW)
            assert torch.equal(alone.filled[0], shift.filled[entry, :, frame])
            landed = forward_warp(x[entry, :, frame][None], alone.disparity.round()).filled[0]
            seen = (alone.filled[0] & landed).expand_as(one[0])
            assert torch.equal(one[0][seen], whole[entry, :, frame][seen])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_half_precision(dtype: torch.dtype):
    x = normal(1, 4, 4, 24).to(dtype)
    shift = ViewShift(block(near=2.5), ShiftForm.SUB_COLUMN)
    moved = shift.right(x, x * 0.5, SIGMAS[NoiseForm.VE], NoiseForm.VE)
    assert moved.dtype == dtype and moved.isfinite().all()


@pytest.mark.parametrize(("form", "std"), [(NoiseForm.VE, 10**0.5), (NoiseForm.FLOW, 0.58**0.5)])
def test_noise_in_holes_is_as_strong_as_a_normalised_x(form: NoiseForm, std: float):
    x = torch.zeros(1, 4, 128, 128)
    shift = ViewShift(torch.zeros(1, 1, 128, 128), ShiftForm.ROUNDED)
    noise, again, other = (
        shift.holes(x, HoleFill.NOISE, SIGMAS[form], form, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)
    )
    torch.testing.assert_close(noise.std(), torch.tensor(std), rtol=0.01, atol=0)
    assert torch.equal(noise, again) and not torch.equal(noise, other)


def test_the_other_fills_are_x_itself_nothing_and_what_is_behind():
    x, sigma, shift = normal(1, 4, 4, 24).float(), torch.tensor(2.0), ViewShift(block(), ShiftForm.ROUNDED)
    assert torch.equal(shift.holes(x, HoleFill.LEFT, sigma, NoiseForm.VE), x)
    assert not shift.holes(x, HoleFill.ZEROS, sigma, NoiseForm.VE).any()
    assert torch.equal(shift.holes(x, HoleFill.BACKGROUND, sigma, NoiseForm.VE), shift.background(x))


def right_of(shift: ViewShift, values: Tensor) -> Tensor:
    return torch.where(shift.filled, shift.copies(values, values), shift.background(values))[0, 0, 0]


def test_holes_take_the_background_in_mirror_image():
    """The object moved three columns to the left and the background one to the right: a hole of four columns."""
    column = torch.arange(24.0).expand(1, 1, 4, 24)
    shift = ViewShift(block(), ShiftForm.ROUNDED)
    row = right_of(shift, column).tolist()
    assert (~shift.filled)[0, 0, 0].nonzero().flatten().tolist() == [0, 10, 11, 12, 13]
    assert row[5:10] == [8, 9, 10, 11, 12]  # the object
    assert row[14:] == [13, 14, 15, 16, 17, 18, 19, 20, 21, 22]  # the background, its edge first
    assert row[10:14] == [17, 16, 15, 14]  # mirrored about that edge
    assert row[0] == 1  # at the frame's border about the one neighbour there is, column 0


def test_mirrored_columns_pass_over_nearer_surfaces_and_never_stand_beside_themselves():
    column = torch.arange(40.0).expand(1, 1, 2, 40)
    disparity = torch.zeros(1, 1, 2, 40)
    disparity[..., 10:14] = 5.0  # uncovers columns 9 to 13 of the right view
    disparity[..., 16:18] = 5.0  # another object, two columns behind the first one's edge
    shift = ViewShift(disparity, ShiftForm.ROUNDED)
    row = right_of(shift, column)
    taken = row[(~shift.filled)[0, 0, 0]].tolist()
    assert not set(taken) & {10.0, 11.0, 12.0, 13.0, 16.0, 17.0}
    assert (row[1:] != row[:-1]).all()


def test_a_hole_wider_than_its_background_turns_at_its_end():
    column = torch.arange(12.0).expand(1, 1, 1, 12)
    disparity = torch.zeros(1, 1, 1, 12)
    disparity[..., :10] = 8.0  # two columns of background are left at the right
    row = right_of(ViewShift(disparity, ShiftForm.ROUNDED), column)
    assert set(row[2:10].tolist()) <= {10.0, 11.0} and row.isfinite().all()
