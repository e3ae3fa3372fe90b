"""The weights of composed denoisers over the steps and the views."""

from __future__ import annotations

import math

import pytest

from stereo_core.composition_weights import PAPER, PUBLISHED_CODE, CompositionSettings, ViewWeights, WeightSchedule
from stereo_core.image_matrix import full_turn, spaced_azimuths


def over_steps(schedule: WeightSchedule, weight: float = 1.0, end: float = 0.0, steps: int = 11) -> list[float]:
    settings = CompositionSettings(weight, schedule, end)
    return [settings.multiview_weights(step, steps, full_turn(3), 3)[0] for step in range(steps)]


def test_the_papers_weight_is_one_half_throughout_and_five_of_fifty_steps_are_repeated():
    assert all(PAPER.multiview_weights(step, 50, full_turn(21), 25) == [0.5] * 21 for step in range(50))
    assert (PAPER.repeats(50), PUBLISHED_CODE.repeats(50)) == (5, 10)
    assert [PAPER.repeats(steps) for steps in (4, 5, 8, 30)] == [0, 1, 1, 3]


def test_schedules_go_from_the_weight_to_its_end():
    assert over_steps(WeightSchedule.LINEAR) == pytest.approx([1 - step / 10 for step in range(11)])
    assert over_steps(WeightSchedule.LINEAR, 0.2, 0.8) == pytest.approx([0.2 + 0.06 * step for step in range(11)])
    cosine = over_steps(WeightSchedule.COSINE)
    assert (cosine[0], cosine[5], cosine[10]) == pytest.approx((1, 0.5, 0))
    assert cosine[2] == pytest.approx((1 + math.cos(0.2 * math.pi)) / 2)
    logistic = over_steps(WeightSchedule.LOGISTIC)
    assert (logistic[0], logistic[6], logistic[10]) == pytest.approx((1, 0.5, 0), abs=3e-3)
    assert logistic[8] == pytest.approx(1 - 1 / (1 + math.exp(-15 * (0.8 - 0.6))))
    assert over_steps(WeightSchedule.LINEAR, steps=1) == [1.0]


# 0.5 (1 + cos(2 pi (v + 1) / 10.5)) as the published code holds it, to its eight figures.
_TABLE = [
    0.91311939,
    0.68267051,
    0.38873953,
    0.13347406,
    0.00558459,
    0.04951557,
    0.25,
    0.53736505,
    0.8117449,
    0.9777864,
]
PUBLISHED_TABLE = [*_TABLE, *reversed(_TABLE), 1.0]


def test_the_codes_weights_of_a_full_turn_are_those_it_was_published_with():
    """The last view is the one that is given."""
    video = [1 - share for share in PUBLISHED_CODE.multiview_weights(0, 50, full_turn(21), 25)]
    assert video == pytest.approx([(1 - 0.75 * (1 - value)) * 0.4 for value in PUBLISHED_TABLE], abs=1e-8)
    in_full = [0.5 * (1 + math.cos(2 * math.pi * (view + 1) / 10.5)) for view in range(21)]
    assert video == pytest.approx([(1 - 0.75 * (1 - value)) * 0.4 for value in in_full], abs=1e-14)


def test_the_codes_weights_belong_to_directions_and_not_to_places_in_the_orbit():
    """Of a stereo arc every view is a front view; the side leans most on the multi-view denoiser."""
    arc = PUBLISHED_CODE.multiview_weights(0, 50, spaced_azimuths(21, 0.5), 25)
    assert all(0.6 <= weight < 0.61 for weight in arc[-10:]) and arc == sorted(arc, reverse=True)
    sides = PUBLISHED_CODE.multiview_weights(0, 50, [90, -90, 180, 0, 360], 25)
    assert sides == pytest.approx([0.9, 0.9, 0.6, 0.6, 0.6])


@pytest.mark.parametrize("view_weights", ViewWeights)
def test_the_video_works_alone_from_its_share_on(view_weights):
    settings = CompositionSettings(view_weights=view_weights, video_alone_from=0.6)
    weights = [settings.multiview_weights(step, 10, full_turn(4), 2) for step in range(10)]
    assert all(min(views) >= 0.5 for views in weights[:6])
    assert weights[6:] == [[0.0] * 4] * 4


@pytest.mark.parametrize("view_weights", ViewWeights)
@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_weight_0_and_1_are_one_denoiser_alone_in_every_view(view_weights, weight):
    settings = CompositionSettings(weight, view_weights=view_weights)
    assert settings.multiview_weights(0, 10, full_turn(4), 3) == [weight] * 4


def test_a_single_view_or_frame_leaves_one_denoiser_unless_the_weight_decides():
    assert PAPER.multiview_weights(0, 5, full_turn(1), 4) == [0.0]
    assert PAPER.multiview_weights(0, 5, full_turn(3), 1) == [1.0] * 3
    assert PUBLISHED_CODE.multiview_weights(0, 5, full_turn(1), 4) == [0.0]
    assert CompositionSettings(1.0).multiview_weights(0, 5, full_turn(1), 4) == [1.0]
    assert CompositionSettings(0.0).multiview_weights(0, 5, full_turn(3), 1) == [0.0] * 3


@pytest.mark.parametrize("name", ["weight", "weight_end", "repeat_until", "video_alone_from"])
def test_shares_outside_their_range_are_named(name):
    with pytest.raises(ValueError, match=rf"^{name}: got 1.5"):
        CompositionSettings(**{name: 1.5})


@pytest.mark.parametrize("name", ["schedule", "view_weights", "repeat_noise"])
def test_unknown_options_are_refused(name):
    with pytest.raises(ValueError, match="nothing"):
        CompositionSettings(**{name: "nothing"})
