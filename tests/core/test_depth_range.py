"""Raw depth to inverse depth whose range holds still."""

from __future__ import annotations

import pytest
import torch

from stereo_core.depth_range import (
    FARTHEST,
    DepthRange,
    RangeState,
    apply_ranges,
    frame_bounds,
    inverse_depth_from_metric,
    inverse_depth_ranges,
    metric_distances,
    normalize_inverse_depth,
)

from .kept_states import LENGTHS, taken_up_again

DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def clip(*highs: float, low: float = 0.0, height: int = 20, width: int = 30) -> torch.Tensor:
    """One frame for each high: a ramp from ``low`` to it."""
    ramp = torch.linspace(0, 1, height * width).view(1, height, width)
    return torch.stack([low + (high - low) * ramp for high in highs])


def test_metric_depth_becomes_its_inverse():
    depth = torch.tensor([0.5, 1.0, 4.0]).view(1, 1, 1, 3)
    assert inverse_depth_from_metric(depth).flatten().tolist() == [2.0, 1.0, 0.25]


@pytest.mark.parametrize("dtype", DTYPES)
def test_sky_and_unknown_depth_are_infinitely_far(dtype):
    depth = torch.tensor([float("inf"), 0.0, -1.0, float("nan"), float("-inf"), 2.0], dtype=dtype).view(1, 1, 2, 3)
    inverse = inverse_depth_from_metric(depth.expand(3, -1, -1, -1))
    assert inverse.dtype == torch.float32
    assert inverse[2].flatten().tolist() == [0, 0, 0, 0, 0, 0.5]


def test_depth_of_almost_nothing_stays_finite():
    assert inverse_depth_from_metric(torch.full((1, 1, 1, 1), 1e-45)).isfinite().all()


def test_metric_depth_refuses_another_shape():
    with pytest.raises(ValueError, match=r"depth: expected \(B, 1, H, W\), got \(4, 4\)"):
        inverse_depth_from_metric(torch.ones(4, 4))


@pytest.mark.parametrize("range", DepthRange)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_single_image_fills_the_range(range, dtype):
    normalized = normalize_inverse_depth(clip(7.0, low=3.0).to(dtype), range, percentile=0)
    assert normalized.dtype == dtype
    assert (normalized.min(), normalized.max()) == (0, 1)


@pytest.mark.parametrize("range", DepthRange)
def test_scale_and_shift_of_the_whole_clip_make_no_difference(range):
    raw = clip(1.0, 2.0, 1.5, 2.0)
    torch.testing.assert_close(
        normalize_inverse_depth(raw * 40 - 7, range), normalize_inverse_depth(raw, range), rtol=0, atol=1e-5
    )


def test_the_range_goes_from_the_percentiles_and_the_rest_is_clamped():
    normalized = normalize_inverse_depth(clip(1.0), percentile=10)
    torch.testing.assert_close(normalized, ((clip(1.0) - 0.1) / 0.8).clamp(0, 1), rtol=0, atol=1e-5)


def test_a_clip_shares_one_range_and_an_image_has_its_own():
    raw = clip(1.0, 2.0, 2.0)
    together = normalize_inverse_depth(raw, DepthRange.CLIP, percentile=0)
    torch.testing.assert_close(together, raw / 2)
    alone = normalize_inverse_depth(raw, DepthRange.IMAGE, percentile=0)
    torch.testing.assert_close(alone, clip(1.0, 1.0, 1.0))


@pytest.mark.parametrize("range", DepthRange)
def test_a_still_clip_gives_equal_frames_to_the_bit(range):
    raw = (torch.rand(1, 1, 61, 83, generator=torch.Generator().manual_seed(0)) * 17).expand(6, -1, -1, -1)
    normalized = normalize_inverse_depth(raw, range)
    assert (normalized == normalized[0]).all()


def test_a_near_object_that_enters_does_not_move_the_background():
    raw = clip(1.0).repeat(10, 1, 1, 1)
    raw[4:, :, 5:15, 5:15] = 3.0
    normalized = normalize_inverse_depth(raw)
    background = torch.ones_like(raw[0], dtype=torch.bool)
    background[:, 5:15, 5:15] = False
    assert (normalized[:, background] == normalized[0, background]).all()
    assert (normalized[4:, :, 5:15, 5:15] == 1).all()


@pytest.mark.parametrize("bad", [0, 3, 7])
def test_an_outlier_of_one_frame_does_not_stretch_the_range(bad):
    raw = clip(*[1.0] * 8)
    expected = normalize_inverse_depth(raw)
    raw[bad] = raw[bad] * 50 - 20
    normalized = normalize_inverse_depth(raw)
    others = [frame for frame in range(8) if frame != bad]
    assert torch.equal(normalized[others], expected[others])


def test_two_frames_are_taken_as_they_are():
    torch.testing.assert_close(normalize_inverse_depth(clip(1.0, 4.0), percentile=0), clip(0.25, 1.0))


def test_a_scene_cut_starts_a_new_range():
    raw = clip(1.0, 1.0, 1.0, 8.0, 8.0, 8.0)
    starts = torch.tensor([True, False, False, True, False, False])
    torch.testing.assert_close(normalize_inverse_depth(raw, DepthRange.SCENE, starts, percentile=0), clip(*[1.0] * 6))
    whole = normalize_inverse_depth(raw, DepthRange.CLIP, starts, percentile=0)
    torch.testing.assert_close(whole, raw / 8)
    assert torch.equal(normalize_inverse_depth(raw, DepthRange.SCENE, percentile=0), whole)


