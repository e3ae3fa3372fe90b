"""Fitting maps to another grid."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stereo_core.frame_matching import match_frames, resize_nearest

DTYPES = [torch.float32, torch.float16, torch.bfloat16]


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
