"""Strips at the borders of views: closed forms, and against what is rendered."""

from __future__ import annotations

import pytest
import torch

from stereo_core.rendering import render_view
from stereo_core.view_borders import (
    Strips,
    crop,
    describe_strips,
    entering,
    floating_windows,
    masked,
    screen_shift,
)
from stereo_core.warping import View

WIDTH = 40


def plane(disparity: float, width: int = WIDTH) -> torch.Tensor:
    return torch.full((2, 1, 6, width), disparity)


def slopes(seed: int = 0) -> torch.Tensor:
    """Rows of random depth that rise or fall: surfaces without an edge."""
    first, last = 24 * torch.rand(2, 2, 1, 12, 1, generator=torch.Generator().manual_seed(seed)) - 12
    return torch.lerp(first, last, torch.linspace(0, 1, WIDTH))


ONE_SCENE, CUT = torch.tensor([True, False]), torch.tensor([True, True])


def holes(disparity: torch.Tensor, view: View = View.RIGHT, edge_growth: int = 0) -> torch.Tensor:
    return render_view(
        torch.zeros(len(disparity), 3, *disparity.shape[-2:]), disparity, view=view, edge_growth=edge_growth
    ).hole


@pytest.mark.parametrize(("disparity", "expected"), [(3.0, (0, 3)), (-5.0, (5, 0)), (0.0, (0, 0)), (50.0, (40, 40))])
def test_a_plane_leaves_its_disparity(disparity: float, expected: tuple[int, int]):
    assert entering(holes(plane(disparity))) == expected
    assert entering(holes(plane(disparity), View.LEFT)) == expected[::-1]


def test_the_widest_row_of_all_frames_decides_and_holes_within_do_not_count():
    hole = torch.zeros(2, 1, 5, 10, dtype=torch.bool)
    hole[0, 0, 1, :2] = hole[1, 0, 3, -3:] = hole[..., 4:6] = True
    assert entering(hole) == (2, 3)


def test_a_crop_has_even_sides_and_no_strip():
    assert crop([Strips(3, 1), Strips(0, 4)], (9, 40)) == (slice(0, 8), slice(3, 35))
    assert crop([Strips(0, 0)], (8, 40)) == (slice(0, 8), slice(0, 40))


@pytest.mark.parametrize(("size", "told"), [((1, 40), "40x1"), ((40, 1), "1x40")])
def test_a_crop_of_what_is_too_small_is_told_by_its_size(size: tuple[int, int], told: str):
    with pytest.raises(ValueError, match=f"^image: is {told}, and crop needs at least 2x2 pixels"):
        crop([Strips(0, 0)], size)


def test_a_crop_of_everything_is_refused_by_name():
    with pytest.raises(ValueError, match="borders: 20 columns at the left and 19 at the right enter a picture 40 wide"):
        crop([Strips(20, 19)], (8, 40))


def test_the_window_has_the_disparity_of_the_nearest_point_at_each_border():
    disparity = plane(-2.0)
    disparity[1, 0, 2, 0], disparity[0, 0, 3, -1] = 2.5, 4.0
    assert floating_windows(disparity, ONE_SCENE) == [(3, 4)] * 2
    assert floating_windows(disparity, CUT) == [(0, 4), (3, 0)]
    assert floating_windows(plane(-2.0), ONE_SCENE) == [(0, 0)] * 2  # nothing stands in front of the screen
    assert floating_windows(plane(90.0), ONE_SCENE) == [(40, 40)] * 2


def test_behind_a_floating_window_both_eyes_see_the_same_columns():
    """A plane in front of the screen: without the masks the eyes' pictures differ by d columns at either side."""
    source = torch.arange(1.0, WIDTH + 1).expand(1, 3, 6, WIDTH)
    disparity = plane(3.0)[:1]
    left, right = source, render_view(source, disparity).image
    window = floating_windows(disparity, CUT[:1])[0]
    left, right = masked(left, [Strips(window.left, 0)]), masked(right, [Strips(0, window.right)])
    assert left.unique().tolist() == right.unique().tolist() == [0.0, *range(4, WIDTH + 1)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("balance", "edge_growth"), [(0.0, 0), (0.0, 2), (0.5, 0), (1.0, 1)])
def test_with_the_screen_at_the_nearest_border_point_nothing_enters_there(balance: float, edge_growth: int, seed: int):
    disparity = slopes(seed)
    moved = disparity - screen_shift(disparity, ONE_SCENE, balance, edge_growth)
    right = entering(holes(moved * (1 - balance), View.RIGHT, edge_growth))
    left = entering(holes(moved * balance, View.LEFT, edge_growth))
    assert right.right == 0 and left.left == 0


def test_a_mask_leaves_the_rest_and_what_it_was_made_from():
    view = torch.ones(2, 3, 2, 6)
    dark = masked(view, [Strips(1, 2), Strips(0, 0)])
    assert view.all() and dark[1].all()
    assert dark[0].sum(1)[:, None].eq(torch.tensor([0, 2, 2, 2, 0, 0])).all()
    assert masked(view, [Strips(0, 0)] * 2) is view


def test_the_screen_stays_where_nothing_enters():
    assert not screen_shift(plane(-2.0), ONE_SCENE, 0.5).any()
    disparity = plane(-2.0)
    disparity[0, 0, 1, 0] = 3.0
    assert not screen_shift(disparity, ONE_SCENE, 0.0).any()  # at the left border the right view loses
    for balance in (0.5, 1.0):
        assert screen_shift(disparity, ONE_SCENE, balance).flatten().tolist() == [3.0, 3.0]
        assert screen_shift(disparity, CUT, balance).flatten().tolist() == [3.0, 0.0]


def test_widths_are_told_in_pixels_and_per_mille():
    said = describe_strips({View.RIGHT: Strips(0, 12)}, 1920)
    assert said == "strips that enter the right view: left 0.0 ‰ (0 px), right 6.2 ‰ (12 px)"


def test_shapes_are_named():
    wrong = torch.zeros(2, 3, 4, 4)
    for function in (entering, lambda it: floating_windows(it, CUT), lambda it: screen_shift(it, CUT, 0.0)):
        with pytest.raises(ValueError, match="expected"):
            function(wrong)
    with pytest.raises(ValueError, match="scene_starts: expected"):
        floating_windows(plane(0.0), CUT[:1])


def test_what_grows_into_the_border_counts():
    disparity = plane(-2.0)
    disparity[..., -3] = 5.0
    assert not screen_shift(disparity, ONE_SCENE, 0.0, edge_growth=0).any()
    assert screen_shift(disparity, ONE_SCENE, 0.0, edge_growth=1).flatten().tolist() == [5.0, 5.0]
