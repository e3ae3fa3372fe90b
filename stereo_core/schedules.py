"""Schedules of noise levels: what makes one valid, which step a fraction of it means, and a host's percent of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .noise_forms import NoiseForm, alpha

# Halvings of [0, 1]; a float64 has no more to give.
_HALVINGS = 53


def expect_steps(sigmas: Tensor) -> None:
    """Raise ``ValueError`` unless ``sigmas`` (N + 1,) has at least one step to take."""
    if sigmas.ndim != 1 or len(sigmas) < 2:
        raise ValueError("sigmas: the schedule has no step. Use at least 1 step, and a denoise above 0.")


def expect_schedule(sigmas: Tensor) -> None:
    """Raise ``ValueError`` unless ``sigmas`` (N + 1,) are finite noise levels that fall, to 0 or above it."""
    expect_steps(sigmas)
    if not (bool((sigmas[:-1] > sigmas[1:]).all()) and bool(sigmas[-1] >= 0) and bool(sigmas[0].isfinite())):
        shown = ", ".join(f"{sigma:.4g}" for sigma in sigmas[:4].tolist())
        raise ValueError(
            f"sigmas: every noise level must be finite and lie below the one before, got {shown}, ... "
            "Connect the sigmas of a scheduler, not flipped; if two of them are equal, use fewer steps or another "
            "scheduler."
        )


def round_half_up(value: float) -> int:
    """Return the nearest whole number; halves go up, not to the even one as ``round`` has it."""
    return math.floor(value + 0.5)


def nearest_step(fraction: float, steps: int) -> int:
    """Return the step nearest to ``fraction`` (0 to 1) of a schedule of ``steps`` steps."""
    return round_half_up(fraction * steps)


def noise_to_signal(sigmas: Tensor, form: NoiseForm) -> list[float]:
    """Return the std of the noise over the factor of the clean x at each noise level, the same in every form.

    Args:
        sigmas: (N + 1,) noise levels, descending.
        form: of the noise levels.

    Returns:
        N + 1 values, infinite where there is noise alone.
    """
    levels = sigmas.double()
    return [float(level) for level in levels / alpha(levels, form)]


def nearest_level(ratio: float, levels: Sequence[float]) -> int:
    """Return which of ``levels`` lies nearest to ``ratio``, by quotient; the first of equals.

    Args:
        ratio: noise to signal, above 0.
        levels: noise to signal at each level, see ``noise_to_signal``; 0 and infinity are farthest from everything.
    """
    apart = [abs(math.log(level / ratio)) if 0 < level < math.inf else math.inf for level in levels]
    return apart.index(min(apart))


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
