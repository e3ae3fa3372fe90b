"""Depth with its geometry: the disparity of every grid that is shifted."""

from __future__ import annotations

import pytest
import torch

from stereo_core.geometry import StereoGeometry
from stereo_core.stereo_depth import StereoDepth, one_for_each
from stereo_core.view_shift import ShiftForm


def ramp(maps: int = 1, height: int = 32, width: int = 64) -> torch.Tensor:
    return torch.linspace(0, 1, width).expand(maps, 1, height, width)


def test_a_map_gives_the_disparity_of_its_own_grid():
    depth = StereoDepth(ramp(2), StereoGeometry(10, 0.5))
    torch.testing.assert_close(depth.disparity(), (ramp(2) - 0.5) * 6.4)
    torch.testing.assert_close(depth.for_pictures(2), depth.disparity())
    assert StereoDepth(ramp(), StereoGeometry()).for_pictures(3).shape == (3, 1, 32, 64)


def test_a_latent_gets_the_disparity_of_its_own_grid_in_the_form_it_is_shifted_by():
    depth = StereoDepth(ramp(), StereoGeometry(50, 0.25))
    exact = depth.for_latent((2, 4, 4, 8))
    assert exact.shape == (2, 1, 4, 8) and exact.dtype == torch.float32
    torch.testing.assert_close(exact[0, 0, 0], (ramp()[0, 0, 0, 4::8] - 0.25) * 4)
    assert torch.equal(depth.for_latent((2, 4, 4, 8), form=ShiftForm.ROUNDED), exact.round())
    # The papers' truncation, beside which the convergence moves the whole view by its own nearest column.
    assert torch.equal(depth.for_latent((2, 4, 4, 8), form=ShiftForm.TRUNCATED), (exact + 1).trunc() - 1)


