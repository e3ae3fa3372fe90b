"""The stereo geometry: disparity in columns, exact and in whole columns."""

from __future__ import annotations

import pytest
import torch

from stereo_core.geometry import StereoGeometry, describe

DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def inverse_depth(frames: int = 3, height: int = 4, width: int = 6) -> torch.Tensor:
    return torch.rand(frames, 1, height, width, generator=torch.Generator().manual_seed(1))


def test_columns_are_percent_of_the_width_from_the_convergence():
    ends = torch.tensor([0.0, 0.25, 0.5, 1.0]).view(1, 1, 1, 4)
    disparity = StereoGeometry(max_disparity=3.0, convergence=0.5).disparity(ends, 1000)
    torch.testing.assert_close(disparity.flatten(), torch.tensor([-15.0, -7.5, 0.0, 15.0]))


def test_the_exponent_bends_the_depth_before_the_convergence():
    half = torch.full((1, 1, 1, 1), 0.5)
    assert StereoGeometry(10, 0.25, 2).disparity(half, 100).item() == 0
    assert StereoGeometry(10, 0, 2).disparity(half, 100).item() == 2.5


def test_no_disparity_moves_nothing():
    assert not StereoGeometry(max_disparity=0).disparity(inverse_depth(), 64).any()


@pytest.mark.parametrize("exponent", [0.45, 1.0, 1.7, 2.0])
def test_a_still_clip_gives_equal_frames_to_the_bit(exponent):
    still = inverse_depth(1, 37, 41)
    for clip in (still.expand(5, -1, -1, -1), still.repeat(5, 1, 1, 1)):
        disparity = StereoGeometry(5, 0.5, exponent).disparity(clip, 41)
        assert (disparity == disparity[0]).all()


def test_the_input_is_left_alone():
    near = inverse_depth()
    kept = near.clone()
    StereoGeometry().disparity(near, 64)
    assert torch.equal(near, kept)


@pytest.mark.parametrize("dtype", DTYPES)
def test_columns_are_float32_and_each_frame_its_own(dtype):
    near = inverse_depth().to(dtype)
    disparity = StereoGeometry(4, 0.3, 1.5).disparity(near, 64)
    assert disparity.dtype == torch.float32
    assert torch.equal(disparity, torch.cat([StereoGeometry(4, 0.3, 1.5).disparity(one, 64) for one in near.split(1)]))
    torch.testing.assert_close(disparity, 4 / 100 * 64 * (near.float() ** 1.5 - 0.3))


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
        geometry.disparity(torch.zeros(2, 3), 8)
    with pytest.raises(ValueError, match="inverse_depth: values must lie in .0, 1., got 0 to 2. Use normalize"):
        geometry.disparity(torch.tensor([0.0, 2.0]).view(1, 1, 1, 2), 8)
    with pytest.raises(ValueError, match="got nan to nan"):
        geometry.disparity(torch.tensor([0.0, float("nan")]).view(1, 1, 1, 2), 8)
    with pytest.raises(ValueError, match="width: got 0"):
        geometry.disparity(torch.zeros(1, 1, 1, 1), 0)


def test_describe_gives_the_extent_in_columns_and_per_mille():
    disparity = torch.linspace(-10, 30, 401).view(1, 1, 1, 401)
    span = describe(disparity, 1000)
    assert (span.nearest, span.farthest, span.width) == (30, -10, 1000)
    assert (span.nearest_per_mille, span.farthest_per_mille) == (30, -10)


def test_describe_refuses_nothing_and_nan():
    with pytest.raises(ValueError, match="disparity: holds no value"):
        describe(torch.zeros(0, 1, 2, 2), 2)
    with pytest.raises(ValueError, match="disparity: holds NaN or infinite"):
        describe(torch.tensor([1.0, float("nan")]), 2)
    with pytest.raises(ValueError, match="width: got 0"):
        describe(torch.zeros(2), 0)


def test_whole_columns_are_the_papers_truncation_when_everything_is_in_front():
    near = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    geometry = StereoGeometry(9.0, 0.0, 1.5)
    expected = [[int(0.09 * 64 * value**1.5) for value in row] for row in near.reshape(-1, 16).tolist()]
    assert geometry.whole_disparity(near, 64).reshape(-1, 16).tolist() == expected


def test_convergence_moves_the_whole_view_by_whole_columns_and_loses_none():
    near = torch.linspace(0, 1, 64).reshape(1, 1, 1, 64)
    in_front = StereoGeometry(3.0, 0.0).whole_disparity(near, 64)  # 1.92 columns: 0 and 1
    around = StereoGeometry(3.0, 0.5).whole_disparity(near, 64)
    assert torch.equal(around, in_front - 1)
    assert around.unique().tolist() == [-1.0, 0.0]
