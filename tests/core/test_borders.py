"""Empty columns at the border, and fillings that repeat nothing."""

from __future__ import annotations

import pytest
import torch

from stereo_core.borders import border_columns, clean_border, unrepeated
from stereo_core.latent_shift import warp_latent
from stereo_core.view_shift import ShiftForm, ViewShift


def filled(*empty: int, rows: int = 10, width: int = 8) -> torch.Tensor:
    map = torch.ones(1, 1, rows, width, dtype=torch.bool)
    map[..., list(empty)] = False
    return map


def columns(mask: torch.Tensor) -> list[int]:
    return mask.flatten().nonzero().flatten().tolist()


def test_the_border_is_the_run_of_empty_columns_at_either_side():
    assert columns(border_columns(filled(0, 1, 4, 7))) == [0, 1, 7]
    assert columns(border_columns(filled(3, 4))) == []
    assert columns(border_columns(filled(*range(8)))) == list(range(8))


def test_a_tenth_of_the_rows_may_be_filled():
    map = filled(7)
    map[..., 0, 7] = True
    assert columns(border_columns(map)) == [7]
    map[..., 1, 7] = True
    assert columns(border_columns(map)) == []


def test_every_frame_counts():
    clip = torch.stack([filled(6, 7), filled(7)], dim=2)
    assert border_columns(clip).shape == (1, 1, 1, 1, 8)
    assert columns(border_columns(clip)) == [7]
    frames = clip[0].movedim(1, 0)
    assert columns(border_columns(frames)[0]) == [6, 7]
    in_one_clip = border_columns(frames, one_clip=True)
    assert [columns(frame) for frame in in_one_clip] == [[7], [7]]


def test_a_border_takes_its_share_of_the_left_view():
    filling, left = torch.zeros(1, 2, 3, 8), torch.ones(1, 2, 3, 8)
    border = border_columns(filled(7, rows=3))
    assert torch.equal(clean_border(filling, left, border, 1.0)[..., 7], left[..., 7])
    half = clean_border(filling, left, border, 0.9)
    assert half[..., 7].unique().item() == pytest.approx(0.9) and not half[..., :7].any()


def test_another_shape_is_named():
    with pytest.raises(ValueError, match=r"filled: expected \(B, 1, H, W\)"):
        border_columns(torch.ones(1, 2, 3, 4, dtype=torch.bool))


@pytest.mark.parametrize("shift", [-3, -2, -1, 0, 1, 2, 3])
@pytest.mark.parametrize("shape", [(2, 4, 3, 9), (1, 4, 2, 3, 9)])
def test_no_shift_repeats_a_column(shift: int, shape: tuple[int, ...]):
    left = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    disparity = torch.full((shape[0], 1, *shape[2:]), float(shift))
    warp, sources = warp_latent(left, disparity), ViewShift(disparity, ShiftForm.ROUNDED).sources
    right = torch.where(warp.filled, warp.image, unrepeated(left, sources))
    assert not (right[..., 1:] == right[..., :-1]).all(dim=-2).any()
    if abs(shift) != 1:
        assert torch.equal(right, torch.where(warp.filled, warp.image, left))
    else:
        plain = torch.where(warp.filled, warp.image, left)
        assert (plain[..., 1:] == plain[..., :-1]).all(dim=-2).any(), "filled plainly it would"


@pytest.mark.parametrize("behind", range(-2, 3))
@pytest.mark.parametrize("front", range(-2, 3))
def test_nothing_is_repeated_beside_a_surface(behind: int, front: int):
    left = torch.randn(1, 4, 5, 16, generator=torch.Generator().manual_seed(1))
    disparity = torch.full((1, 1, 5, 16), float(behind))
    disparity[..., 1:4, 5:11] = front
    warp, sources = warp_latent(left, disparity), ViewShift(disparity, ShiftForm.ROUNDED).sources
    right = torch.where(warp.filled, warp.image, unrepeated(left, sources))
    assert not (right[..., 1:] == right[..., :-1]).all(dim=1).any()


@pytest.mark.parametrize("shift", [0.7, 0.9, 1.2, -0.9])
def test_no_noise_is_repeated_where_a_surface_moves_by_about_a_column(shift: float):
    left = torch.arange(16.0).expand(1, 1, 2, 16)
    moved = ViewShift(torch.full((1, 1, 2, 16), shift), ShiftForm.SUB_COLUMN)
    holes = unrepeated(left, moved.sources)
    noise = torch.where(moved.filled, moved.copies(left, holes), holes)[0, 0, 0]
    assert (noise[1:] != noise[:-1]).all() and not moved.filled.all()
