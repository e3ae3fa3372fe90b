"""Comfort in closed form: planes at known disparities, planted window cuts, cuts and vertical shifts."""

from __future__ import annotations

import math

import pytest
import skimage.data
import torch
from torch import Tensor

from stereo_core.comfort import advise, agreement, match_views, measure_disparity
from stereo_core.viewing import VIEWINGS, Display, Distances, Viewing, comfortable, limits
from tools.benchmarks.scenes import load_scenes

TELEVISION = VIEWINGS[Display.TELEVISION]


def plane(share: float, frames: int = 1, size: tuple[int, int] = (40, 200)) -> Tensor:
    return torch.full((frames, 1, *size), share * size[1])


@pytest.mark.parametrize(
    ("display", "degrees", "one_degree", "diverging"),
    [
        (Display.MONITOR, 0.49, 0.020, 0.105),
        (Display.TELEVISION, 0.28, 0.036, 0.052),
        (Display.HEADSET, 0.80, 0.012, 0.023),
        (Display.CINEMA, 0.48, 0.021, 0.0063),
    ],
)
def test_what_one_percent_of_the_width_asks_of_the_eyes(
    display: Display, degrees: float, one_degree: float, diverging: float
):
    viewing = VIEWINGS[display]
    assert viewing.degrees(0.01) == pytest.approx(degrees, abs=0.006)
    assert viewing.share(1.0) == pytest.approx(one_degree, abs=6e-4)
    assert -viewing.infinity == pytest.approx(diverging, abs=6e-4)


def test_eyes_meet_where_the_lines_of_sight_cross():
    """Seen from above: eyes at -e/2 and e/2, the images of a point at -P/2 and P/2 on the screen."""
    viewing = Viewing(1.0, 2.0, 0.06)
    for share in (-0.05, -0.01, 0.0, 0.02, 0.2):
        parallax = -share * viewing.width
        crossing = viewing.eyes * viewing.distance / (viewing.eyes - parallax)
        assert viewing.seen(share) == pytest.approx(crossing)
        assert viewing.share_at(crossing) == pytest.approx(share)
        assert viewing.dioptres(share) == pytest.approx(1 / crossing - 1 / viewing.distance)
        turned = 2 * math.atan(viewing.eyes / 2 / crossing) - 2 * math.atan(viewing.eyes / 2 / viewing.distance)
        assert math.radians(viewing.degrees(share)) == pytest.approx(turned, abs=1e-4)
        assert viewing.share(viewing.degrees(share)) == pytest.approx(share, abs=1e-12)
    assert viewing.dioptres(viewing.infinity) == pytest.approx(-1 / viewing.distance), "parallel: they meet nowhere"
    assert viewing.seen(2 * viewing.infinity) == math.inf
    with pytest.raises(ValueError, match="distance: got 0"):
        Viewing(1.0, 0.0)


@pytest.mark.parametrize("display", [Display.TELEVISION, Display.HEADSET, Display.CINEMA])
def test_life_size_depth_is_seen_where_it_was(display: Display):
    """A wall in slices from 1.2 to 15 m, as inverse depth in [0, 1]: every slice, not the ends alone."""
    viewing, distances = VIEWINGS[display], Distances(1.2, 15.0)
    strength, convergence = distances.life_size(viewing)
    assert 0 < convergence < 1
    for metres in (1.2, 1.5, 2.0, 4.0, 15.0):
        depth = (1 / metres - 1 / 15) / (1 / 1.2 - 1 / 15)
        assert viewing.seen(strength * (depth - convergence)) == pytest.approx(metres)
    assert Distances(0.3, 0.6).life_size(viewing)[1] < 0, "the screen is farther than all of it"
    with pytest.raises(ValueError, match="nearest and farthest: got 3 and 2 m. Give both"):
        Distances(3.0, 2.0)


