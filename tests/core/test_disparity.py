"""The stereo geometry, and fitting maps to another grid."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stereo_core.disparity_preview import disparity_preview
from stereo_core.frame_matching import match_frames, resize_nearest
from stereo_core.geometry import StereoGeometry, describe

DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def inverse_depth(frames: int = 3, height: int = 4, width: int = 6) -> torch.Tensor:
    return torch.rand(frames, 1, height, width, generator=torch.Generator().manual_seed(1))


def test_columns_are_percent_of_the_width_from_the_convergence():
    ends = torch.tensor([0.0, 0.25, 0.5, 1.0]).view(1, 1, 1, 4)
    columns = StereoGeometry(max_disparity=3.0, convergence=0.5).columns(ends, 1000)
    torch.testing.assert_close(columns.flatten(), torch.tensor([-15.0, -7.5, 0.0, 15.0]))


def test_the_exponent_bends_the_depth_before_the_convergence():
    half = torch.full((1, 1, 1, 1), 0.5)
    assert StereoGeometry(10, 0.25, 2).columns(half, 100).item() == 0
    assert StereoGeometry(10, 0, 2).columns(half, 100).item() == 2.5


def test_no_disparity_moves_nothing():
    assert not StereoGeometry(max_disparity=0).columns(inverse_depth(), 64).any()


@pytest.mark.parametrize("exponent", [0.45, 1.0, 1.7, 2.0])
def test_a_still_clip_gives_equal_frames_to_the_bit(exponent):
    still = inverse_depth(1, 37, 41)
    for clip in (still.expand(5, -1, -1, -1), still.repeat(5, 1, 1, 1)):
        columns = StereoGeometry(5, 0.5, exponent).columns(clip, 41)
        assert (columns == columns[0]).all()


def test_the_input_is_left_alone():
    near = inverse_depth()
    kept = near.clone()
    StereoGeometry().columns(near, 64)
    assert torch.equal(near, kept)


@pytest.mark.parametrize("dtype", DTYPES)
def test_columns_are_float32_and_each_frame_its_own(dtype):
    near = inverse_depth().to(dtype)
    columns = StereoGeometry(4, 0.3, 1.5).columns(near, 64)
    assert columns.dtype == torch.float32
    assert torch.equal(columns, torch.cat([StereoGeometry(4, 0.3, 1.5).columns(one, 64) for one in near.split(1)]))
    torch.testing.assert_close(columns, 4 / 100 * 64 * (near.float() ** 1.5 - 0.3))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_disparity": 101}, "max_disparity: got 101"),
        ({"max_disparity": float("nan")}, "max_disparity: got nan"),
        ({"convergence": -0.1}, "convergence: got -0.1"),
        ({"convergence": 1.1}, "convergence: got 1.1"),
        ({"exponent": 0}, "exponent: got 0"),
        ({"exponent": float("inf")}, "exponent: got inf"),
    ],
)
def test_a_geometry_out_of_range_is_refused(values, message):
    with pytest.raises(ValueError, match=f"^{message}. Give "):
        StereoGeometry(**values)


def test_columns_refuse_what_is_no_inverse_depth():
    geometry = StereoGeometry()
    with pytest.raises(ValueError, match=r"inverse_depth: expected \(B, 1, H, W\), got \(2, 3\)"):
        geometry.columns(torch.zeros(2, 3), 8)
    with pytest.raises(ValueError, match="inverse_depth: values must lie in .0, 1., got 0 to 2. Use normalize"):
        geometry.columns(torch.tensor([0.0, 2.0]).view(1, 1, 1, 2), 8)
    with pytest.raises(ValueError, match="got nan to nan"):
        geometry.columns(torch.tensor([0.0, float("nan")]).view(1, 1, 1, 2), 8)
    with pytest.raises(ValueError, match="width: got 0"):
        geometry.columns(torch.zeros(1, 1, 1, 1), 0)


def test_describe_gives_the_extent_in_columns_and_per_mille():
    columns = torch.linspace(-10, 30, 401).view(1, 1, 1, 401)
    span = describe(columns, 1000)
    assert (span.nearest, span.farthest, span.width) == (30, -10, 1000)
    assert (span.nearest_per_mille, span.farthest_per_mille) == (30, -10)
    assert span.typical_nearest == pytest.approx(29.6)
    assert span.typical_farthest == pytest.approx(-9.6)


def test_typical_disparity_is_blind_to_single_pixels_and_cheap_on_large_maps():
    columns = torch.zeros(2, 1, 700, 900, dtype=torch.float16)
    columns[0, 0, 3, 4] = 500
    span = describe(columns, 900)
    assert (span.nearest, span.typical_nearest) == (500, 0)


def test_describe_refuses_nothing_and_nan():
    with pytest.raises(ValueError, match="columns: holds no value"):
        describe(torch.zeros(0, 1, 2, 2), 2)
    with pytest.raises(ValueError, match="columns: holds NaN or infinite"):
        describe(torch.tensor([1.0, float("nan")]), 2)
    with pytest.raises(ValueError, match="width: got 0"):
        describe(torch.zeros(2), 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_resizing_never_makes_a_value_that_was_not_there(dtype):
    edge = torch.tensor([0.0, 1.0]).repeat_interleave(5).expand(3, 1, 7, 10).to(dtype)
    for size in ((3, 4), (14, 20), (5, 33)):
        resized = resize_nearest(edge, size)
        assert resized.shape == (3, 1, *size)
        assert resized.dtype == dtype
        assert set(resized.flatten().tolist()) == {0.0, 1.0}


def test_resizing_takes_the_pixel_under_the_centre():
    row = torch.arange(6.0).view(1, 1, 1, 6)
    assert resize_nearest(row, (1, 2)).flatten().tolist() == [1, 4]
    assert resize_nearest(row, (1, 6)) is row


def test_resizing_refuses_an_empty_size():
    with pytest.raises(ValueError, match=r"size: got \(0, 4\)"):
        resize_nearest(torch.zeros(1, 1, 2, 2), (0, 4))


def numbered(frames: int) -> torch.Tensor:
    return torch.arange(float(frames)).view(-1, 1, 1, 1)


def test_equal_counts_and_single_maps_are_not_copied():
    depth = numbered(5)
    assert torch.equal(match_frames(depth, 5), depth)
    one = match_frames(numbered(1), 4)
    assert one.shape == (4, 1, 1, 1)
    assert one.data_ptr() == match_frames(one, 4).data_ptr()


@pytest.mark.parametrize(
    ("maps", "frames", "taken"),
    [(9, 3, [0, 2, 6]), (17, 3, [0, 4, 12]), (7, 3, [0, 2, 5]), (5, 3, [0, 1, 3]), (13, 2, [0, 6])],
)
def test_a_video_latent_frame_takes_the_middle_of_its_frames(maps, frames, taken):
    assert match_frames(numbered(maps), frames).flatten().tolist() == taken


@given(ratio=st.integers(2, 12), later=st.integers(1, 20))
def test_every_taken_map_lies_in_its_own_group(ratio, later):
    taken = match_frames(numbered(later * ratio + 1), later + 1).flatten().tolist()
    assert taken[0] == 0
    assert all(ratio * (k - 1) + 1 <= taken[k] <= ratio * k for k in range(1, later + 1))


@pytest.mark.parametrize(("maps", "frames"), [(8, 3), (2, 3), (3, 2 + 3), (4, 1)])
def test_counts_that_fit_in_no_way_are_refused(maps, frames):
    with pytest.raises(ValueError, match=f"^depth: {maps} maps do not fit {frames} frames"):
        match_frames(numbered(maps), frames)


def test_no_frames_are_refused():
    with pytest.raises(ValueError, match="frames: got 0"):
        match_frames(numbered(2), 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_preview_is_warm_in_front_cool_behind_and_neutral_on_the_screen(dtype):
    columns = torch.tensor([-9.0, -2.0, 0.0, 2.0, 9.0], dtype=dtype).view(1, 1, 1, 5)
    red, green, blue = disparity_preview(columns, limit=4)[0, :, 0]
    assert (red[2] == green[2]) & (green[2] == blue[2])
    assert (red[3:] > blue[3:] + 0.2).all()
    assert (blue[:2] > red[:2] + 0.2).all()
    saturated = disparity_preview(columns.sign() * 4, limit=4)[0, :, 0]
    assert torch.equal(torch.stack([red, green, blue])[:, [0, 4]], saturated[:, [0, 4]])


def test_the_preview_gets_steadily_darker_away_from_the_screen():
    preview = disparity_preview(torch.linspace(-1, 1, 201).view(1, 1, 1, 201))[0, :, 0]
    luma = (preview * torch.tensor([[0.2126], [0.7152], [0.0722]])).sum(0)
    assert (luma[:101].diff() > 0).all()
    assert (luma[100:].diff() < 0).all()


def test_the_preview_has_one_scale_for_the_batch_and_takes_a_flat_map():
    columns = torch.tensor([[1.0], [2.0]]).view(2, 1, 1, 1)
    assert torch.equal(disparity_preview(columns), disparity_preview(columns, limit=2))
    flat = disparity_preview(torch.zeros(2, 1, 3, 4))
    assert flat.shape == (2, 3, 3, 4)
    assert (flat == flat[0, 0, 0, 0]).all()


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_the_preview_refuses_a_limit_of_nothing(limit):
    with pytest.raises(ValueError, match=re.escape(f"limit: got {limit}")):
        disparity_preview(torch.zeros(1, 1, 1, 1), limit)
