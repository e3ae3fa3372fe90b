"""Where the warps come, how often steps repeat, and what a repeat makes of a state."""

from __future__ import annotations

import pytest
import torch

from stereo_core.iterative_refinement import (
    RefineForm,
    RefineSettings,
    average_denoised,
    rebuild,
    renew_holes,
    renoise_holes,
)
from stereo_core.noise_forms import NoiseForm, alpha, alpha_bar, magnitude
from stereo_core.noisy_restart import ddim_std, std_ratio
from stereo_core.schedules import round_half_up

SIGMAS = {
    NoiseForm.VE: torch.tensor([14.6, 7.0, 2.0, 0.5, 0.0], dtype=torch.float64),
    NoiseForm.FLOW: torch.tensor([1.0, 0.8, 0.5, 0.2, 0.0], dtype=torch.float64),
}


def random(count: int) -> tuple[torch.Tensor, ...]:
    stream = torch.Generator().manual_seed(0)
    return tuple(torch.randn(1, 4, 3, 5, generator=stream, dtype=torch.float64) for _ in range(count))


def levels(steps: int) -> list[float]:
    """Any schedule: fractions of it are steps whatever its noise."""
    return [float(steps - step) for step in range(steps + 1)]


def test_the_papers_warps_and_repeats():
    assert RefineSettings().repeats(levels(50), 5) == {9: 8, 14: 7, 19: 6, 24: 5, 29: 4, 34: 3}
    assert RefineSettings(restart_until=0.1).repeats(levels(50)) == RefineSettings().repeats(levels(50), 5)
    assert max(RefineSettings().repeats(levels(25), 3)) == 17


@pytest.mark.parametrize("share", [0.3, 0.68, 0.88, 0.9])
@pytest.mark.parametrize("steps", [8, 20, 30, 50])
def test_warps_go_back_from_the_last_one_to_the_restart(share: float, steps: int):
    begin = steps // 10
    repeats = RefineSettings(last_warp=share).repeats(levels(steps), begin)
    warps, period = list(repeats), round_half_up(steps / 10)
    assert warps[-1] == round_half_up(share * steps)
    assert begin <= warps[0] < begin + period
    assert {later - earlier for earlier, later in zip(warps, warps[1:], strict=False)} == {period}
    counts = list(repeats.values())
    assert counts == sorted(counts, reverse=True) and (counts[0], counts[-1]) == (8, 3)


def test_the_last_warp_of_a_whole_schedule_is_its_last_step():
    assert max(RefineSettings(1 / 8, 1.0).repeats(levels(8), 0)) == 7


def test_a_last_warp_in_the_restart_is_refused():
    with pytest.raises(ValueError, match="last_warp of Stereo Refine Options: 0.68 of 50 steps is before step 35"):
        RefineSettings().repeats(levels(50), 35)


def test_a_restart_of_all_steps_is_named_as_what_leaves_none():
    with pytest.raises(ValueError, match="restart_until of Stereo Video Options: the restart takes all 50 steps"):
        RefineSettings().repeats(levels(50), 50)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"warp_every": 0.0}, "warp_every: got 0"),
        ({"warp_every": 1.1}, "warp_every: got 1.1"),
        ({"last_warp": -0.1}, "last_warp: got -0.1"),
        ({"restart_until": 1.1}, "restart_until: got 1.1"),
        ({"fewest_repeats": 0}, "fewest_repeats is 0"),
        ({"most_repeats": 2}, "fewest_repeats is 3 and most_repeats 2"),
        ({"form": "other"}, "not a valid RefineForm"),
    ],
)
def test_settings_are_checked(change: dict, message: str):
    with pytest.raises(ValueError, match=message):
        RefineSettings(**change)
    assert [RefineSettings(form=form).border_weight for form in RefineForm] == [0.0, 0.9]


@pytest.mark.parametrize("form", NoiseForm)
def test_estimates_are_averaged_in_the_holes_alone(form: NoiseForm):
    clean, before = random(2)
    holes = torch.zeros(1, 1, 3, 5, dtype=torch.bool)
    holes[..., 3:] = True
    sigma = SIGMAS[form][2]
    share = float(alpha_bar(sigma, form)) ** 0.5
    averaged = average_denoised(clean, before, holes, sigma, form)
    torch.testing.assert_close(averaged[..., 3:], share * clean[..., 3:] + (1 - share) * before[..., 3:])
    assert torch.equal(averaged[..., :3], before[..., :3])


@pytest.mark.parametrize("form", NoiseForm)
@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_a_step_without_noise_is_rebuilt_from_its_own_estimate(form: NoiseForm, step: int):
    sigmas = SIGMAS[form]
    clean, noise = random(2)
    start, stepped = (alpha(level, form) * clean + level * noise for level in sigmas[step : step + 2])
    again = rebuild(start, stepped, clean, clean, sigmas, step, form)
    torch.testing.assert_close(again.start, start)
    torch.testing.assert_close(again.stepped, stepped)


@pytest.mark.parametrize("form", NoiseForm)
@pytest.mark.parametrize("step", [0, 2, 3])
def test_another_estimate_keeps_direction_and_noise(form: NoiseForm, step: int):
    sigmas = SIGMAS[form]
    clean, other, rest = random(3)
    c = [float(alpha(level, form)) for level in sigmas]
    rest = rest * sigmas[step + 1]
    start = c[step] * clean + sigmas[step] * other
    again = rebuild(start, c[step + 1] * clean + rest, clean, other, sigmas, step, form)
    torch.testing.assert_close(again.stepped, c[step + 1] * other + rest)
    scaled = rest * sigmas[step] / sigmas[step + 1] if step < 3 else start - c[step] * clean
    torch.testing.assert_close(again.start, c[step] * other + scaled)


@pytest.mark.parametrize("form", NoiseForm)
def test_the_codes_repeat_renews_the_holes_alone(form: NoiseForm):
    sigmas = SIGMAS[form]
    start, stepped = random(2)
    holes = torch.zeros(1, 1, 3, 5, dtype=torch.bool)
    holes[..., 3:] = True
    again = renew_holes(start, stepped, holes, sigmas, 2, form)
    assert torch.equal(again[..., :3], start[..., :3])
    factor = magnitude(sigmas[2], form) / magnitude(sigmas[3], form) * std_ratio(sigmas, 2, form)
    torch.testing.assert_close(again[..., 3:], stepped[..., 3:] * factor)


@pytest.mark.parametrize("form", NoiseForm)
@pytest.mark.parametrize("step", [0, 2, 3])
def test_a_step_without_noise_gets_that_of_ddim_in_its_holes(form: NoiseForm, step: int):
    sigmas = SIGMAS[form]
    clean, averaged, own, noise = random(4)
    holes = torch.zeros(1, 1, 3, 5, dtype=torch.bool)
    holes[..., 3:] = True
    c, sigma = alpha(sigmas[step], form), sigmas[step]
    start = c * clean + sigma * own
    again = renoise_holes(start, clean, averaged, holes, noise, sigmas, step, form)
    assert torch.equal(again[..., :3], start[..., :3])
    # DDIM at eta 1: of the noise that is left after the step, this fraction of the std is new.
    then = alpha_bar(sigmas[step + 1], form)
    new = ddim_std(sigmas, step, form) / (1 - then).sqrt() if then < 1 else torch.tensor(1.0)
    expected = c * averaged + sigma * ((1 - new**2).sqrt() * own + new * noise)
    torch.testing.assert_close(again[..., 3:], expected[..., 3:], rtol=1e-4, atol=1e-4)