def test_a_televisions_limits_are_the_broadcasters_and_a_headsets_is_one_degree():
    assert comfortable(TELEVISION, Display.TELEVISION) == (-0.02, 0.01)
    headset = VIEWINGS[Display.HEADSET]
    assert comfortable(headset, Display.HEADSET) == pytest.approx((headset.share(-1.0), headset.share(1.0)))
    cinema = VIEWINGS[Display.CINEMA]
    assert comfortable(cinema, Display.CINEMA)[0] == cinema.infinity, "before one degree they would diverge"
    broken = [limit.name for limit in limits(cinema, Display.CINEMA) if limit.broken(-0.007, 0.0)]
    assert broken == ["diverging eyes"]


@pytest.mark.parametrize("share", [-0.03, 0.0, 0.0125])
def test_a_plane_is_measured_where_it_is(share: float):
    report = measure_disparity(plane(share, frames=2))
    for spread in (report.clip, *report.frames):
        assert spread == pytest.approx((share,) * 3, abs=1e-4)
    assert report.steps == 0


def test_the_part_of_the_picture_beyond_a_limit_is_counted():
    disparity = plane(0.0, frames=2)
    disparity[0, ..., :50], disparity[1, ..., :20] = 0.02 * 200, -0.03 * 200
    report = measure_disparity(disparity)
    assert report.beyond(-0.01, 0.01) == pytest.approx((0.125, 0.05))
    assert report.beyond(-math.inf, 0.03) == (0, 0)
    known = torch.ones_like(disparity, dtype=torch.bool)
    known[..., 50:] = False
    assert measure_disparity(disparity, known).beyond(-0.01, 0.01) == pytest.approx((0.5, 0.2))


def test_a_single_column_has_no_steps():
    assert measure_disparity(torch.zeros(1, 1, 4, 1)).steps == 0


def test_single_pixels_do_not_count_and_the_clip_is_all_its_frames():
    disparity = plane(0.0, frames=2)
    disparity[0, 0, 0, 100] = 60.0
    assert measure_disparity(disparity).clip == (0, 0, 0)
    disparity[1] = 4.0
    report = measure_disparity(disparity)
    assert report.frames[1].middle == pytest.approx(0.02) and report.clip.low == 0
    assert report.clip.high == pytest.approx(0.02)


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_stands_before_the_screen_at_an_edge_is_told_by_its_side(side: str):
    disparity = plane(-0.01)
    columns = slice(0, 2) if side == "left" else slice(198, 200)
    disparity[:, :, 10:20, columns] = 3.0
    report = measure_disparity(disparity)
    cut, other = (report.left, report.right) if side == "left" else (report.right, report.left)
    assert cut == pytest.approx((0.25, 0.015)) and other == (0.0, 0.0)


def test_a_jump_at_a_cut_is_the_larger_change_and_keeps_its_sign():
    disparity = torch.cat([plane(0.01, 2), plane(-0.02, 2)])
    (jump,) = measure_disparity(disparity).jumps([0, 2])
    assert jump == (2, pytest.approx(-0.03, abs=1e-4))
    assert measure_disparity(disparity).jumps([0]) == ()


def test_advice_puts_near_and_far_on_their_limits():
    depth = torch.linspace(0.2, 0.7, 501).expand(1, 1, 10, 501)
    advice = advise(depth, -0.02, 0.01)
    strength = advice.max_disparity / 100
    shares = strength * (depth - advice.convergence)
    report = measure_disparity(shares * depth.shape[-1])
    assert report.clip.high == pytest.approx(0.01, abs=2e-4) and report.clip.low == pytest.approx(-0.02, abs=2e-4)
    flat = advise(torch.full((1, 1, 4, 4), 0.4), -0.02, 0.01)
    assert flat == pytest.approx((30.0, 0.4)), "nothing moves, whatever the strength"


