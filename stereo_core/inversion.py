"""DDIM inversion: from a clean latent back to the noise that a deterministic sampler makes it from."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from .checks import expect_finite
from .schedules import expect_schedule
from .trajectory import Trajectory

Denoise: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(state, noise level as a scalar tensor) to the clean latent the network sees in it, of the state's shape."""


def invert(
    denoise: Denoise,
    latent: Tensor,
    sigmas: Tensor,
    smallest: float,
    refine: int = 0,
    on_step: Callable[[int, Tensor], None] | None = None,
) -> Trajectory:
    r"""Walk a deterministic sampler's way backwards, from the clean latent up to the first noise level.

    Each step adds the noise that the network predicts *before* it, as if it were the noise after it,

    .. math:: x_{t+1} = x_t + (\sigma_{t+1} - \sigma_t)\, \epsilon(x_t, t), \quad
              \epsilon(x, t) = (x - \hat x_0(x, t)) / \sigma_t.

    With :math:`x = z / \sqrt{\bar\alpha}` and :math:`\sigma = \sqrt{1/\bar\alpha - 1}` that is DDIM inversion in the
    variance-preserving form. The same line, with the velocity for :math:`\epsilon`, is the flow models' equation run
    backwards, so one function serves every form.

    The printed Eq. 9 lacks the factor :math:`\sqrt{\bar\alpha_{t+1}}` before its second term and draws the root over
    :math:`1/\bar\alpha_{t+1}` alone; the published code has both right, but asks the network at the level *after* the
    step. Here it is asked at the state's own level, as the equation says.

    Args:
        denoise: the network, with guidance 1.
        latent: (B, C, H, W) or (B, C, T, H, W), the state at the last level, in the model's latent scale.
        sigmas: (N + 1,) the schedule to sample with later, descending; it may end in 0.
        smallest: the least noise level that the network knows. A state below it, the clean latent at level 0 above
            all, is shown to the network as one of this level.
        refine: rounds of fixed-point iteration in each step towards the noise prediction after the step, with which
            the sampler's own step leads exactly back. 0 is DDIM inversion as published; each round costs one evaluation
            a step. A round shows whether the one before came nearer; an entry for which it did not goes back and stays.
        on_step: called after each step with its number, from 0, and the state it reached.

    Returns:
        The states at all levels, on the CPU.

    Raises:
        ValueError: no schedule, values that are not finite.

    Source: Wang et al., StereoDiffusion, CVPRW 2024, Eq. 9.
    """
    expect_schedule(sigmas)
    expect_finite("latent", latent)
    floor = torch.as_tensor(smallest, dtype=sigmas.dtype, device=sigmas.device)

    def noise(state: Tensor, sigma: Tensor) -> Tensor:
        level = torch.maximum(sigma, floor)
        return (state - denoise(state, level)) / level

    state = latent
    states = [state.cpu()]
    for step, (low, high) in enumerate(zip(sigmas.flip(0)[:-1], sigmas.flip(0)[1:], strict=True)):
        stepped = state + (high - low) * noise(state, low)
        state = _refine(noise, state, stepped, low, high, refine)
        states.append(state.cpu())
        if on_step is not None:
            on_step(step, state)
    return Trajectory(sigmas.cpu(), tuple(reversed(states)))


def _refine(noise: Denoise, start: Tensor, stepped: Tensor, low: Tensor, high: Tensor, rounds: int) -> Tensor:
    """Iterate x = start + (high - low) noise(x, high), each entry of the batch for as long as it comes nearer.

    What an iteration moves is what the sampler's step back from its input misses the start by.
    """
    before = stepped
    missed = torch.full(stepped.shape[:1], math.inf, device=stepped.device)
    nearer = torch.ones_like(missed, dtype=torch.bool)
    for _ in range(rounds):
        following = start + (high - low) * noise(stepped, high)
        moved = (following - stepped).flatten(1).norm(dim=1)
        further = nearer & ~(moved < missed)
        nearer = nearer & ~further
        axes = (-1,) + (1,) * (stepped.ndim - 1)
        chosen = torch.where(further.view(axes), before, stepped)
        before, stepped = stepped, torch.where(nearer.view(axes), following, chosen)
        missed = moved
    return stepped
