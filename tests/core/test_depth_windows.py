"""Windows of a network for clips: which frames it is shown, and that their depth joins without a step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from stereo_core.depth_windows import WINDOW, clip_depth


def test_a_window_begins_with_the_key_frames_of_the_one_before():
    shown = []

    def estimate(window):
        shown.append(list(window))
        return torch.ones(WINDOW, 1)

    assert sum(len(part) for part in clip_depth(60, estimate, False)) == 60
    assert shown == [
        list(range(32)),
        [0, 12, *range(24, 54)],
        [0, 34, *range(46, 60), *[59] * 16],
    ]
    shown.clear()
    for frames in (1, 24, 25, 46, 47):
        joined(frames, estimate)
    assert len(shown) == 1 + 1 + 2 + 2 + 3


@pytest.mark.parametrize("frames", [1, 5, 22, 23, 24, 25, 32, 33, 45, 46, 47, 54, 76])
def test_a_clip_of_any_length_has_a_depth_for_each_frame(frames: int):
    depth = joined(frames, lambda window: torch.tensor(window, dtype=torch.float32).view(-1, 1), metric=True)
    assert torch.equal(depth.flatten(), torch.arange(frames, dtype=torch.float32))


def joined(frames: int, estimate, metric: bool = False) -> Tensor:
    return torch.cat(list(clip_depth(frames, estimate, metric)))


def test_a_still_scene_has_no_step_where_windows_of_other_scale_and_shift_meet():
    scene = torch.rand(1, 6, 8, generator=torch.Generator().manual_seed(0)) + 0.5
    windows = []

    def estimate(window):
        windows.append(window)
        return (scene * (1 + 0.3 * len(windows)) + 0.2 * len(windows)).expand(WINDOW, -1, -1)

    depth = joined(100, estimate)
    assert len(windows) == 5
    torch.testing.assert_close(depth, depth[:1].expand_as(depth), rtol=0, atol=1e-5)


def test_metric_depth_keeps_its_scale_and_fades():
    windows = []

    def estimate(window):
        windows.append(window)
        return torch.full((WINDOW, 1), float(len(windows)))

    depth = joined(44, estimate, metric=True).flatten()
    assert depth[:24].eq(1).all() and depth[32:].eq(2).all()
    torch.testing.assert_close(depth[24:32], torch.linspace(1, 2, 8))


def test_depth_without_relief_is_kept():
    depth = joined(50, lambda window: torch.zeros(len(window), 2))
    assert depth.eq(0).all()


def test_depth_is_not_brought_below_0():
    first = torch.tensor([1.0, 2.0, 0.0])
    windows = []

    def estimate(window):
        windows.append(window)
        depth = first.repeat(WINDOW, 1)
        if len(windows) > 1:
            depth[12:] = torch.tensor([1.0, 2.0, 0.0])
            depth[:2] = torch.tensor([2.0, 3.0, 1.0])  # one more: the rest of the window is brought down by one
        return depth

    depth = joined(44, estimate)
    torch.testing.assert_close(depth[40], torch.tensor([0.0, 1.0, 0.0]))


def test_each_window_is_fitted_to_the_first_frame_and_to_the_far_one_as_the_window_before_has_it():
    generator = torch.Generator().manual_seed(0)
    scene = torch.rand(60, 6, 8, generator=generator, dtype=torch.float64) + 0.5
    raw = [
        scene * (1 + 0.3 * k) + 0.2 * k + 0.1 * torch.rand(scene.shape, generator=generator, dtype=scene.dtype)
        for k in range(3)
    ]
    left = iter(raw)
    depth = joined(60, lambda window: next(left)[window])

    aligned = [raw[0]]
    for window, far in ((1, 12), (2, 34)):
        own, target = raw[window][[0, far]], torch.stack([raw[0][0], aligned[-1][far]])
        scale, shift = np.polyfit(own.flatten().numpy(), target.flatten().numpy(), 1)
        aligned.append(raw[window] * scale + shift)
    for window, shown in enumerate((slice(0, 24), slice(32, 46), slice(54, 60))):  # what does not fade
        torch.testing.assert_close(depth[shown], aligned[window][shown])