@pytest.mark.parametrize("columns", [4, 12, 30])
def test_matched_views_tell_of_a_cut_at_either_edge_however_far_in_front(columns: int):
    """What the left view shows at its left edge is not in the right view, so it is never matched."""
    disparity = torch.full((1, 1, 20, 240), float(columns))
    known = (torch.arange(240) >= columns).expand(1, 1, 20, 240)
    report = measure_disparity(disparity, known)
    for side in (report.left, report.right):
        assert (side.rows, side.most) == (1.0, pytest.approx(columns / 240))
    inside = torch.where(torch.arange(240) < 120, -3.0, disparity)
    assert measure_disparity(inside, known).left.rows == 0


def test_what_is_not_known_does_not_count():
    disparity = plane(0.0)
    disparity[..., :50] = 9.0
    known = torch.ones_like(disparity, dtype=torch.bool)
    known[..., :50] = False
    report = measure_disparity(disparity, known)
    assert report.clip.high == 0 and report.left == (0, 0) and report.steps == 0
    with pytest.raises(ValueError, match="nothing of a frame is known"):
        measure_disparity(disparity, torch.zeros_like(known))


@pytest.mark.parametrize("name", ["Motorcycle", "Dolls", "Venus"])
def test_photographed_pairs_are_measured_as_their_true_disparity_says(name: str):
    scene = {scene.name: scene for scene in load_scenes(256, [name])}.get(name)
    if scene is None:
        pytest.skip("needs ../shared/data/stereo")
    matched = match_views(scene.left, scene.right)
    assert matched.known.float().mean() > 0.7, "most of the picture is in both views"
    measured, true = (measure_disparity(found, matched.known) for found in (matched.disparity, scene.disparity))
    assert (matched.disparity - scene.disparity)[matched.known].abs().median() / 256 < 2e-3
    assert measured.clip.low == pytest.approx(true.clip.low, abs=6e-3)
    assert measured.clip.high == pytest.approx(true.clip.high, abs=6e-3)
    assert (matched.vertical[matched.known].abs() / 256).quantile(0.9) < 2e-3, "they are aligned"


@pytest.mark.parametrize("name", ["Motorcycle", "Laundry", "Teddy"])
def test_exchanged_photographs_disagree_with_their_depth_and_a_senseless_map_with_neither(name: str):
    scene = {scene.name: scene for scene in load_scenes(256, [name])}.get(name)
    if scene is None:
        pytest.skip("needs ../shared/data/stereo")
    depth = scene.disparity / scene.disparity.max()
    right_way, exchanged = match_views(scene.left, scene.right), match_views(scene.right, scene.left)
    assert agreement(right_way, depth) > 0.6 and agreement(exchanged, depth) < -0.6
    assert abs(agreement(right_way, scene.left.mean(1, keepdim=True))) < 0.4


def test_flat_views_neither_agree_nor_disagree():
    view = torch.rand(1, 3, 40, 60, generator=torch.Generator().manual_seed(6))
    matched = match_views(view, view)
    assert agreement(matched, torch.rand(1, 1, 20, 30)) == 0 == agreement(matched, torch.ones(1, 1, 20, 30))


def test_pictures_of_two_scenes_have_hardly_anything_in_common():
    astronaut = torch.from_numpy(skimage.data.astronaut()).movedim(-1, 0)[None] / 255
    other = torch.nn.functional.interpolate(astronaut, (256, 256), mode="bilinear", antialias=True)
    assert match_views(load_scenes(256, [])[0].left, other).known.float().mean() < 0.15


def test_finished_views_tell_their_disparity_and_how_far_they_are_out_of_line():
    generator = torch.Generator().manual_seed(1)
    scene = torch.nn.functional.interpolate(torch.rand(1, 3, 24, 40, generator=generator), (96, 160), mode="bicubic")
    scene = scene.clamp(0, 1)
    left, right = scene[..., 8:88, 10:150], scene[..., 6:86, 14:154]  # four columns to the left, two rows lower
    matched = match_views(left, right)
    assert matched.known.float().mean() > 0.8
    assert matched.disparity[matched.known].median() == pytest.approx(4, abs=0.1)
    assert matched.vertical[matched.known].median() == pytest.approx(2, abs=0.1)
