"""Windows over a clip cover it, and come together without a seam."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stereo_core.windows import blend_windows, plan_windows


@st.composite
def plans(draw: st.DrawFn) -> tuple[int, int, int]:
    frames = draw(st.integers(1, 40))
    window = draw(st.integers(1, frames))
    return frames, window, draw(st.integers(0, window - 1))


@given(plans())
def test_windows_cover_the_clip_in_order_and_share_what_was_asked(plan: tuple[int, int, int]):
    frames, window, overlap = plan
    windows = plan_windows(frames, window, overlap)
    assert windows[0].start == 0 and windows[-1].stop == frames
    assert all(part.stop - part.start == window for part in windows)
    for before, after in zip(windows[:-1], windows[1:], strict=True):
        assert before.start < after.start and before.stop - after.start >= overlap
    assert all(before.stop - after.start == overlap for before, after in zip(windows[:-2], windows[1:-1], strict=True))


@given(plans())
def test_windows_that_agree_are_the_clip_to_the_bit(plan: tuple[int, int, int]):
    clip = torch.randn(plan[0], 1, 2, 3, generator=torch.Generator().manual_seed(1))
    windows = plan_windows(*plan)
    assert torch.equal(blend_windows([clip[part] for part in windows], windows), clip)


def test_windows_that_differ_fade_linearly():
    windows = plan_windows(9, 6, 3)
    clip = blend_windows([torch.zeros(6, 1, 1, 1), torch.ones(6, 1, 1, 1)], windows)
    assert clip.flatten().tolist() == [0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1]


@pytest.mark.parametrize("window", [0, 7, 8, 49])
def test_no_window_and_one_as_long_as_the_clip_are_the_whole_clip(window: int):
    assert plan_windows(7, window, 99) == [slice(0, 7)]


@pytest.mark.parametrize(
    "plan, message",
    [
        ((5, -1, 0), "window: got -1. Give a number of frames"),
        ((5, 4, 4), "overlap: 4 frames of a window of 4. Give 0 to 3"),
        ((5, 4, -1), "overlap: -1 frames"),
    ],
)
def test_what_does_not_fit_is_refused(plan: tuple[int, int, int], message: str):
    with pytest.raises(ValueError, match=message):
        plan_windows(*plan)
