"""Ranges of a schedule in the measure in which a host limits conditioning: percent of the model's noise levels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# Halvings of [0, 1]; a float64 has no more to give.
_HALVINGS = 53


def step_ranges(sigmas: Tensor, percent_to_sigma: Callable[[float], float]) -> list[tuple[float, float]]:
    """Cut [0, 1] into one range for each step, so that each step's noise level lies in its own range alone.

    Neighbours share the bound, halfway between their noise levels: samplers that look between two levels always
    find one range. The first begins at 0 and the last ends at 1.

    Args:
        sigmas: (N + 1,) noise levels, descending.
        percent_to_sigma: the host's measure, falling from 0 to 1.

    Returns:
        N pairs of start and end, ascending.

    Raises:
        ValueError: two noise levels that the measure cannot tell apart.
    """
    levels = torch.as_tensor(sigmas[:-1]).tolist()
    bounds = [0.0]
    for high, low in zip(levels[:-1], levels[1:], strict=True):
        above, below = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = (above + below) / 2
            above, below = (middle, below) if percent_to_sigma(middle) > (high + low) / 2 else (above, middle)
        if not low < percent_to_sigma(below) < high:
            raise ValueError(
                f"sigmas: the model cannot tell the noise levels {high:.6g} and {low:.6g} apart. "
                "Use a schedule within the model's own range of noise, with fewer steps."
            )
        bounds.append(below)
    bounds.append(1.0)
    return list(zip(bounds[:-1], bounds[1:], strict=True))
