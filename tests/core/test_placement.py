"""Where a generated view lies: its pixels, its mirror beyond them, and how content tells crops from scaled views."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from stereo_core.metrics import psnr
from stereo_core.placement import Placement, find_placement, place_view, placements


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """(1, 3, H, W) in [0, 1] with details of some pixels."""
    noise = torch.rand(1, 3, height // 4, width // 4, generator=torch.Generator().manual_seed(seed))
    return functional.interpolate(noise, (height, width), mode="bicubic").clamp(0, 1)


def resized(view: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return functional.interpolate(view, size, mode="bicubic", antialias=True).clamp(0, 1)


def find(view: torch.Tensor, truth: torch.Tensor) -> Placement:
    """Find the placement; the colours are others, a third of the picture does not count and is something else."""
    visible = torch.ones_like(truth[:, :1], dtype=torch.bool)
    visible[..., -truth.shape[-1] // 3 :] = False
    shown = truth.where(visible, picture(*truth.shape[-2:], seed=9))
    return find_placement(placements(tuple(view.shape[-2:]), tuple(truth.shape[-2:])), 0.2 + 0.5 * view, shown, visible)


@pytest.mark.parametrize("stride", [8, 16, 32])
@pytest.mark.parametrize("size", [(135, 190), (128, 203), (159, 191)])
def test_a_crop_at_the_middle_goes_back_to_its_place(size: tuple[int, int], stride: int):
    truth = picture(*size)
    rows, columns = (side // stride * stride for side in size)
    top, left = (size[0] - rows) // 2, (size[1] - columns) // 2
    crop = truth[..., top : top + rows, left : left + columns]
    place = find(crop, truth)
    assert place == (top, left, rows, columns)
    back = place_view(crop, place, size)
    assert torch.equal(back[..., top : top + rows, left : left + columns], crop)
    assert torch.equal(
        back[..., left + columns :], back[..., 2 * left + 2 * columns - size[1] - 1 : left + columns - 1].flip(-1)
    )


@pytest.mark.parametrize("size", [(128, 184), (67, 95), (270, 380)])
def test_a_scaled_view_fits_the_whole_picture(size: tuple[int, int]):
    truth = picture(135, 190)
    assert find(resized(truth, size), truth) == (0, 0, 135, 190)


@pytest.mark.parametrize(
    ("size", "scaled"), [((400, 600), (200, 300)), ((400, 600), (600, 900)), ((375, 450), (188, 225))]
)
def test_a_view_that_was_scaled_and_then_cropped_is_found_by_its_content(
    size: tuple[int, int], scaled: tuple[int, int]
):
    truth = picture(*size)
    rows, columns = (side // 16 * 16 for side in scaled)
    whole = resized(truth, scaled)
    top, left = ((side - shown) // 2 for side, shown in zip(scaled, (rows, columns), strict=True))
    crop = whole[..., top : top + rows, left : left + columns]
    place = find(crop, truth)
    expected = rows * size[0] / scaled[0], columns * size[1] / scaled[1]
    assert place[2:] == pytest.approx(expected, abs=1.0)
    stretched = psnr(resized(crop, size), truth)
    assert psnr(place_view(crop, place, size), truth) > stretched + 3


def test_sizes_alone_tell_where_they_can():
    assert placements((64, 96), (64, 96)) == [Placement(0, 0, 64, 96)]
    assert placements((64, 64), (128, 256)) == []  # another shape
    assert placements((64, 96), (70, 101)) == [Placement(3, 2, 64, 96), Placement(0, 0, 70, 101)]


def test_where_content_tells_nothing_the_sizes_do():
    flat = torch.full((1, 3, 70, 101), 0.5)
    everywhere = torch.ones(1, 1, 70, 101, dtype=torch.bool)
    assert find_placement(placements((64, 96), (70, 101)), flat[..., :64, :96], flat, everywhere).top == 3


@pytest.mark.parametrize(("view", "size"), [((1, 1), (7, 5)), ((1, 3), (2, 40)), ((1, 40), (33, 64))])
def test_tiny_pictures_are_found_too(view: tuple[int, int], size: tuple[int, int]):
    shown, visible = torch.rand(1, 3, *view), torch.ones(1, 1, *size, dtype=torch.bool)
    candidates = placements(view, size)
    place = find_placement(candidates, shown, torch.rand(1, 3, *size), visible)
    assert place in candidates
    assert all(place_view(shown, each, size).shape == (1, 3, *size) for each in candidates)


def test_the_whole_picture_is_itself():
    view = picture(40, 60)
    assert place_view(view, Placement(0, 0, 40, 60), (40, 60)) is view


def test_shapes_are_named():
    place, view = Placement(0, 0, 8, 8), torch.zeros(1, 3, 8, 8)
    with pytest.raises(ValueError, match="view: expected"):
        place_view(view[0], place, (8, 8))
    with pytest.raises(ValueError, match="visible: expected"):
        find_placement([place], view, view, view)
