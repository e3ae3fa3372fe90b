"""Outlines of ray-traced balls against right and wrong cameras; their stripes are never looked at."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from stereo_core import splat_fitting
from stereo_core.cameras import Orbit
from stereo_core.outline_agreement import Outlines, expect_agreement, own_side
from stereo_core.splat_fitting import fit
from stereo_core.splat_options import FitOptions
from stereo_core.splat_scene import WHITE
from stereo_core.visual_hull import silhouettes
from tools.benchmarks.splat_truth import RED, SCENES, Ball, trace_matrix

VIEWS, SIZE = 8, 48
ORBIT = Orbit(tuple(45.0 * view for view in range(VIEWS)), elevation=10.0)
EXCHANGED = [0, 1, 3, 2, *range(4, VIEWS)]


@cache
def pictures() -> Tensor:
    return trace_matrix(SCENES["sway and orbit"], ORBIT, [0.0], SIZE)


@cache
def outlines() -> Tensor:
    return silhouettes(pictures()[:, 0], WHITE)


def turned(factor: float) -> Orbit:
    return dataclasses.replace(ORBIT, azimuths=tuple(factor * azimuth for azimuth in ORBIT.azimuths))


def test_right_cameras_miss_nothing_and_others_much():
    given = Outlines(outlines(), ORBIT)
    assert given.missed() == 0 and given.confirm() and given.likelier == ""
    for factor in (-1, 0.5):
        wrong = Outlines(outlines(), turned(factor))
        assert wrong.missed() > 0.03 and not wrong.confirm()
    shuffled = Outlines(outlines()[torch.randperm(VIEWS, generator=torch.Generator().manual_seed(0))], ORBIT)
    assert not shuffled.confirm() and shuffled.likelier == ""


def test_masks_may_be_wide_large_and_off_by_a_pixel():
    wide = torch.nn.functional.pad(outlines(), (10, 10))
    large = wide.repeat_interleave(4, -1).repeat_interleave(4, -2)
    assert Outlines(large, ORBIT).missed() == 0
    assert Outlines(outlines().roll(1, -1), ORBIT).missed() < 0.01


def test_the_other_sense_and_exchanged_neighbors_are_told():
    assert "azimuths of the other sign" in Outlines(outlines(), turned(-1)).likelier
    assert "views at 90 and 135 degrees seem to be exchanged" in Outlines(outlines()[EXCHANGED], ORBIT).likelier


def test_exchanged_neighbors_are_told_with_the_quality():
    options = FitOptions(gaussians=40, iterations=2, warm_up=2, reference=(0, 0))
    assert "90 and 135 degrees" in fit(pictures()[EXCHANGED], ORBIT, options).quality
    assert "degrees" not in fit(pictures(), ORBIT, options).quality


def test_outlines_that_contradict_are_told_with_the_quality_however_good_the_pictures_are():
    options = FitOptions(gaussians=40, iterations=2, warm_up=2, reference=(0, 0))
    dark = 0.05 * silhouettes(pictures(), WHITE).float()[:, :, None].expand(-1, -1, 3, -1, -1)  # before black
    wrong = dataclasses.replace(ORBIT, elevation=50.0)
    assert Outlines(outlines(), ORBIT).doubt == ""
    assert "where the other views leave no room" in fit(dark, wrong, options, (0.0, 0.0, 0.0)).quality


def test_what_looks_alike_from_everywhere_confirms_nothing():
    ball = trace_matrix([Ball(0.4, lambda _: (0.0, 0.0, 0.0), RED, (3, (0.0, 1.0, 0.0)))], ORBIT, [0.0], SIZE)
    alike = Outlines(silhouettes(ball[:, 0], WHITE), ORBIT)
    assert alike.missed() == 0 and not alike.confirm() and alike.likelier == ""


def test_an_outline_of_one_pixel_is_one():
    dot = torch.zeros(VIEWS, 192, 192, dtype=torch.bool)
    dot[:, 96, 96] = True
    assert Outlines(dot, ORBIT).missed() == 0


def test_a_pattern_too_fine_for_the_views_is_not_refused_where_the_outlines_are_right():
    """The held-out pictures of this one are no better than a mean of all, as a fit finds them."""
    fine = [ball._replace(stripes=(12, ball.stripes[1])) for ball in SCENES["sway and orbit"]]
    assert torch.equal(silhouettes(trace_matrix(fine, ORBIT, [0.0], SIZE)[:, 0], WHITE), outlines())
    assert expect_agreement(15.0, 14.0, Outlines(outlines(), ORBIT), lambda: -0.1) == ""
    everywhere = Outlines(torch.ones(VIEWS, SIZE, SIZE, dtype=torch.bool), ORBIT)
    # Outlines say nothing, and pictures know their own sides.
    assert "hardly better than the mean" in expect_agreement(15.0, 14.0, everywhere, lambda: 0.01)
    for masks, cameras, said in [
        (outlines(), turned(-1), r"14\.0 dB\. The outlines agree with azimuths of the other sign\. Check"),
        (outlines()[EXCHANGED], ORBIT, "seem to be exchanged"),
    ]:
        assert expect_agreement(17.0, 14.0, Outlines(masks, cameras), lambda: -0.1) == ""
        with pytest.raises(ValueError, match=said):
            expect_agreement(15.0, 14.0, Outlines(masks, cameras), lambda: 1.0)
    with pytest.raises(
        ValueError, match=r"do not agree with these azimuths.*view by view.*held_out 0 of Splat 4D Options"
    ):
        expect_agreement(15.0, 14.0, everywhere, lambda: -0.01)


def test_a_faint_pattern_knows_its_own_side():
    """By far less than decibels tell; noise knows none, and neither does the other sense. One place is one side."""
    ball = [Ball(0.42, lambda _: (0.0, 0.0, 0.0), RED, (6, (1.0, 0.2, 0.0)))]
    seen = trace_matrix(ball, ORBIT, [0.0], SIZE)[:, 0]
    mean, faint = seen.mean(dim=0), 0.05 * seen + 0.95 * seen.mean(dim=0)
    noise = torch.rand(seen.shape, generator=torch.Generator().manual_seed(0))
    views, every = [2, 7], list(range(VIEWS))

    def own(drawn: Tensor, of_place: list[int]) -> float:
        return own_side(drawn, mean, [seen[view] for view in views], views, of_place)

    assert own(faint, every) > 0.5
    assert own(faint.flip(0), every) < -0.5 and own(noise, every) < 0
    twice = torch.cat([faint, faint[2:3]])
    assert own(twice, [*every, VIEWS]) < own(twice, [*every, 2]) == pytest.approx(own(faint, every), abs=0.05)


def test_a_fine_pattern_on_what_is_round_is_fitted_and_the_doubt_told():
    """Which more than all others it was: its held-out pictures are no better than the mean of the others."""
    orbit = Orbit(tuple(30.0 * view for view in range(12)), elevation=10.0)
    ball = [Ball(0.42, lambda _: (0.0, 0.0, 0.0), RED, (6, (1.0, 0.2, 0.0)))]
    options = FitOptions(gaussians=200, iterations=100, warm_up=100, reference=(0, 0))
    assert "check the azimuths, or give more views" in fit(trace_matrix(ball, orbit, [0.0], 32), orbit, options).quality


def test_outlines_are_prepared_once_and_compared_once_with_their_own_cameras(monkeypatch: pytest.MonkeyPatch):
    made: list[Outlines] = []
    compared: list[object] = []

    class Counted(Outlines):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            made.append(self)

        def missed(self, azimuths: Any = None, views: Any = None) -> float:
            compared.append(azimuths)
            return super().missed(azimuths, views)

    monkeypatch.setattr(splat_fitting, "Outlines", Counted)
    fit(pictures(), ORBIT, FitOptions(gaussians=40, iterations=100, warm_up=100, reference=(0, 0)))
    assert len(made) == 1 and made[0].confirm() and made[0].right() and made[0].likelier == ""
    assert compared.count(None) == 1
