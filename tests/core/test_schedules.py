"""Schedules: valid ones, the step a fraction means, and a host's percent."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from stereo_core.schedules import expect_schedule, expect_steps, nearest_step, round_half_up, step_ranges


def exponential(percent: float) -> float:
    """A diffusion model's: open at the top."""
    if percent <= 0:
        return 999999999.9
    return 0.0 if percent >= 1 else math.exp((1 - percent) * math.log(14.6 / 0.03)) * 0.03


def shifted(percent: float) -> float:
    """A flow model's, shift 3."""
    return 3 * (1 - percent) / (1 + 2 * (1 - percent))


MEASURES = {"exponential": (exponential, 14.6), "shifted": (shifted, 1.0)}


def inside(sigma: float, ranges: list[tuple[float, float]], measure: Callable[[float], float]) -> list[int]:
    return [i for i, (start, end) in enumerate(ranges) if measure(end) <= sigma <= measure(start)]


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("steps", [1, 2, 5, 50, 200])
def test_each_level_lies_in_its_own_range_alone(name: str, steps: int):
    measure, largest = MEASURES[name]
    sigmas = torch.cat([torch.linspace(largest, 0.03, steps), torch.zeros(1)])
    ranges = step_ranges(sigmas, measure)
    assert [inside(sigma, ranges, measure) for sigma in sigmas[:-1].tolist()] == [[step] for step in range(steps)]


def test_the_ranges_cover_everything_between_without_a_gap():
    ranges = step_ranges(torch.tensor([14.6, 5.0, 1.0, 0.1, 0.0]), exponential)
    assert ranges[0][0] == 0.0 and ranges[-1][1] == 1.0
    assert all(before[1] == after[0] for before, after in zip(ranges[:-1], ranges[1:], strict=True))
    assert exponential(ranges[0][1]) == pytest.approx(9.8)


@pytest.mark.parametrize("levels", [[80.0, 40.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.5, 0.02, 0.01, 0.0]])
def test_levels_the_model_cannot_tell_apart_are_refused(levels: list[float]):
    with pytest.raises(ValueError, match="cannot tell the noise levels"):
        step_ranges(torch.tensor(levels), exponential)


@pytest.mark.parametrize("sigmas", [[], [1.0], [[1.0, 0.0]]])
def test_a_schedule_without_a_step_is_refused(sigmas):
    for expect in (expect_steps, expect_schedule):
        with pytest.raises(ValueError, match="^sigmas: the schedule has no step. Use at least 1 step"):
            expect(torch.tensor(sigmas))


@pytest.mark.parametrize(
    "sigmas", [[1.0, 2.0, 0.0], [1.0, 1.0], [1.0, -0.1], [1.0, math.nan], [math.nan, 0.0], [math.inf, 1.0, 0.0]]
)
def test_noise_levels_that_do_not_fall_are_refused(sigmas):
    expect_steps(torch.tensor(sigmas))
    with pytest.raises(ValueError, match=r"^sigmas: every noise level must be finite and lie below the one before"):
        expect_schedule(torch.tensor(sigmas))


def test_a_schedule_may_end_above_zero():
    expect_schedule(torch.tensor([14.6, 3.0, 0.03]))
    expect_schedule(torch.tensor([1.0, 0.0], dtype=torch.float16))


def test_the_nearest_step_rounds_halves_up():
    assert [nearest_step(fraction, 5) for fraction in (0, 0.1, 0.3, 0.5, 1)] == [0, 1, 2, 3, 5]
    assert [round_half_up(value) for value in (0.5, 1.5, 2.5, 2.4)] == [1, 2, 3, 2]
