from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from stereo_core.metrics import consistency, psnr
from tools.toy.scenes import PALETTES, Pair, make_worlds, render_clips, render_scenes

SIZE = 64
SEEDS = range(12)
FEW = SEEDS[-4:]


@pytest.fixture(scope="module")
def pair() -> Pair:
    return render_scenes(SEEDS, SIZE)


def sampled(view: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
    """``view`` at fractional columns (B, 1, H, W) of its own rows."""
    rows = torch.arange(SIZE, dtype=torch.float32).view(1, 1, -1, 1).expand_as(column)
    grid = torch.cat([column, rows]).unflatten(0, (2, -1)).squeeze(2).permute(1, 2, 3, 0)
    return F.grid_sample(view, (grid + 0.5) * (2 / SIZE) - 1, align_corners=False, padding_mode="border")


def smooth(disparity: torch.Tensor) -> torch.Tensor:
    """Pixels around which the disparity steps by less than half a column."""
    return F.max_pool2d(disparity, 3, 1, 1) + F.max_pool2d(-disparity, 3, 1, 1) < 0.5


def test_a_seed_gives_one_scene_alone_and_among_others(pair):
    alone = render_scenes([5], SIZE)
    for own, among in zip(alone, pair, strict=True):
        torch.testing.assert_close(own[0], among[5], rtol=0, atol=1e-6)


def test_other_seeds_give_other_scenes(pair):
    pixels = pair.left.flatten(1)
    assert torch.cdist(pixels, pixels).add(torch.eye(len(SEEDS)) * 1e3).min() > 5


def test_layout_and_ranges(pair):
    for view in (pair.left, pair.right):
        assert view.shape == (len(SEEDS), 3, SIZE, SIZE) and view.dtype == torch.float32
        assert 0 <= view.min() and view.max() <= 1
    for mask in (pair.left_only, pair.right_only):
        assert mask.shape == (len(SEEDS), 1, SIZE, SIZE) and mask.dtype == torch.bool
    assert pair.disparity.shape == (len(SEEDS), 1, SIZE, SIZE) and pair.disparity.min() >= 0
    nearest = pair.disparity.amax(dim=(1, 2, 3)) / SIZE
    assert nearest.min() > 0.03 and nearest.max() < 0.17


def test_the_right_view_is_where_the_disparity_says(pair):
    columns = torch.arange(SIZE) - pair.disparity
    again = sampled(pair.right, columns)
    seen = ~pair.left_only
    away_from_edges = seen & smooth(pair.disparity) & (columns >= 0)
    assert psnr(again, pair.left, seen).min() > 30
    assert psnr(again, pair.left, away_from_edges).mean() > 38
    assert psnr(again, pair.left, pair.left_only).mean() < 25  # so the masks say something


def test_a_wrong_disparity_would_be_seen(pair):
    right = consistency(pair.left, pair.right, pair.disparity).psnr
    off = consistency(pair.left, pair.right, pair.disparity + 1).psnr
    assert (right - off).min() > 3


def test_the_two_masks_tell_what_each_eye_sees_alone(pair):
    # What both see is as much in one view as in the other, but for slanted surfaces.
    left, right = (mask.float().mean(dim=(1, 2, 3)) for mask in (pair.left_only, pair.right_only))
    assert (left - right).abs().max() < 0.06
    assert 0.02 < left.mean() < 0.2
    # Beside the left edge the left eye looks past the right view, and the other way round.
    assert pair.left_only[..., 0].float().mean() > 0.5 and pair.right_only[..., -1].float().mean() > 0.5
    assert pair.left_only[..., -1].float().mean() < 0.2 and pair.right_only[..., 0].float().mean() < 0.2


def test_the_same_scene_at_another_size(pair):
    larger = render_scenes(FEW, 2 * SIZE)
    assert psnr(F.avg_pool2d(larger.left, 2), pair.left[-4:]).min() > 28
    torch.testing.assert_close(larger.label, pair.label[-4:])


def test_every_kind_of_scene_appears():
    assert set(make_worlds(range(100)).label.tolist()) == set(range(len(PALETTES)))


def test_a_clip_starts_with_the_scene_and_moves(pair):
    clip = render_clips(FEW, 3, SIZE)
    frames = Pair(*(part.unflatten(0, (len(FEW), 3)) for part in clip))
    for part, still in zip(frames, pair, strict=True):
        torch.testing.assert_close(part[:, 0], still[-4:])
    change = (frames.left[:, 2] - frames.left[:, 0]).abs().amax(dim=1)
    assert (change.flatten(1).amax(dim=1) > 0.05).sum() > len(FEW) / 2
    assert (change == 0).float().mean() > 0.4  # the camera stands


def test_a_moving_camera_moves_everything():
    clip = render_clips([3], 3, SIZE, moving_camera=True)
    assert (clip.left[2] - clip.left[0]).abs().mean() > (clip.left[1] - clip.left[0]).abs().mean() > 0
    assert psnr(sampled(clip.right, torch.arange(SIZE) - clip.disparity), clip.left, ~clip.left_only).min() > 28
