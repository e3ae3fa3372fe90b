"""Stereo Comfort in the real host: what it says of depth maps and of finished views, and what it advises."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

CUSTOM = {"screen_width": 1.22, "distance": 2.5}


@pytest.fixture
def comfort(host: dict[str, type]) -> Any:
    def run(display: str = "television", **inputs: Any) -> tuple[Any, ...]:
        return host["Stereo_StereoComfort"].execute(display, **{**CUSTOM, **inputs}).args

    return run


def depth(frames: int = 1) -> Tensor:
    return torch.linspace(0, 1, 200).expand(frames, 40, 200).unsqueeze(-1).expand(-1, -1, -1, 3)


def strength(host: dict[str, type], maps: Tensor, max_disparity: float, convergence: float) -> Any:
    return host["Stereo_StereoStrength"].execute(maps, max_disparity, "value", convergence, 1.0, False).args[0]


def test_the_advice_taken_keeps_all_limits(host: dict[str, type], comfort: Any):
    strong = strength(host, depth(), 8.0, 0.2)
    report, chart, max_disparity, convergence = comfort(depth=strong)
    near = "Too near for the broadcasters' depth budget: 6.3 % of the width, at most 1.0 %; beyond it is 68 % of the"
    assert near in report
    assert "Too far for the broadcasters' depth budget" not in report
    assert "The right edge cuts what stands in front of the screen, in 100 % of the rows" in report
    assert chart.shape[0] == 1 and chart.shape[-1] == 3 and 0 <= chart.min() and chart.max() <= 1
    better, *_ = comfort(depth=strength(host, depth(), max_disparity, convergence))
    assert "All limits are kept." in better and "near: +10.0" in better and "far: -20.0" in better


def test_the_screen_decides(comfort: Any):
    television, *_ = comfort(depth=depth())
    headset, *_ = comfort("headset", depth=depth())
    custom, *_ = comfort("custom", depth=depth())
    assert "0.41° in front" in television and "All limits are kept." not in television, "1.5 % is over 1 %"
    assert "1.18° in front" in headset and "Too near for one degree" in headset
    assert "All limits are kept." in custom, "broadcasters' limits are for televisions that are known"


def test_life_size_settings_show_everything_where_it_was(host: dict[str, type], comfort: Any):
    """What the report advises is taken; then it says that things are seen at their real distances."""
    real = {"nearest": 1.5, "farthest": 6.0}
    report, *_ = comfort(depth=strength(host, depth(), 1.3, 0.5), **real)
    assert "Real distances: 1.5 m to 6 m; seen at 2.22 m to " in report
    assert "Depth is 0.2 times life-size: that of cameras 13 mm apart, where eyes are 63 mm apart." in report
    advised = "with max_disparity 6.5 and convergence 0.47, which is beyond the comfortable range; it has its real"
    assert advised in report and "if the lens saw 27° across" in report
    life, *_ = comfort(depth=strength(host, depth(), 6.454, 0.4667), **real)
    assert "seen at 1.51 m to 5.91 m" in life and "Depth is 1 times life-size: that of cameras 63 mm apart" in life
    assert "that takes a screen 4 m to infinity away" in comfort(depth=depth(), nearest=4.0, farthest=1e4)[0]
    curved = host["Stereo_StereoStrength"].execute(depth(), 2.0, "value", 0.5, 2.0, False).args[0]
    assert "needs exponent 1" in comfort(depth=curved, **real)[0]
    assert "eal distances" not in comfort(depth=depth())[0]
    for wrong in ({"nearest": 2.0}, {"nearest": 3.0, "farthest": 2.0}):
        with pytest.raises(ValueError, match="^nearest and farthest: got"):
            comfort(depth=depth(), **wrong)


def test_finished_views_are_measured(comfort: Any):
    generator = torch.Generator().manual_seed(1)
    scene = torch.nn.functional.interpolate(torch.rand(1, 3, 24, 40, generator=generator), (96, 160), mode="bicubic")
    image = scene.clamp(0, 1).movedim(1, -1)
    left, right = image[:, 8:88, 10:150], image[:, 6:86, 14:154]  # 4 of 140 columns in front, 2 of 80 rows lower
    for views in ({"left": left, "right": right}, {"left": torch.cat([left, right])}):
        report, _, max_disparity, convergence = comfort(**views)
        assert "middle: +28" in report and "it tires, align the views first" in report
        assert (max_disparity, convergence) == pytest.approx((3.0, 2 / 3)), "the whole comfortable range"


def test_what_lies_on_the_screen_is_neither_in_front_nor_behind(comfort: Any):
    report, *_ = comfort(depth=torch.full((1, 20, 30, 3), 0.5))
    assert report.splitlines()[1:4] == ["near: on the screen", "middle: on the screen", "far: on the screen"]


@pytest.mark.parametrize("columns", [4, 24])
def test_both_edges_of_a_finished_pair_are_looked_at(comfort: Any, columns: int):
    """A plane that stands in front of the screen all over is cut at either side."""
    generator = torch.Generator().manual_seed(1)
    scene = torch.nn.functional.interpolate(torch.rand(1, 3, 24, 60, generator=generator), (96, 240), mode="bicubic")
    image = scene.clamp(0, 1).movedim(1, -1)
    report, *_ = comfort(left=image[:, :, 10:210], right=image[:, :, 10 + columns : 210 + columns])
    for side in ("left", "right"):
        assert f"The {side} edge cuts what stands in front of the screen" in report


def test_the_drawing_of_a_narrow_picture_stays_small(comfort: Any):
    wide, narrow = (comfort(depth=torch.rand(1, *size, 3))[1] for size in ((20, 30), (400, 2)))
    assert wide.shape[2] == narrow.shape[2] and narrow.shape[1] < 3 * narrow.shape[2]


def test_views_of_different_scenes_are_told_of(comfort: Any):
    coarse = torch.rand(2, 3, 30, 40, generator=torch.Generator().manual_seed(4))
    one, two = torch.nn.functional.interpolate(coarse, (120, 160)).movedim(1, -1).split(1)
    words = "are they two views of one scene?"
    assert words in comfort(left=one, right=two)[0] and words not in comfort(left=one, right=one)[0]


def test_exchanged_views_are_told_of_where_a_depth_map_says_what_is_near(host: dict[str, type], comfort: Any):
    """A square before a wall, shifted by its depth."""
    coarse = torch.rand(2, 3, 30, 40, generator=torch.Generator().manual_seed(5))
    image = torch.nn.functional.interpolate(coarse, (120, 160), mode="bicubic").clamp(0, 1).movedim(1, -1)
    maps = torch.full((1, 120, 160, 3), 0.2)
    maps[:, 30:90, 50:110] = 0.9
    made = host["Stereo_ImageStereoShift"].execute(image, strength(host, maps, 6.0, 0.5), 0.0, "fast", 0)
    left, right = made.args[:2]
    words = "left and right are exchanged, or the depth map is inverted"
    for given in (maps, strength(host, maps, 6.0, 0.5), maps.expand(2, -1, -1, -1)):
        assert words not in comfort(left=left, right=right, depth=given)[0]
        assert words in comfort(left=right, right=left, depth=given)[0]
    assert words in comfort(left=left, right=right, depth=1 - maps)[0]
    assert words not in comfort(left=right, right=left)[0]
    with pytest.raises(ValueError, match="depth holds 3 maps for 2 pictures"):
        comfort(left=left, right=right, depth=maps.expand(3, -1, -1, -1))


def test_views_that_seem_exchanged_by_themselves_are_told_of(pack: Any, comfort: Any, monkeypatch: pytest.MonkeyPatch):
    view, words = torch.rand(1, 20, 30, 3, generator=torch.Generator().manual_seed(6)), "left and right seem to be"
    assert words not in comfort(left=view, right=view)[0]
    monkeypatch.setattr(pack("nodes.delivery.comfort_measures"), "seem_exchanged", lambda _: True)
    assert comfort(left=view, right=view)[0].startswith(words)
    monkeypatch.setattr(pack("nodes.delivery.comfort_measures"), "agreement", lambda *_: 0.8)
    assert words not in comfort(left=view, right=view, depth=view)[0], "the depth map knows better"


def test_a_frame_with_nothing_in_common_is_left_out(pack: Any, comfort: Any, monkeypatch: pytest.MonkeyPatch):
    module, clip = pack("nodes.delivery.comfort_measures"), torch.zeros(2, 20, 30, 3)
    matches = iter([True, False, False, False])

    def match(left: Tensor, _: Tensor) -> Any:
        nothing = torch.zeros(1, 1, *left.shape[-2:])
        return nothing, nothing, torch.full_like(nothing, next(matches), dtype=torch.bool), torch.zeros(1, 2)

    monkeypatch.setattr(module, "match_views", match)
    assert "All limits are kept." in comfort(left=clip, right=clip)[0]
    with pytest.raises(ValueError, match="^left and right have nothing in common"):
        comfort(left=clip, right=clip)


def test_a_clip_tells_of_its_cuts(host: dict[str, type], comfort: Any):
    maps = torch.cat([torch.zeros(3, 40, 200, 3), torch.ones(3, 40, 200, 3)])
    generator = torch.Generator().manual_seed(2)
    clip = torch.rand(2, 40, 200, 3, generator=generator).repeat_interleave(3, 0)
    report, *_ = comfort(depth=strength(host, maps, 6.0, 0.5), left=clip)
    assert "At the cut before frame 4 depth jumps by 1.7° towards the viewer" in report
    assert "jumps" not in comfort(depth=strength(host, maps, 6.0, 0.5))[0]


def test_finished_views_tell_of_their_cuts_in_one_batch_too(comfort: Any):
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(2, 3, 12, 40, generator=generator)
    scenes = torch.nn.functional.interpolate(coarse, (60, 200), mode="bicubic").clamp(0, 1).movedim(1, -1)
    left = scenes.repeat_interleave(2, 0)
    right = torch.cat([left[:2], left[2:].roll(-10, 2)])
    for views in ({"left": left, "right": right}, {"left": torch.cat([left, right])}):
        assert "At the cut before frame 3 depth jumps by 1.4° towards the viewer" in comfort(**views)[0]


def test_a_long_clip_of_finished_views_tells_of_its_cuts_by_their_frames(comfort: Any):
    """40 frames, of which not all are matched."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(3, 3, 12, 20, generator=generator)
    scenes = torch.nn.functional.interpolate(coarse, (30, 100), mode="bicubic").clamp(0, 1).movedim(1, -1)
    left = torch.cat(
        [scenes[:1].expand(20, -1, -1, -1), scenes[1:2].expand(13, -1, -1, -1), scenes[2:].repeat(7, 1, 1, 1)]
    )
    right = torch.cat([left[:20], left[20:33].roll(-5, 2), left[33:]])
    report = comfort(left=left, right=right)[0]
    assert "At the cut before frame 21 depth jumps by 1.4° towards the viewer" in report
    assert "At the cut before frame 34 depth jumps by 1.4° away from the viewer" in report


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "Stereo Comfort: nothing is connected"),
        ({"right": depth()}, "left: only right is connected"),
        (
            {"left": depth(), "right": depth()[:, :20]},
            "left is one picture of 200x40 and right is one picture of 200x20",
        ),
        ({"depth": 3 * depth()}, "depth: values must lie between 0"),
        ({"depth": depth(5), "left": depth(3)}, "depth holds 5 maps for 3 pictures"),
        ({"depth": depth(), "left": depth()[:, :20]}, "depth is 200x40, of another shape than the picture"),
    ],
)
def test_what_it_cannot_measure_is_said_by_name(comfort: Any, inputs: dict[str, Tensor], message: str):
    with pytest.raises(ValueError, match=message):
        comfort(**inputs)
