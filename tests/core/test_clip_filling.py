from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from stereo_core.clip_filling import ClipSettings, render_clip, stream_clip, window_bytes
from stereo_core.hidden_points import HiddenPoints, Showing
from stereo_core.point_cells import PointCells, read_points, spread
from stereo_core.rendering import Quality, RenderedView, render_view
from stereo_core.surface_motion import still_motion, surface_motion
from stereo_core.warping import View
from tools.benchmarks.clip_bound import fill_along_known_motion

HEIGHT, WIDTH, NEAR = 48, 96, 12.0
EVERY_VIEW = pytest.mark.parametrize("view", list(View))
SETTINGS = ClipSettings(reach=6)


def texture(height: int, width: int, seed: int) -> Tensor:
    coarse = torch.rand(1, 3, height // 3, width // 3, generator=torch.Generator().manual_seed(seed))
    return functional.interpolate(coarse, (height, width), mode="bilinear")[0]


def clip(frames: int = 7, pan: int = 0, seed: int = 0, scale: int = 1, speed: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    """A block at 12 columns that moves before a background at 0, which the pan moves, and that background."""
    height, width = HEIGHT * scale, WIDTH * scale
    wide = texture(height, width + 12 * frames, seed)
    behind = torch.stack([wide[..., pan * t : pan * t + width] for t in range(frames)])
    image, disparity = behind.clone(), torch.zeros(frames, 1, height, width)
    block = texture(24 * scale, 30 * scale, seed + 1)
    for t in range(frames):
        part = (slice(12 * scale, 36 * scale), slice(18 * scale + speed * t, 48 * scale + speed * t))
        image[t, :, part[0], part[1]] = block
        disparity[t, :, part[0], part[1]] = NEAR
    return image, disparity, behind


def hole_error(rendered: RenderedView, behind: Tensor, frames: slice = slice(None)) -> float:
    """Root mean square; the background lies at disparity 0, so that it is the same in every view."""
    hole = rendered.hole[frames].expand_as(rendered.image[frames])
    return (rendered.image[frames] - behind[frames])[hole].square().mean().sqrt().item()


@EVERY_VIEW
@pytest.mark.parametrize("quality", list(Quality))
def test_every_frame_by_itself_is_what_it_was(view: View, quality: Quality) -> None:
    image, disparity, _ = clip(3)
    alone = render_view(image, disparity, quality, view, 1)
    windowless = render_clip(image, disparity, quality, view, 1, ClipSettings(reach=0))
    assert torch.equal(windowless.image, alone.image) and torch.equal(windowless.hole, alone.hole)
    for t in range(3):
        one = render_clip(image[t : t + 1], disparity[t : t + 1], quality, view, 1)
        assert torch.equal(one.image[0], alone.image[t]) and torch.equal(one.hole[0], alone.hole[t])


@EVERY_VIEW
@pytest.mark.parametrize(("pan", "scale"), [(0, 1), (2, 2)])
def test_holes_show_what_other_frames_show_behind(view: View, pan: int, scale: int) -> None:
    image, disparity, behind = clip(pan=pan, scale=scale)
    found = render_clip(image, disparity, view=view, settings=SETTINGS)
    alone = render_view(image, disparity, view=view)
    assert torch.equal(found.hole, alone.hole)
    # The right view uncovers what the block has just covered, the left one what it is about to leave.
    seen = slice(3, None) if view is View.RIGHT else slice(None, 4)
    assert hole_error(found, behind, seen) < 0.3 * hole_error(alone, behind, seen)
    shown = ~alone.hole.expand_as(image)
    assert torch.equal(found.image[shown], alone.image[shown])


def test_a_change_of_light_is_followed() -> None:
    image, disparity, behind = clip()
    light = torch.linspace(1, 0.5, len(image)).view(-1, 1, 1, 1)
    found = render_clip(image * light, disparity, settings=SETTINGS)
    alone = render_view(image * light, disparity)
    assert hole_error(found, behind * light, slice(3, None)) < 0.4 * hole_error(alone, behind * light, slice(3, None))


def test_what_no_frame_shows_follows_the_light() -> None:
    image, disparity, _ = clip(1)
    light = torch.linspace(1, 0.5, 7).view(-1, 1, 1, 1)
    image, disparity = image * light, disparity.repeat(7, 1, 1, 1)
    found, alone = render_clip(image, disparity, settings=SETTINGS), render_view(image, disparity)
    apart = (found.image - alone.image)[alone.hole.expand_as(image)]
    assert apart.square().mean().sqrt() < 0.04  # a mean over the frames before would be 0.1 behind


def test_nothing_is_taken_across_a_cut() -> None:
    first, second = clip(3, seed=0), clip(3, seed=50)
    together = render_clip(*(torch.cat(pair) for pair in zip(first[:2], second[:2], strict=True)), settings=SETTINGS)
    apart = [render_clip(image, disparity, settings=SETTINGS).image for image, disparity, _ in (first, second)]
    assert torch.equal(together.image, torch.cat(apart))


def test_unrelated_pictures_are_filled_each_by_itself() -> None:
    parts = [clip(1, seed=seed) for seed in (0, 50, 90, 130)]
    image, disparity = (torch.cat([part[at] for part in parts]) for at in (0, 1))
    assert torch.equal(render_clip(image, disparity).image, render_view(image, disparity).image)


@pytest.mark.parametrize("quality", list(Quality))
def test_a_still_clip_is_the_single_frame_to_the_bit(quality: Quality) -> None:
    image, disparity, _ = clip(1)
    found = render_clip(image.repeat(4, 1, 1, 1), disparity.repeat(4, 1, 1, 1), quality, settings=SETTINGS)
    alone = render_view(image, disparity, quality).image
    assert all(torch.equal(frame, alone[0]) for frame in found.image)


def test_what_no_frame_shows_holds_still() -> None:
    """The block stands still and noise alone changes the picture: the fill changes less than it does by itself."""
    image, disparity, _ = clip(1)
    image, disparity = image.repeat(7, 1, 1, 1), disparity.repeat(7, 1, 1, 1)
    noisy = image + 0.05 * torch.randn(image.shape, generator=torch.Generator().manual_seed(2))
    found, alone = render_clip(noisy, disparity, settings=SETTINGS), render_view(noisy, disparity)
    inner = alone.hole[0].clone().expand_as(image)
    changes = [(frames.diff(dim=0))[inner[1:]].square().mean() for frames in (found.image, alone.image)]
    assert changes[0] < 0.4 * changes[1]


@EVERY_VIEW
def test_what_comes_from_the_edge_of_a_hole_is_held_as_well(view: View) -> None:
    """The background moves by half a column, so that a hole's last pixel comes from between the hole and its edge."""
    image, disparity, _ = clip(1)
    towards = 1 if view is View.RIGHT else -1
    hole = render_view(image, disparity, view=view).hole[0, 0]
    points = HiddenPoints(Showing(image[0], disparity[0, 0], 2), hole, view, 1.0)
    before = Showing((image[0] + image[0].roll(towards, -1)) / 2, disparity[0, 0], 2)
    motion = still_motion(disparity[0, 0])
    motion.camera[0, 0] = towards / 2
    last = (hole & ~hole.roll(-towards, 1)).flatten()[points.pixel]
    held = [
        points.look_back(motion, before, torch.ones(4, *hole.shape), behind)[1][last]
        for behind in (points.with_edges(hole), hole)
    ]
    assert (held[0] > 0.5).float().mean() > 0.9 and not held[1].any()


def test_what_was_seen_is_remembered_beyond_the_reach() -> None:
    """The block covers ever more of the background; what the right view uncovers was seen up to six frames ago."""
    image, disparity, behind = clip(12, speed=2)
    alone = render_view(image, disparity)
    error = [
        hole_error(render_clip(image, disparity, settings=ClipSettings(reach=2, steady=steady)), behind, slice(8, None))
        for steady in (ClipSettings().steady, 0)
    ]
    assert error[0] < 0.5 * hole_error(alone, behind, slice(8, None)) and error[0] < 0.7 * error[1]


def test_what_is_seen_late_takes_the_place_of_what_was_guessed() -> None:
    """In the left view the block is about to leave what its hole uncovers, but not within the reach at first."""
    image, disparity, behind = clip(18, speed=1)
    found = render_clip(image, disparity, view=View.LEFT, settings=SETTINGS)
    alone = render_view(image, disparity, view=View.LEFT)
    soon = alone.hole & ~alone.hole.roll(3, -1)
    errors = [hole_error(view._replace(hole=soon), behind, slice(9, 12)) for view in (found, alone)]
    assert errors[0] < 0.6 * errors[1]


def test_the_bound_of_the_benchmark_knows_the_motion() -> None:
    image, disparity, behind = clip(5)
    alone = render_view(image, disparity)
    nearest, best = fill_along_known_motion(behind, alone.image, alone.hole, reach=4)
    errors = [hole_error(view._replace(image=of), behind) for view, of in ((alone, nearest), (alone, best))]
    assert errors[1] <= errors[0] and hole_error(alone._replace(image=nearest), behind, slice(3, None)) < 0.01


def test_at_a_scene_s_start_what_is_seen_late_is_known_at_once() -> None:
    """In the left view what the block uncovers is seen up to four frames later, beyond the reach of two."""
    scenes = [clip(5, seed=seed, speed=3) for seed in (0, 50)]
    image, disparity, behind = (torch.cat([scene[part] for scene in scenes]) for part in range(3))
    found = render_clip(image, disparity, view=View.LEFT, settings=ClipSettings(reach=2, flow_size=48))
    alone = render_view(image, disparity, view=View.LEFT)
    for first in (0, 5):
        soon = alone.hole & ~alone.hole.roll(4, -1)
        errors = [hole_error(of._replace(hole=soon), behind, slice(first, first + 1)) for of in (found, alone)]
        assert errors[0] < 0.5 * errors[1]


def test_what_is_seen_beyond_the_reach_counts_less() -> None:
    image, disparity, behind = clip(1)
    hole = render_view(image, disparity).hole[0, 0]
    covered, still = Showing(image[0], disparity[0, 0], 2), still_motion(disparity[0, 0])
    points = HiddenPoints(covered, hole, View.RIGHT, 1.0)
    frames = [(still, covered), (still, Showing(behind[0], torch.zeros_like(disparity[0, 0]), 2))]
    near, far = (points.search(frames, reach, 8) for reach in (2, 1))
    assert near.sure.amax() == 1 and torch.equal(far.colour, near.colour)
    torch.testing.assert_close(far.sure, near.sure / 10)


@EVERY_VIEW
def test_the_stream_is_the_clip_to_the_bit_and_takes_frames_no_earlier_than_it_must(view: View) -> None:
    image, disparity, _ = clip(7)
    whole = render_clip(image, disparity, view=view, settings=ClipSettings(reach=2))
    taken = 0

    def frames() -> Iterator[tuple[Tensor, Tensor]]:
        nonlocal taken
        for t in range(7):
            taken += 1
            yield image[t : t + 1], disparity[t : t + 1]

    def render(*given: Any) -> RenderedView:
        return render_view(given[0], given[1], Quality.BEST, given[2])

    for t, views in enumerate(stream_clip(frames(), {view: 1.0}, render, ClipSettings(reach=2))):
        assert taken == min(7, max(t + 2, 4) + 3)  # the first two frames have less before them and look farther ahead
        assert torch.equal(views[view].image[0], whole.image[t]) and torch.equal(views[view].hole[0], whole.hole[t])


def test_a_long_clip_is_held_a_window_at_a_time() -> None:
    image, disparity, _ = clip(4)
    alive: weakref.WeakSet[Tensor] = weakref.WeakSet()
    most = 0

    def frames() -> Iterator[tuple[Tensor, Tensor]]:
        nonlocal most
        for t in range(24):
            picture = image[t % 4 : t % 4 + 1].clone()
            alive.add(picture)
            most = max(most, len(alive))
            yield picture, disparity[t % 4 : t % 4 + 1]
            del picture

    for _ in stream_clip(frames(), {View.RIGHT: 1.0}, render_view_of, ClipSettings(reach=2, flow_size=24)):
        pass
    assert most <= 2 * 2 + 4
    of_length = [window_bytes(HEIGHT, WIDTH, 3, ClipSettings(), frames, True) for frames in (1, 10, 100, 1000)]
    assert of_length[0] == 0 < of_length[1] < of_length[2] == of_length[3]
    assert window_bytes(HEIGHT, WIDTH, 3, ClipSettings(reach=0), 100, True) == 0


def render_view_of(picture: Tensor, shift: Tensor, view: View) -> RenderedView:
    return render_view(picture, shift, Quality.FAST, view)


def test_both_views_at_once_are_each_view_alone() -> None:
    image, disparity, _ = clip(4)
    pairs = [(image[t : t + 1], disparity[t : t + 1]) for t in range(4)]
    both = list(stream_clip(pairs, {View.LEFT: 0.5, View.RIGHT: 0.5}, render_view_of, SETTINGS))
    for view in View:
        alone = stream_clip(pairs, {view: 0.5}, render_view_of, SETTINGS)
        assert all(torch.equal(one[view].image, other[view].image) for one, other in zip(both, alone, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_dtype_stays(dtype: torch.dtype) -> None:
    image, disparity, _ = clip(3)
    assert render_clip(image.to(dtype), disparity, settings=SETTINGS).image.dtype == dtype


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (5, 130)])
def test_any_size_is_filled(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(4)
    image = torch.rand(1, 3, *size, generator=generator).expand(3, -1, -1, -1)
    image = image + 0.01 * torch.rand(3, 3, *size, generator=generator)
    found = render_clip(image.clamp(0, 1), torch.randn(3, 1, *size, generator=generator) * 6, settings=SETTINGS)
    assert found.image.shape == image.shape and found.image.isfinite().all()


def test_errors_name_the_argument() -> None:
    image, disparity, _ = clip(2)
    with pytest.raises(ValueError, match="disparity: expected"):
        render_clip(image, disparity[:1])
    with pytest.raises(ValueError, match="reach: got -1"):
        ClipSettings(reach=-1)
    with pytest.raises(ValueError, match="flow_size: got 0"):
        ClipSettings(flow_size=0)
    with pytest.raises(ValueError, match="steady: got 1.5"):
        ClipSettings(steady=1.5)
    image[1, :, 3, 4] = torch.nan
    with pytest.raises(ValueError, match="image: holds NaN"):
        render_clip(image, disparity, settings=ClipSettings(reach=2))


def test_a_frame_shows_points_of_their_own_surface_only_and_apart_from_nearer_ones() -> None:
    disparity = torch.zeros(5, 20)
    disparity[:, 10:] = 8.0
    frame = Showing(torch.rand(3, 5, 20), disparity, 2)
    columns = torch.tensor([4.0, 7.0, 8.0, 12.0, -1.0, 20.0])
    for own, expected in ((0.0, [1, 1, 0, 0, 0, 0]), (8.0, [0, 0, 0, 1, 0, 0]), (4.0, [0] * 6)):
        points = torch.stack([columns, torch.full((6,), 2.0), torch.full((6,), own)])
        assert frame.shows(points, torch.full((6,), 2.0)).int().tolist() == expected


def test_the_motion_of_a_surface_goes_on_behind_a_nearer_one() -> None:
    height, width = 40, 64
    flow = torch.tensor([-2.0, 1.0]).view(2, 1, 1).repeat(1, height, width)
    disparity = torch.zeros(80, 128)
    disparity[20:60, 40:90] = 20.0
    flow[:, 10:30, 20:45] = torch.tensor([5.0, 0.0]).view(2, 1, 1)
    motion = surface_motion(flow, -flow, disparity, torch.rand(3, height, width))
    points = torch.tensor([[65.0, 10.0, 65.0], [40.0, 10.0, 40.0], [0.0, 0.0, 20.0]])  # behind, in the open, in front
    expected = torch.tensor([[-4.0, -4.0, 10.0], [2.0, 2.0, 0.0]])  # in pixels of the frame, twice the flow's
    torch.testing.assert_close(motion.at(points), expected, atol=0.1, rtol=0)


def test_flow_that_a_nearer_surface_drags_along_does_not_count() -> None:
    """The flow's windows take the block's motion six pixels beyond its rim, so that the background seems to follow."""
    height, width = 60, 96
    flow = torch.tensor([-2.0, 1.0]).view(2, 1, 1).repeat(1, height, width)
    flow[:, 14:46, 24:71] = torch.tensor([5.0, 0.0]).view(2, 1, 1)
    disparity = torch.zeros(height, width)
    disparity[20:40, 30:65] = 20.0
    motion = surface_motion(flow, -flow, disparity, torch.rand(3, height, width))
    points = torch.tensor([[27.0, 32.0, 67.0], [30.0, 30.0, 25.0], [0.0, 0.0, 0.0]])  # around the rim
    expected = torch.tensor([-2.0, 1.0])[:, None].expand(2, 3)
    torch.testing.assert_close(motion.at(points), expected, atol=0.1, rtol=0)


def test_without_motion_points_stay_to_the_bit() -> None:
    points = torch.tensor([[3.3, -7.0], [2.0, 90.0], [1.5, 4.0]])
    disparity = torch.rand(30, 40) * 9
    still = torch.zeros(2, 15, 20)
    assert not surface_motion(still, still, disparity, torch.rand(3, 15, 20)).at(points).any()
    assert not still_motion(disparity).at(points).any()


def test_pictures_are_read_exactly_at_pixels_and_linearly_between() -> None:
    image = torch.rand(3, 6, 9)
    points = torch.tensor([[0.0, 8.0, 3.0, 2.5, -4.0], [0.0, 5.0, 2.0, 1.0, 9.0]])
    read = read_points(image, points)
    expected = torch.stack([image[:, 0, 0], image[:, 5, 8], image[:, 2, 3]], 1)
    assert torch.equal(read[:, :3], expected)
    torch.testing.assert_close(read[:, 3], (image[:, 1, 2] + image[:, 1, 3]) / 2)
    assert torch.equal(read[:, 4], image[:, 5, 0])


def test_cells_average_and_empty_ones_take_the_mean_around() -> None:
    cells = PointCells(torch.tensor([1.0, 1.0, 8.0]), torch.tensor([1.0, 1.0, 8.0]), (10, 10))
    sums = cells.sums(torch.tensor([[1.0, 2.0, 5.0]]), torch.arange(3))
    assert sums[0, 1, 1] == 3 and sums[0, 8, 8] == 5 and sums.sum() == 8
    means = spread(torch.tensor([[[[6.0, 0.0, 0.0, 0.0]]]]), torch.tensor([[[[2.0, 0.0, 0.0, 0.0]]]]), 1e-3)
    torch.testing.assert_close(means, torch.full_like(means, 3.0), atol=0.01, rtol=0)
