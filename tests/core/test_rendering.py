from __future__ import annotations

from itertools import accumulate

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from stereo_core import hole_filling, rendering
from stereo_core.rendering import Quality, render_view, working_bytes
from stereo_core.warping import View

EVERY_QUALITY = pytest.mark.parametrize("quality", list(Quality))
EVERY_VIEW = pytest.mark.parametrize("view", list(View))


def scene(height: int = 24, width: int = 60, batch: int = 1, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A textured background at 1 column and a nearer block at 9."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(batch, 3, height, width, generator=generator)
    disparity = torch.ones(batch, 1, height, width)
    disparity[..., height // 4 : height // 2, width // 3 : width // 2] = 9
    return image, disparity


@EVERY_QUALITY
@EVERY_VIEW
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_no_disparity_returns_the_image_without_holes(quality: Quality, view: View, dtype: torch.dtype) -> None:
    image = (torch.randn(2, 3, 20, 37) * 3).to(dtype)
    rendered = render_view(image, torch.zeros(2, 1, 20, 37), quality, view)
    assert rendered.image.dtype == dtype
    assert torch.equal(rendered.image, image)
    assert not rendered.hole.any()


@EVERY_QUALITY
@pytest.mark.parametrize("shift", [1, 7, -4])
def test_a_constant_disparity_shifts_exactly(quality: Quality, shift: int) -> None:
    image = torch.rand(1, 3, 20, 37)
    right = render_view(image, torch.full((1, 1, 20, 37), float(shift)), quality, View.RIGHT)
    left = render_view(image, torch.full((1, 1, 20, 37), float(-shift)), quality, View.LEFT)
    covered = slice(0, 37 - shift) if shift > 0 else slice(-shift, None)
    source = slice(shift, None) if shift > 0 else slice(0, 37 + shift)
    for rendered in (right, left):
        assert torch.equal(rendered.image[..., covered], image[..., source])
        assert not rendered.hole[..., covered].any()
        assert int(rendered.hole.sum()) == 20 * abs(shift)


@EVERY_QUALITY
def test_a_fractional_shift_of_a_ramp_is_exact_inside(quality: Quality) -> None:
    ramp = torch.arange(40.0).expand(1, 1, 3, 40) / 40
    image = render_view(ramp, torch.full((1, 1, 3, 40), 2.25), quality).image
    torch.testing.assert_close(image[..., 1:35], ramp[..., 1:35] + 2.25 / 40)


@EVERY_QUALITY
def test_a_stretched_slope_opens_no_hole(quality: Quality) -> None:
    ramp = torch.arange(40.0).expand(1, 1, 2, 40) / 40
    slope = (20 - torch.arange(40.0)).expand(1, 1, 2, 40)  # a column of the source covers two
    rendered = render_view(ramp, slope, quality)
    assert not rendered.hole[..., 1:-1].any()
    target = torch.arange(40.0)
    torch.testing.assert_close(rendered.image[0, 0, 0, 1:-1], ((target + 20) / 2 / 40)[1:-1])


@EVERY_QUALITY
def test_the_nearer_surface_hides_the_farther(quality: Quality) -> None:
    image, disparity = scene()
    image[:] = 0.25
    image[..., 6:12, 20:30] = 1.0
    rendered = render_view(image, disparity, quality)
    assert (rendered.image[..., 6:12, 11:21] == 1.0).all()
    assert rendered.hole[..., 6:12, 22:29].all()
    torch.testing.assert_close(rendered.image[..., 6:12, 22:29], torch.full((1, 3, 6, 7), 0.25))


@EVERY_QUALITY
def test_the_fill_takes_nothing_from_the_nearer_surface(quality: Quality) -> None:
    image, disparity = scene(64, 256)
    image[:] = 0.25
    image[..., 16:32, 85:128] = 1.0
    rendered = render_view(image, disparity, quality)
    fill = rendered.image[rendered.hole.expand_as(rendered.image)]
    torch.testing.assert_close(fill, torch.full_like(fill, 0.25), atol=2e-3, rtol=0)


@EVERY_QUALITY
@EVERY_VIEW
def test_a_still_clip_does_not_change(quality: Quality, view: View) -> None:
    image, disparity = scene(30, 300)
    rendered = render_view(image.repeat(3, 1, 1, 1), disparity.repeat(3, 1, 1, 1), quality, view)
    assert torch.equal(rendered.image[0], rendered.image[1]) and torch.equal(rendered.image[1], rendered.image[2])
    assert torch.equal(render_view(image, disparity, quality, view).image[0], rendered.image[0])


@EVERY_QUALITY
def test_frames_are_rendered_each_by_itself(quality: Quality) -> None:
    image, disparity = scene(30, 150, batch=3)
    disparity[1] = disparity[1] * 1.5
    whole = render_view(image, disparity, quality)
    for index in range(3):
        one = slice(index, index + 1)
        assert torch.equal(render_view(image[one], disparity[one], quality).image, whole.image[one])
    assert not torch.equal(whole.hole[0], whole.hole[1])


@EVERY_QUALITY
def test_a_nearer_object_entering_does_not_move_the_background(quality: Quality) -> None:
    image, disparity = scene(40, 200)
    before = render_view(image, torch.ones_like(disparity), quality)
    after = render_view(image, disparity, quality)
    untouched = torch.ones_like(before.hole)
    untouched[..., 10:20, 50:105] = False
    untouched &= ~before.hole
    assert torch.equal(before.image[untouched.expand_as(image)], after.image[untouched.expand_as(image)])


def test_rows_are_independent_in_fast() -> None:
    image, disparity = scene(40, 100)
    disparity += torch.rand(disparity.shape, generator=torch.Generator().manual_seed(1))
    whole = render_view(image, disparity, Quality.FAST)
    rows = slice(9, 21)
    alone = render_view(image[..., rows, :], disparity[..., rows, :], Quality.FAST)
    assert torch.equal(alone.image, whole.image[..., rows, :])
    assert torch.equal(alone.hole, whole.hole[..., rows, :])


@EVERY_QUALITY
def test_rendering_in_bands_changes_nothing(quality: Quality, monkeypatch: pytest.MonkeyPatch) -> None:
    image, disparity = scene(40, 100)
    disparity += torch.rand(disparity.shape, generator=torch.Generator().manual_seed(1))
    whole = render_view(image, disparity, quality)
    landed = []
    land = rendering.land_surfaces
    monkeypatch.setattr(rendering, "land_surfaces", lambda near: (landed.append(len(near)), land(near))[1])
    monkeypatch.setattr(rendering, "_BAND", 300)
    banded = render_view(image, disparity, quality)
    assert torch.equal(banded.image, whole.image) and torch.equal(banded.hole, whole.hole)
    assert max(landed) == 4


@EVERY_QUALITY
def test_the_views_mirror_each_other(quality: Quality) -> None:
    image, disparity = scene(20, 131)
    right = render_view(image, disparity, quality, View.RIGHT)
    left = render_view(image.flip(-1), disparity.flip(-1), quality, View.LEFT)
    assert torch.equal(left.image.flip(-1), right.image)
    assert torch.equal(left.hole.flip(-1), right.hole)


@EVERY_QUALITY
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 3), (5, 129), (23, 343)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_size_and_channel_count_is_filled(quality: Quality, size: tuple[int, int], channels: int) -> None:
    generator = torch.Generator().manual_seed(4)
    image = torch.rand(2, channels, *size, generator=generator)
    disparity = torch.randn(2, 1, *size, generator=generator) * 6
    rendered = render_view(image, disparity, quality)
    assert rendered.image.shape == image.shape and rendered.hole.shape == disparity.shape
    assert rendered.image.isfinite().all()
    assert rendered.image.min() >= image.min() and rendered.image.max() <= image.max()


@EVERY_QUALITY
def test_everything_outside_the_frame_is_all_hole_and_finite(quality: Quality) -> None:
    rendered = render_view(torch.rand(1, 3, 8, 16), torch.full((1, 1, 8, 16), 1e9), quality)
    assert rendered.hole.all() and rendered.image.isfinite().all()


@EVERY_QUALITY
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(quality: Quality, dtype: torch.dtype) -> None:
    image, disparity = scene()
    half = image.to(dtype)
    rendered = render_view(half, disparity, quality).image
    assert rendered.dtype == dtype
    assert torch.equal(rendered, render_view(half.float(), disparity, quality).image.to(dtype))


@EVERY_QUALITY
def test_edge_growth_takes_pixels_beside_an_edge_along(quality: Quality) -> None:
    image, disparity = scene()
    image[:] = 0.25
    image[..., 6:12, 18:32] = 1.0  # the object is two columns wider than its disparity to both sides
    grown = render_view(image, disparity, quality, edge_growth=2)
    assert (grown.image[..., 6:12, 9:23] == 1.0).all()
    assert (grown.image[..., 6:12, 24:30] < 0.3).all()


@EVERY_QUALITY
def test_nothing_given_is_written(quality: Quality) -> None:
    image, disparity = scene()
    before = image.clone(), disparity.clone()
    render_view(image, disparity, quality)
    assert torch.equal(image, before[0]) and torch.equal(disparity, before[1])


@EVERY_QUALITY
@pytest.mark.parametrize("rows", [(20, 20), (17, 0), (0, 9)])
def test_black_bars_stay_black(quality: Quality, rows: tuple[int, int]) -> None:
    """Also at the side border, where the picture's part of the strip that enters is filled from many rows."""
    image = torch.rand(1, 3, 120, 160, generator=torch.Generator().manual_seed(2)) / 2 + 0.5
    above, below = rows
    bars = torch.arange(120)
    bars = (bars < above) | (bars >= 120 - below)
    image[..., bars, :] = 0
    view = render_view(image, torch.full((1, 1, 120, 160), 12.0), quality)
    assert view.image[..., bars, :].max() <= 3 / 255
    assert view.image[..., ~bars, :].min() > 0.4


@EVERY_QUALITY
@pytest.mark.parametrize("colour", [(1.0, 1.0, 1.0), (0.2, 0.5, 0.9)])
def test_margins_of_one_colour_stay_as_they_are(quality: Quality, colour: tuple[float, float, float]) -> None:
    """Those of a page, too, and a drawn sky: what begins below them does not run into them."""
    image = torch.rand(1, 3, 120, 160, generator=torch.Generator().manual_seed(2)) / 2
    margin = (torch.arange(120) < 20) | (torch.arange(120) >= 107)
    image[..., margin, :] = torch.tensor(colour)[:, None, None]
    view = render_view(image, torch.full((1, 1, 120, 160), 12.0), quality)
    torch.testing.assert_close(view.image[..., margin, :], image[..., margin, :], rtol=0, atol=2 / 255)
    assert view.image[..., ~margin, :].max() < 0.6


@EVERY_QUALITY
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_pixel_that_is_not_finite_counts_as_zero(quality: Quality, value: float) -> None:
    image, disparity = scene()
    image[..., 8, 40], broken = 0, image.clone()
    broken[..., 8, 40] = value
    assert torch.equal(render_view(broken, disparity, quality).image, render_view(image, disparity, quality).image)


@pytest.mark.parametrize("shape", [(181, 1448), (1448, 181), (256, 1024), (724, 362), (64, 64), (1024, 1024)])
def test_the_work_of_the_fill_follows_the_area_not_the_width(shape: tuple[int, int]) -> None:
    image, near = torch.zeros(3, *shape), torch.zeros(shape)
    cells, size = hole_filling._reduce(image, near, torch.zeros(shape, dtype=torch.bool), 4.0)
    assert len(cells.empty) <= 2 * 256**2
    assert size == max(1, round((shape[0] * shape[1]) ** 0.5 / 256))


def test_errors_name_the_argument() -> None:
    image, disparity = scene()
    with pytest.raises(ValueError, match="disparity: expected"):
        render_view(image, disparity[..., 1:])
    with pytest.raises(ValueError, match="image: expected"):
        render_view(image[0], disparity)
    with pytest.raises(ValueError, match="edge_growth: got -1"):
        render_view(image, disparity, edge_growth=-1)
    with pytest.raises(ValueError, match="disparity: holds NaN"):
        render_view(image, disparity * torch.nan)
    with pytest.raises(ValueError, match="finest"):
        render_view(image, disparity, "finest")  # type: ignore[arg-type]


def test_working_memory_grows_with_the_frame() -> None:
    assert working_bytes(1080, 1920, 3, Quality.BEST) == 4 * working_bytes(540, 960, 3, Quality.BEST)
    assert working_bytes(512, 512, 3, Quality.FAST) <= working_bytes(512, 512, 3, Quality.BEST)


@EVERY_QUALITY
@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("shifted", ["half the columns", "everything out of the frame"])
def test_no_more_memory_is_taken_than_estimated(quality: Quality, channels: int, shifted: str) -> None:
    height, width = 300, 400
    image = torch.rand(1, channels, height, width)
    disparity = torch.full((1, 1, height, width), 1e9)
    if shifted == "half the columns":
        disparity = (torch.arange(width) // 20 % 2 * 20.0).expand_as(disparity).contiguous()
    estimate = working_bytes(height, width, channels, quality)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiled:
        view = render_view(image, disparity, quality)
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    taken = list(accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())))
    results = view.image.nbytes + view.hole.nbytes
    assert 0.1 * estimate < max(taken) - results < estimate