@pytest.mark.parametrize("form", [ShiftForm.ROUNDED, ShiftForm.TRUNCATED])
@pytest.mark.parametrize(("width", "percent", "convergence"), [(24, 1.0, 0.5), (8, 3.0, 0.0), (12, 2.0, 1.0)])
def test_whole_columns_that_move_nothing_are_refused_with_the_least_that_does(
    form: ShiftForm, width: int, percent: float, convergence: float
):
    latent = (1, 4, width // 2, width)
    with pytest.raises(ValueError, match=f"^max_disparity: {percent:g} % moves nothing.*or max_disparity to") as told:
        StereoDepth(ramp(), StereoGeometry(percent, convergence)).for_latent(latent, form=form)
    least = float(str(told.value).split("or max_disparity to ")[1].split(" ")[0])
    assert StereoDepth(ramp(), StereoGeometry(least, convergence)).for_latent(latent, form=form).any()
    with pytest.raises(ValueError, match="moves nothing"):
        StereoDepth(ramp(), StereoGeometry(least - 0.2, convergence)).for_latent(latent, form=form)


def test_no_disparity_is_advised_that_no_node_takes():
    flat = StereoDepth(torch.full((1, 1, 4, 8), 0.45), StereoGeometry(30.0, 0.5))
    with pytest.raises(ValueError, match="30 % moves nothing here.* Set shift to sub_column.$"):
        flat.for_latent((1, 4, 4, 8), form=ShiftForm.ROUNDED)
    with pytest.raises(ValueError, match="Set shift of Stereo Video Options to sub_column.$"):
        flat.for_latent((1, 4, 4, 8), form=ShiftForm.ROUNDED, options="Stereo Video Options")


def test_depth_that_lies_on_the_screen_is_no_mistake():
    flat = StereoDepth(torch.full((1, 1, 4, 8), 0.5), StereoGeometry(3.0, 0.5))
    assert not flat.for_latent((1, 4, 4, 8), form=ShiftForm.ROUNDED).any()
    assert not StereoDepth(ramp(), StereoGeometry(0.0)).for_latent((1, 4, 4, 8), form=ShiftForm.TRUNCATED).any()


@pytest.mark.parametrize("maps", [1, 3, 9])
def test_a_video_latent_takes_a_map_for_each_frame_of_either_clip(maps: int):
    frames = torch.linspace(0.1, 0.9, maps).view(-1, 1, 1, 1).expand(-1, -1, 8, 16)
    disparity = StereoDepth(frames, StereoGeometry(100, 0.0)).for_latent((1, 16, 3, 8, 16), time_ratio=4)
    assert disparity.shape == (1, 1, 3, 8, 16)
    taken = {1: [0, 0, 0], 3: [0, 1, 2], 9: [0, 2, 6]}[maps]
    torch.testing.assert_close(disparity[0, 0, :, 0, 0], frames[taken, 0, 0, 0] * 16)


def test_another_number_of_maps_is_refused():
    depth = StereoDepth(ramp(2, 8, 16), StereoGeometry())
    with pytest.raises(ValueError, match="^depth holds 2 maps for 3 pictures. Give one for each"):
        depth.for_pictures(3)
    with pytest.raises(ValueError, match="^depth holds 2 maps for 4 pictures"):
        depth.for_latent((4, 4, 8, 16))
    with pytest.raises(ValueError, match=r"2 maps for a clip of 9 frames \(3 in its latent\)"):
        depth.for_latent((1, 16, 3, 8, 16), time_ratio=4)
    with pytest.raises(ValueError, match="depth: 2 maps do not fit 3 frames"):
        depth.for_latent((1, 16, 3, 8, 16))


@pytest.mark.parametrize(("height", "width", "fits"), [(8, 16, True), (8, 17, True), (8, 20, False), (16, 8, False)])
def test_a_map_of_another_shape_is_refused(height: int, width: int, fits: bool):
    depth = StereoDepth(ramp(), StereoGeometry())
    if fits:
        assert depth.for_latent((1, 4, height, width)).shape == (1, 1, height, width)
        return
    with pytest.raises(ValueError, match=f"depth is 64x32, of another shape .* 2.00 instead of {width / height:.2f}"):
        depth.for_latent((1, 4, height, width))


def test_maps_are_shared_out_without_a_copy():
    maps = ramp(1)
    assert one_for_each(maps, 3).data_ptr() == maps.data_ptr()
    with pytest.raises(ValueError, match=r"inverse_depth: expected \(N, 1, H, W\)"):
        StereoDepth(torch.zeros(2, 3), StereoGeometry())


def test_pictures_with_a_time_axis_of_one_frame_have_a_map_each():
    maps = torch.rand(3, 1, 8, 16, generator=torch.Generator().manual_seed(1))
    depth = StereoDepth(maps, StereoGeometry(25.0))
    pictures = depth.for_latent((3, 16, 8, 16), time_ratio=4)
    assert torch.equal(depth.for_latent((3, 16, 1, 8, 16), time_ratio=4), pictures.unsqueeze(2))
    with pytest.raises(ValueError, match="3 maps for 2 pictures"):
        depth.for_latent((2, 16, 1, 8, 16), time_ratio=4)


def test_a_convergence_of_each_map_goes_with_it_to_every_grid():
    depth = StereoDepth(ramp(3), StereoGeometry(10, 0.9), torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1))
    for disparity in (depth.disparity(), depth.for_pictures(3), depth.for_latent((3, 4, 4, 8))):
        width = disparity.shape[-1]
        middle = disparity.mean((1, 2, 3)) / width
        torch.testing.assert_close(middle, torch.tensor([0.05, 0.0, -0.05]), rtol=0, atol=1e-3)
    last = depth.select(lambda maps: maps[2:])
    torch.testing.assert_close(last.disparity(), depth.disparity()[2:])
    whole = depth.for_latent((3, 4, 16, 32), form=ShiftForm.TRUNCATED)
    assert torch.equal(whole[0] - whole[2], torch.full_like(whole[0], 3))  # 3.2 columns


def test_a_smaller_map_becomes_the_pictures_with_sharp_edges_and_smooth_surfaces():
    small = torch.linspace(0, 0.1, 16).expand(1, 1, 8, 16).clone()
    small[..., 8:] += 0.8
    disparity = StereoDepth(small, StereoGeometry(100, 0.0)).for_pictures(1, (32, 64)) / 64
    assert disparity.shape == (1, 1, 32, 64)
    steps = disparity[0, 0, 16].diff()
    assert steps[31] > 0.79 and steps[31].item() == steps.max().item(), "the edge is one step, in the middle"
    assert steps[:24].max() < 0.5 * 0.1 / 15 and steps[:24].min() >= 0, "surfaces rise evenly"
    with pytest.raises(ValueError, match="depth is 16x8, of another shape than the picture"):
        StereoDepth(small, StereoGeometry()).for_pictures(1, (32, 48))


@pytest.mark.parametrize(
    ("small", "picture", "fits"),
    [
        ((20, 31), (40, 60), True),  # rounded to its own rows and columns
        ((282, 500), (563, 1001), True),
        ((20, 33), (40, 60), False),
        ((282, 500), (563, 900), False),
    ],
)
def test_a_small_maps_own_rounding_is_no_other_shape(
    small: tuple[int, int], picture: tuple[int, int], fits: bool
) -> None:
    depth = StereoDepth(torch.zeros(1, 1, *small), StereoGeometry())
    if fits:
        depth.expect_aspect(*picture)
        return
    with pytest.raises(ValueError, match="of another shape"):
        depth.expect_aspect(*picture)
