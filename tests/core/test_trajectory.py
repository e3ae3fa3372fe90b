"""Trajectory: states found by their noise level."""

from __future__ import annotations

import pytest
import torch

from stereo_core.trajectory import Trajectory


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
    with pytest.raises(ValueError, match="at least two"):
        trajectory([1.0])