def test_the_first_frame_starts_a_scene_whether_marked_or_not():
    raw = clip(1.0, 2.0)
    unmarked = torch.tensor([False, False])
    marked = torch.tensor([True, False])
    assert torch.equal(
        normalize_inverse_depth(raw, scene_starts=unmarked), normalize_inverse_depth(raw, scene_starts=marked)
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [0.0, 1.0, -300.0])
def test_a_flat_map_is_the_middle(dtype, value):
    raw = torch.full((3, 1, 8, 8), value, dtype=dtype)
    raw[:, 0, 3] += abs(value) * torch.finfo(dtype).eps  # rounding is no depth
    assert (normalize_inverse_depth(raw, percentile=0) == 0.5).all()


def test_a_large_map_is_sampled_evenly():
    raw = clip(1.0, height=1200, width=900)
    torch.testing.assert_close(normalize_inverse_depth(raw), ((raw - 0.005) / 0.99).clamp(0, 1), rtol=0, atol=2e-3)


def test_a_frame_by_itself_is_stretched_as_in_the_clip():
    raw, starts = clip(1.0, 3.0, 3.0, 5.0, 4.0), torch.tensor([True, False, False, True, False])
    ranges = inverse_depth_ranges(raw, scene_starts=starts)
    assert torch.equal(ranges[0], ranges[2]) and not torch.equal(ranges[2], ranges[3])
    alone = torch.cat([apply_ranges(raw[t : t + 1], ranges[t : t + 1]) for t in range(5)])
    assert torch.equal(alone, normalize_inverse_depth(raw, scene_starts=starts))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("frames", LENGTHS)
def test_frame_by_frame_with_a_saved_state_it_is_the_whole_clip_to_the_bit(frames: int, dtype: torch.dtype):
    generator = torch.Generator().manual_seed(frames)
    raw = torch.randn(frames, 1, 20, 30, generator=generator) + torch.randn(frames, 1, 1, 1, generator=generator)
    raw, starts = raw.to(dtype), [frame in (0, 1, 3, 6, 20) for frame in range(frames)]
    areas = [(slice(frame % 7, 20), slice(0, 30 - frame % 5)) for frame in range(frames)]
    state, ranges = RangeState(), []
    for frame, area, start in zip(raw, areas, starts, strict=True):
        state = taken_up_again((RangeState() if start else state).add(frame_bounds(frame, 2.0, area)))
        ranges.append(state.range)
        assert len(state.last) <= 2, "what is kept does not grow"
    for frame in reversed(range(frames - 1)):  # the range of a scene is known at its end
        ranges[frame] = ranges[frame] if starts[frame + 1] else ranges[frame + 1]
    whole = inverse_depth_ranges(raw, DepthRange.SCENE, torch.tensor(starts), 2.0, areas)
    assert torch.equal(torch.tensor(ranges), whole)


def three_medians(bounds: torch.Tensor) -> tuple[float, float]:
    """The range of a scene of (T, 2) by its definition."""
    if len(bounds) > 2:
        bounds = bounds.unfold(0, 3, 1).median(dim=-1).values
    return bounds[:, 0].min().item(), bounds[:, 1].max().item()


@pytest.mark.parametrize("frames", LENGTHS)
def test_the_range_of_a_scene_is_that_of_medians_over_three_frames(frames: int):
    bounds, state = torch.randn(frames, 2, generator=torch.Generator().manual_seed(frames)), RangeState()
    for low, high in bounds.tolist():
        state = state.add((low, high))
    assert state.range == three_medians(bounds)


def test_the_distances_of_white_and_black():
    raw = inverse_depth_from_metric(torch.tensor([2.0, 4.0, 8.0, 2.0]).view(1, 1, 2, 2).expand(2, -1, -1, -1))
    assert metric_distances(inverse_depth_ranges(raw, percentile=0)) == pytest.approx((2.0, 8.0))
    sky = torch.cat([raw, torch.zeros_like(raw)])
    assert metric_distances(inverse_depth_ranges(sky, DepthRange.CLIP, percentile=0)) == pytest.approx((2.0, FARTHEST))
    assert metric_distances(inverse_depth_ranges(sky, DepthRange.IMAGE, percentile=0)) is None, "two ranges"
    assert metric_distances(inverse_depth_ranges(raw[:, :, :1, :1], percentile=0)) is None, "nothing is deep"


def test_the_input_is_left_alone():
    raw = clip(1.0, 2.0, 3.0)
    kept = raw.clone()
    normalize_inverse_depth(raw)
    assert torch.equal(raw, kept)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"raw: expected \(B, 1, H, W\), got \(2, 3, 4, 4\)"):
        normalize_inverse_depth(torch.zeros(2, 3, 4, 4))
    with pytest.raises(ValueError, match="raw: holds NaN or infinite"):
        normalize_inverse_depth(torch.tensor([0.0, float("inf")]).view(1, 1, 1, 2))
    with pytest.raises(ValueError, match=r"scene_starts: expected \(B\) with B=2, got \(3,\)"):
        normalize_inverse_depth(clip(1.0, 1.0), scene_starts=torch.ones(3, dtype=torch.bool))
    with pytest.raises(ValueError, match="'frame' is not a valid DepthRange"):
        normalize_inverse_depth(clip(1.0), "frame")


@pytest.mark.parametrize("percentile", [-1, 50, float("nan")])
def test_a_percentile_out_of_range_is_refused(percentile):
    with pytest.raises(ValueError, match=f"percentile: got {percentile}"):
        normalize_inverse_depth(clip(1.0), percentile=percentile)
