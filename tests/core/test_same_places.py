"""Views from one place: the two ends of a closed orbit, and azimuths that were typed twice."""

from __future__ import annotations

import dataclasses
from functools import cache

import pytest
import torch
from torch import Tensor

from stereo_core.cameras import Orbit
from stereo_core.same_places import places
from stereo_core.splat_matrix import TargetMatrix, target_matrix
from stereo_core.splat_options import FitOptions
from stereo_core.splat_scene import WHITE
from tools.benchmarks.splat_truth import SCENES, trace_matrix

CLOSED = tuple(45.0 * view for view in range(9))
OPTIONS = FitOptions(gaussians=40, iterations=2, warm_up=2)


@cache
def pictures() -> Tensor:
    return trace_matrix(SCENES["sway and orbit"], Orbit(CLOSED, elevation=10.0), [0.0, 0.5], 48)


def read(images: Tensor, azimuths: tuple[float, ...]) -> TargetMatrix:
    return target_matrix(images, Orbit(azimuths, elevation=10.0), OPTIONS, WHITE, None)


def test_places_are_directions():
    assert places([0.0, 90.0, 360.0, 51.43, 411.4, -0.05]) == [0, 1, 0, 3, 3, 0]


def test_a_closed_orbit_may_end_with_another_picture_of_its_start():
    """As generated ones do: noise, and a shift by a pixel."""
    read(pictures(), CLOSED)
    again = pictures().clone()
    again[-1] = (again[-1].roll(1, -1) + 0.02 * torch.randn(3, 48, 48)).clamp(0, 1)
    # Where nothing is the background stays one color.
    again[-1] = torch.where((pictures()[-1].roll(1, -1) == 1).all(dim=1, keepdim=True), 1.0, again[-1])
    read(again, CLOSED)
    read(again[[0, 4, 8]], (0.0, 180.0, 0.0))


@pytest.mark.parametrize(
    ("azimuths", "said"),
    [
        ((0, 45, 90, 90, 180, 225, 270, 315, 360), "views 3 and 4, counted from 1, are both at 90 degrees, but"),
        ((0, 45, 90, 135, 180, 225, 270, 315, -315), "views 2 and 9, counted from 1, are both at -315 degrees"),
    ],
)
def test_an_azimuth_that_was_typed_twice_is_told(azimuths: tuple[float, ...], said: str):
    with pytest.raises(ValueError, match=f"^azimuths: {said}.*Correct one"):
        read(pictures(), azimuths)
    with pytest.raises(ValueError, match="^azimuths: views 2 and 3"):
        read(pictures()[[0, 2, 4, 6]], (0, 90, 90, 270))


def test_what_looks_alike_from_two_sides_contradicts_nothing():
    red = torch.where((pictures() < 1).any(dim=2, keepdim=True), 0.5, 1.0).expand_as(pictures())
    same = red[:1].expand_as(red)
    read(same, (0, 45, 90, 90, 180, 225, 270, 315, 360))


def test_views_from_one_place_are_held_out_together():
    """Of one that is fitted, the other is no test; and neither is where the reference view stands."""
    for reference in ((0, 0), (-1, 1), (3, 0)):
        options = dataclasses.replace(OPTIONS, reference=reference)
        target = target_matrix(pictures(), Orbit(CLOSED, elevation=10.0), options, WHITE, None)
        for every in (2, 3, 5):
            held = target.held_out(every)
            assert held and {(8 - view, frame) for view, frame in held if view in (0, 8)} <= held
            assert target.reference not in held


def test_every_frame_keeps_a_view_however_often_one_place_is_seen():
    """Of two places, one of which was seen five times, never both are held out."""
    azimuths = (0.0, 0.0, 0.0, 0.0, 360.0, 180.0)
    target = read(pictures()[[0, 0, 0, 0, 0, 4]].expand(-1, 2, -1, -1, -1), azimuths)
    for every in (2, 3, 5):
        held = target.held_out(every)
        assert all(any((view, frame) not in held for view in range(6)) for frame in range(2))
    many = dataclasses.replace(target, images=target.images[:, :1].expand(-1, 9, -1, -1, -1))
    held = many.held_out(5)
    assert held and all(any((view, frame) not in held for view in range(6)) for frame in range(9))
