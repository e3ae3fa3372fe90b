"""Trajectory: states found by their noise level."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stereo_core.trajectory import NoiseRecord, Trajectory


def trajectory(levels: list[float]) -> Trajectory:
    return Trajectory(torch.tensor(levels), tuple(torch.full((1, 1, 1, 1), level) for level in levels))


def test_a_state_is_found_by_its_level():
    found = trajectory([14.6, 3.0, 0.03, 0.0])
    for level in (14.6, 3.0, 0.03, 0.0):
        assert found.at(level).item() == pytest.approx(level)


def test_float_rounding_and_the_level_below_one_of_a_flow_model_still_match():
    assert trajectory([0.9999, 0.5, 0.0]).at(1.0).item() == pytest.approx(0.9999)
    assert trajectory([14.614643, 1.0, 0.0]).at(14.6146).item() == pytest.approx(14.614643)


@pytest.mark.parametrize("level", [14.0, 2.99, 0.02, 20.0])
def test_another_schedule_is_refused_with_the_level_it_asked_for(level: float):
    with pytest.raises(ValueError, match=rf"no state at noise level {level:g}, only at 14.6, 3, 0.03"):
        trajectory([14.6, 3.0, 0.03, 0.0]).at(level)


@pytest.mark.parametrize("levels", [[1.0, 1.0], [0.0, 1.0], [3.0, 1.0, 2.0]])
def test_levels_that_do_not_descend_are_refused(levels: list[float]):
    with pytest.raises(ValueError, match="do not descend"):
        trajectory(levels)


def test_every_level_has_one_state():
    with pytest.raises(ValueError, match="1 states for 2 noise levels"):
        Trajectory(torch.tensor([1.0, 0.0]), (torch.zeros(1, 1, 1, 1),))
    with pytest.raises(ValueError, match="at least one step"):
        trajectory([1.0])


def test_a_level_has_its_place_in_the_whole_schedule():
    found = trajectory([14.6, 3.0, 0.03, 0.01, 0.0])
    assert [found.index(level) for level in (14.6, 3.0, 0.03, 0.01, 0.0)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="no state at noise level 5"):
        found.index(5.0)


def random(levels: list[float], seed: int = 0) -> Trajectory:
    stream = torch.Generator().manual_seed(seed)
    return Trajectory(torch.tensor(levels), tuple(torch.randn(1, 4, 3, 5, generator=stream) for _ in levels))


def test_half_precision_halves_all_but_the_last_state():
    whole = random([3.0, 2.0, 1.0, 0.0])
    half = whole.halved()
    assert [state.dtype for state in half.states] == [*[torch.float16] * 3, torch.float32]
    assert torch.equal(half.states[-1], whole.states[-1])
    assert all(torch.equal(a, b.half()) for a, b in zip(half.states[:-1], whole.states[:-1], strict=True))
    assert whole.nbytes == 4 * 60 * 4 and half.nbytes == 3 * 60 * 2 + 60 * 4


def test_a_state_beyond_half_precision_stays_whole():
    first = torch.full((1, 1, 1, 1), 1e5)
    half = Trajectory(torch.tensor([1e5, 0.0]), (first, first / 1e5)).halved()
    assert half.states[0].dtype == torch.float32 and half.states[0].item() == 1e5


def test_two_parts_of_a_schedule_are_joined_at_the_level_they_share():
    earlier, rest = random([3.0, 2.0, 1.0]), random([1.0, 0.5, 0.0], seed=1)
    later = Trajectory(rest.sigmas, (earlier.states[-1] * (1 + 1e-6), *rest.states[1:]))
    whole = earlier.followed_by(later)
    assert whole.sigmas.tolist() == [3.0, 2.0, 1.0, 0.5, 0.0]
    assert whole.at(1.0) is earlier.states[-1] and whole.at(0.5) is later.states[1]
    joined_in_half = earlier.halved().followed_by(later.halved())
    assert [state.dtype for state in joined_in_half.states] == [
        torch.float16,
        torch.float16,
        torch.float32,
        torch.float16,
        torch.float32,
    ]


def test_joined_parts_know_who_drew_the_noise_of_each_step():
    earlier, later = trajectory([3.0, 2.0, 1.0]), trajectory([1.0, 0.5, 0.0])
    assert earlier.seed is None and earlier.drawn(0, "one") is None
    first, second = NoiseRecord(5, "one", (0, 1)), NoiseRecord(9, "other", (0, 2))
    whole = replace(earlier, noise=(first,)).halved().followed_by(replace(later, noise=(second,)))
    assert whole.seed == 5 and whole.noise == (first, replace(second, first=2))
    assert [whole.drawn(step, "one") for step in range(5)] == [first, first, None, None, None]
    assert [whole.drawn(step, "other") for step in range(5)] == [None, None, *[whole.noise[1]] * 2, None]
    unknown = earlier.followed_by(replace(later, noise=(second,)))
    assert unknown.drawn(1, "other") is None and unknown.drawn(2, "other").first == 2


def test_parts_that_do_not_meet_are_refused():
    earlier, later = random([3.0, 2.0, 1.0]), random([1.0, 0.5, 0.0], seed=1)
    with pytest.raises(ValueError, match="before: ends at noise level 1, and this part begins at 3"):
        earlier.followed_by(earlier)
    with pytest.raises(ValueError, match="before: ends in another state"):
        earlier.followed_by(later)
    other = Trajectory(later.sigmas, tuple(state[..., :4] for state in later.states))
    with pytest.raises(ValueError, match="before: is of one latent of 5x3 .* and this part of one latent of 4x3"):
        earlier.followed_by(other)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_are_no_numbers_are_refused(value: float):
    with pytest.raises(ValueError, match="trajectory: holds NaN or infinite values"):
        Trajectory(torch.tensor([1.0, 0.0]), (torch.zeros(1, 4, 2, 2), torch.full((1, 4, 2, 2), value)))
