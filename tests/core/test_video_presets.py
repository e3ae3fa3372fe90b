"""The noise that StereoCrafter-Zero's step numbers stand for, and where other schedules have it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch

from stereo_core.iterative_refinement import RefineSettings
from stereo_core.noise_forms import NoiseForm
from stereo_core.noisy_restart import RestartSettings
from stereo_core.schedules import nearest_level, noise_to_signal
from stereo_core.stereo_crafter_zero import CrafterPlan, CrafterSettings, plan_crafter
from stereo_core.video_presets import LAST_WARPS, RESTART_END, VideoPreset

PRESETS = list(LAST_WARPS)


def dynamicrafter() -> list[float]:
    """Noise to signal in its 50 steps: scaled-linear betas, zero terminal SNR, trailing spacing."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    root = (1 - betas).cumprod(0).sqrt()
    signal = (root - root[-1]) * root[0] / (root[0] - root[-1])
    taken = [999 - 20 * step for step in range(50)]
    return [*((1 - signal**2).sqrt() / signal)[taken].tolist(), 0.0]


def flow(shift: float, steps: int, start: float = 1.0) -> list[float]:
    t = torch.linspace(start, 0, steps + 1, dtype=torch.float64)
    return noise_to_signal(shift * t / (1 + (shift - 1) * t), NoiseForm.FLOW)


def karras(steps: int, high: float = 700.0, low: float = 0.002) -> list[float]:
    ramp = torch.linspace(high ** (1 / 7), low ** (1 / 7), steps, dtype=torch.float64)
    return [*(ramp**7).tolist(), 0.0]


def plan(levels: Sequence[float], preset: VideoPreset = VideoPreset.LARGE) -> CrafterPlan:
    settings = CrafterSettings(RestartSettings(preset=preset), RefineSettings(preset=preset))
    return plan_crafter(settings, levels, 0, [False] * (len(levels) - 1))


def test_the_presets_are_the_noise_at_the_papers_steps():
    levels = dynamicrafter()
    assert [round(levels[step], 4) for step in (34, 44, 45)] == [LAST_WARPS[preset] for preset in PRESETS]
    assert round(levels[5], 2) == RESTART_END
    assert VideoPreset.CUSTOM not in LAST_WARPS and len(LAST_WARPS) == len(VideoPreset) - 1


@pytest.mark.parametrize(("preset", "last"), list(zip(PRESETS, (34, 44, 45), strict=True)))
def test_the_papers_own_schedule_gets_the_papers_steps(preset: VideoPreset, last: int):
    made = plan(dynamicrafter(), preset)
    assert (made.restarted, made.iterations) == (5, 7)
    assert list(made.repeats) == list(range(last % 5 + 5, last + 1, 5))
    assert (made.repeats[last % 5 + 5], made.repeats[last]) == (8, 3)


def test_fractions_of_50_steps_are_the_papers_steps_too():
    settings = CrafterSettings(RestartSettings(), RefineSettings())
    made = plan_crafter(settings, karras(50), 0, [False] * 50)
    assert (made.restarted, made.iterations) == (5, 7)
    assert made.repeats == {9: 8, 14: 7, 19: 6, 24: 5, 29: 4, 34: 3}


def test_other_schedules_stop_at_the_same_noise():
    for schedule, last in ((flow(5.0, 20), 17), (flow(8.0, 20), 18), (karras(20), 14), (karras(25), 17)):
        assert max(plan(schedule).repeats) == last


@pytest.mark.parametrize("steps", [20, 25, 30, 50])
def test_the_fraction_of_the_last_warp_is_the_schedules_own(steps: int):
    for schedule, last in ((flow(5.0, steps), 0.842 * steps), (flow(8.0, steps), 0.895 * steps)):
        assert abs(max(plan(schedule).repeats) - last) <= 0.6
    assert abs(max(plan(karras(steps)).repeats) - 0.729 * (steps - 1)) <= 0.6


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("levels", [flow(1.0, 8), flow(5.0, 20), flow(8.0, 30), karras(25)])
def test_warps_come_at_an_even_pace_and_repeat_less_and_less(levels: list[float], preset: VideoPreset):
    made = plan(levels, preset)
    steps = list(made.repeats)
    assert len({later - earlier for earlier, later in zip(steps[:-1], steps[1:], strict=True)}) <= 1
    counts = list(made.repeats.values())
    assert counts == sorted(counts, reverse=True) and counts[0] >= 2 and counts[-1] >= 1
    assert made.restarted <= steps[0] and steps[-1] == nearest_level(LAST_WARPS[preset], levels[:-1])


@pytest.mark.parametrize("levels", [*(flow(shift, steps) for shift in (3.0, 8.0) for steps in (1, 4, 6, 8)), karras(4)])
def test_few_steps_restart_one_and_cost_what_the_paper_does(levels: list[float]):
    made, steps = plan(levels), len(levels) - 1
    assert made.restarted >= 1 and made.iterations == 2
    paper = plan(dynamicrafter())
    assert made.evaluations / steps <= paper.evaluations / 50 == 107 / 50


def test_an_until_of_0_restarts_nothing_with_any_preset():
    settings = CrafterSettings(RestartSettings(until=0.0, preset=VideoPreset.LARGE), RefineSettings())
    assert plan_crafter(settings, flow(8.0, 20), 0, [False] * 20).restarted == 0


def test_a_schedule_below_the_last_warps_noise_is_only_restarted():
    made = plan(flow(1.0, 20, start=0.2))
    assert made.restarted == 1 and made.repeats == {}


def test_noise_alone_and_no_noise_are_no_place():
    assert noise_to_signal(torch.tensor([1.0, 0.5, 0.0]), NoiseForm.FLOW) == [math.inf, 1.0, 0.0]
    assert noise_to_signal(torch.tensor([14.0, 0.5]), NoiseForm.VE) == [14.0, 0.5]
    assert [nearest_level(ratio, [math.inf, 4.0, 1.0, 0.0]) for ratio in (100.0, 2.1, 1.9, 0.01)] == [1, 1, 2, 2]


def test_a_plan_says_what_is_done_and_what_it_costs():
    made = plan(dynamicrafter())
    assert made.describe(50) == (
        "restart: 5 of 50 steps, 7 times\n"
        "warps after 9, 14, 19, 24, 29, 34 of 50 steps; the step that follows is taken 8, 7, 6, 5, 4, 3 times\n"
        "157 steps of one view, 3.1 times a plain run of 50 steps"
    )
    both = plan_crafter(CrafterSettings(RestartSettings(3, 0.5)), karras(4), 0, [True, True, False, False])
    assert both.evaluations == 2 + 2 + 1 + 1 + 2 * 4
    assert both.describe() == ("restart: 2 of 4 steps, 3 times\n14 steps of one view, 3.5 times a plain run of 4 steps")
