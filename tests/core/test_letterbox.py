"""Black bars are found where they are, and a dark picture is none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stereo_core.depth_range import DepthRange, normalize_inverse_depth
from stereo_core.letterbox import BlackLines, find_picture

from .kept_states import LENGTHS, taken_up_again


def clip(top: int = 0, bottom: int = 0, left: int = 0, right: int = 0, black: float = 0.02) -> Tensor:
    frames = 0.3 + 0.7 * torch.rand(3, 3, 40, 60, generator=torch.Generator().manual_seed(0))
    rows, columns = torch.arange(40)[:, None], torch.arange(60)
    shown = (rows >= top) & (rows < 40 - bottom) & (columns >= left) & (columns < 60 - right)
    return torch.where(shown, frames, black * torch.rand(frames.shape))


@pytest.mark.parametrize("bars", [(0, 0, 0, 0), (5, 5, 0, 0), (0, 0, 8, 8), (5, 6, 7, 8)])
def test_the_picture_lies_within_the_bars(bars: tuple[int, int, int, int]):
    top, bottom, left, right = bars
    assert find_picture(clip(*bars)) == (slice(top, 40 - bottom), slice(left, 60 - right))


def test_what_is_black_in_one_frame_alone_is_no_bar():
    frames = clip(5, 5)
    frames[1] = clip()[1]
    assert find_picture(frames) == (slice(0, 40), slice(0, 60))


def test_videos_black_a_stray_pixel_and_a_subtitle_are_a_bar_all_the_same():
    frames = clip(6, 6, black=0.0)
    bars = (torch.arange(40) < 6) | (torch.arange(40) >= 34)
    frames[..., bars, :] = 16 / 255
    frames[1, :, 0, 7] = 1.0
    frames[:, :, 36:38, 20:40] = 1.0
    assert find_picture(frames) == (slice(6, 34), slice(0, 60))


def test_a_dark_picture_is_all_picture():
    assert find_picture(torch.zeros(2, 3, 40, 60)) == (slice(0, 40), slice(0, 60))
    assert find_picture(clip(18, 18)) == (slice(0, 40), slice(0, 60))


@pytest.mark.parametrize("frames", LENGTHS)
def test_with_a_saved_state_it_finds_the_bars_of_the_whole_clip(frames: int):
    generator = torch.Generator().manual_seed(frames)
    scene = clip(5, 6, 7, 8)[:1].repeat(frames, 1, 1, 1)
    scene[:, :, :5] = 0.1 * torch.rand(frames, 3, 5, 60, generator=generator)  # on the verge of black
    scene[::2, :, 36:38, 10:30] = 1.0
    state = None
    for frame in scene:
        here = BlackLines.of(frame)
        state = taken_up_again(here if state is None else state & here)
    assert state.picture() == find_picture(scene)
    assert state.picture() != (slice(0, 40), slice(0, 60))
    longest = torch.stack([(frame.amax(0) <= 0.08).float().mean(1) for frame in scene]).amin(0)
    assert torch.equal(state.rows, longest)


def test_bars_do_not_take_part_in_the_range():
    raw = torch.linspace(2, 4, 60).expand(1, 1, 40, 60).clone()
    raw[..., :8, :] = 9.0
    raw[..., -8:, :] = 0.0
    depth = normalize_inverse_depth(raw, DepthRange.IMAGE, percentile=0.0, areas=[(slice(8, 32), slice(0, 60))])
    torch.testing.assert_close(depth[0, 0, 20], torch.linspace(0, 1, 60))
    assert depth[0, 0, 0].eq(1).all() and depth[0, 0, -1].eq(0).all()
    everywhere = normalize_inverse_depth(raw, DepthRange.IMAGE, percentile=0.0)
    assert everywhere[0, 0, 20].max() < 0.5
