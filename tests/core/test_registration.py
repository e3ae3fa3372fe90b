from __future__ import annotations

import torch

from stereo_core.registration import solve_steps

STEP = torch.tensor([0.3, -0.2])


def normal_equations(slope: torch.Tensor) -> torch.Tensor:
    """Of slopes (2, h, w), across and down, in a picture that is to move by ``STEP``; (5, h, w)."""
    across, down = slope
    gap = across * STEP[0] + down * STEP[1]
    return torch.stack([across**2, across * down, down**2, across * gap, down * gap])


def test_cells_without_texture_take_the_step_of_those_around() -> None:
    slope = torch.zeros(2, 12, 20)
    slope[0, 3:9:2, 2:8] = slope[1, 4:9:2, 2:8] = 0.5
    found = solve_steps(normal_equations(slope))
    assert (found - STEP[:, None, None]).abs().max() < 0.02


def test_one_direction_is_found_where_the_other_is_not_seen() -> None:
    """Half the cells have slopes across alone; how far they move down, the others tell."""
    slope = torch.zeros(2, 8, 16)
    slope[0] = 0.5
    slope[0, ::2, 8:], slope[1, ::2, 8:] = 0, 0.5
    found = solve_steps(normal_equations(slope))
    assert (found - STEP[:, None, None]).abs().max() < 0.02


def test_without_slopes_nothing_moves() -> None:
    assert not solve_steps(torch.zeros(5, 7, 9)).any()
