"""Null-text optimisation: unconditional embeddings, one for each step, that hold guided sampling on a trajectory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from .noise_forms import NoiseForm, magnitude
from .schedules import expect_schedule
from .trajectory import Trajectory

Guided: TypeAlias = Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]]
"""(state, noise level as a scalar tensor) to a function from the unconditional embedding (B, N, D) to the guided
clean latent, of the state's shape, through which gradients flow."""

# How far the published schedules of 50 steps have come after all steps: the learning rate from 1 to 1 - 50/100, the
# threshold from 1e-5 to 1e-5 + 50 * 2e-5.
_RATE_LOST = 0.5
_THRESHOLD_GAINED = 100.0


@dataclass(frozen=True, slots=True)
class NullTextSettings:
    """How hard to optimise; the published settings.

    Attributes:
        inner_steps: Adam steps at most in each sampling step.
        learning_rate: Adam's, at the first sampling step; it falls linearly to half over the schedule.
        epsilon: the Adam step is the last when the mean squared error before it, of the state that the sampling step
            leads to in variance-preserving form, is below ``epsilon * (1 + 100 f)``, f the fraction of the schedule
            done. 0 never stops early.
    """

    inner_steps: int = 10
    learning_rate: float = 1e-2
    epsilon: float = 1e-5


class StepLoss(NamedTuple):
    """The loss of one sampling step, the mean over the batch.

    Attributes:
        start: with the embedding of the step before.
        end: with the one that was kept; never above ``start``.
        inner_steps: Adam steps taken.
    """

    start: float
    end: float
    inner_steps: int


class NullText(NamedTuple):
    """The result of the optimisation.

    Attributes:
        embeddings: (B, N, D) for each sampling step.
        losses: for each sampling step.
    """

    embeddings: tuple[Tensor, ...]
    losses: tuple[StepLoss, ...]


def optimize_null_text(
    guided: Guided,
    embedding: Tensor,
    trajectory: Trajectory,
    form: NoiseForm,
    settings: NullTextSettings | None = None,
    on_step: Callable[[int, StepLoss, Tensor], None] | None = None,
) -> NullText:
    r"""Find, step by step, the unconditional embedding with which a guided step lands on the trajectory.

    From the trajectory's first state on, each step minimises

    .. math:: \lVert z^*_{t-1} - z_{t-1}(\varnothing_t) \rVert_2^2

    over :math:`\varnothing_t`, with Adam, starting from the embedding of the step before; :math:`z_{t-1}` is the
    deterministic (Euler, which is DDIM with eta 0) step from the state that the steps so far have really reached,
    :math:`z^*` the trajectory in variance-preserving form.

    Of all embeddings tried in a step the one with the least loss is kept, entry by entry; the published code keeps
    the last. Its schedules are written for 50 steps; here they run over the fraction of the schedule done.

    Call it where gradients can be had: outside of inference mode, with weights that were loaded so.

    Args:
        guided: the network with classifier-free guidance.
        embedding: (B, N, D) or (1, N, D) to start from, the empty prompt's as a rule, on the device to work on.
        trajectory: of B entries; see ``invert``.
        form: the form its states are in.
        settings: how hard to optimise.
        on_step: called after each step with its number, its loss and the state reached.

    Returns:
        Embeddings and losses.

    Raises:
        ValueError: no schedule, an embedding for another number of entries, a gradient that is not finite.

    Source: Wang et al., StereoDiffusion, CVPRW 2024, Eq. 10; Mokady et al., Null-text Inversion, CVPR 2023.
    """
    settings = settings or NullTextSettings()
    sigmas = trajectory.sigmas.to(embedding.device)
    expect_schedule(sigmas)
    entries = len(trajectory.states[0])
    if embedding.ndim != 3 or len(embedding) not in (1, entries):
        raise ValueError(
            f"negative: holds {len(embedding)} prompts for a trajectory of {entries} picture{'s' * (entries > 1)}. "
            "Give one prompt for each, or one for all."
        )
    embedding = embedding.detach().expand(entries, -1, -1).clone()
    state = trajectory.states[0].to(embedding.device)
    steps = len(sigmas) - 1
    embeddings, losses = [], []
    for step in range(steps):
        low = sigmas[step + 1]
        found = _optimize_step(
            _Step(guided(state, sigmas[step]), state, trajectory.states[step + 1].to(state), sigmas[step], low),
            embedding,
            float(magnitude(low, form)),
            settings,
            step / steps,
        )
        embedding, state, loss = found
        embeddings.append(embedding)
        losses.append(loss)
        if on_step is not None:
            on_step(step, loss, state)
    return NullText(tuple(embeddings), tuple(losses))


class _Step(NamedTuple):
    """One sampling step: from ``state`` at ``high`` to what should be ``target`` at ``low``."""

    denoise: Callable[[Tensor], Tensor]
    state: Tensor
    target: Tensor
    high: Tensor
    low: Tensor

    def take(self, embedding: Tensor) -> Tensor:
        noise = (self.state - self.denoise(embedding)) / self.high
        return self.state + (self.low - self.high) * noise


def _optimize_step(
    step: _Step, start: Tensor, scale: float, settings: NullTextSettings, fraction: float
) -> tuple[Tensor, Tensor, StepLoss]:
    embedding = start.clone().requires_grad_()
    adam = torch.optim.Adam([embedding], lr=settings.learning_rate * (1 - _RATE_LOST * fraction))
    threshold = settings.epsilon * (1 + _THRESHOLD_GAINED * fraction)
    best, reached = start, step.state
    least = torch.full((len(start),), torch.inf, device=start.device)
    first, taken, last = least, 0, False
    while True:
        with torch.set_grad_enabled(not last):
            end = step.take(embedding)
            error = ((end - step.target) / scale).flatten(1)
        losses = error.detach().square().mean(dim=1)
        first = losses if taken == 0 else first
        better = losses < least
        least = torch.where(better, losses, least)
        best = torch.where(better.view(-1, 1, 1), embedding.detach(), best)
        reached = torch.where(better.view(-1, *[1] * (end.ndim - 1)), end.detach(), reached)
        if last:
            break
        embedding.grad = _gradient(error, embedding)
        adam.step()
        taken += 1
        # As published, a loss that is small enough is improved once more.
        last = taken == settings.inner_steps or bool((losses < threshold).all())
    return best, reached, StepLoss(float(first.mean()), float(least.mean()), taken)


def _gradient(error: Tensor, embedding: Tensor) -> Tensor:
    """Return the gradient of the mean squared error, summed over the batch, safe with half-precision networks.

    The mean over all values makes gradients smaller than half precision holds, so what runs backwards through the
    network is the error scaled to unit root mean square.
    """
    size = error.detach().square().mean().sqrt().clamp_min(torch.finfo(error.dtype).tiny)
    (scaled,) = torch.autograd.grad(error, embedding, grad_outputs=error.detach() / size)
    gradient = scaled * (2 * size / error.shape[1])
    if not bool(gradient.isfinite().all()):
        raise ValueError(
            "learning_rate: the gradient through the model is not finite. "
            "Lower the learning rate, or load the model in bfloat16 or float32."
        )
    return gradient
