"""StereoCrafter-Zero's iterative refinement: warp steps, and repeats of a step that harmonise the holes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor

from .noise_forms import NoiseForm, alpha, alpha_bar, from_vp, to_vp
from .noisy_restart import std_ratio
from .schedules import nearest_step, round_half_up


class RefineForm(str, Enum):
    """Which of two published forms of a repeat is followed."""

    PAPER = "paper"
    """Eq. 4: the denoised estimates of the holes are averaged; the border takes the left view's values alone."""
    CODE = "code"
    """The holes take x after the step, rescaled; the border takes 0.9 of the left view's values."""


@dataclass(frozen=True, slots=True)
class RefineSettings:
    """When the right view is warped anew, and how often the step after is taken.

    Attributes:
        warp_every: fraction of the whole schedule between two warps, above 0 to 1; the paper's 5 of 50 steps.
        last_warp: fraction of the whole schedule after which nothing is warped, 0 to 1; see ``video_presets``.
        most_repeats: how often the step at the first warp is taken.
        fewest_repeats: how often that at the last is; between them the count falls evenly.
        form: the paper's or its published code's.

    Raises:
        ValueError: a value out of its range, or an unknown form.

    Source:
        StereoCrafter-Zero (Shi et al.), sections 3.2 and 4.1.
    """

    warp_every: float = 0.1
    last_warp: float = 0.68
    most_repeats: int = 8
    fewest_repeats: int = 3
    form: RefineForm = RefineForm.PAPER

    def __post_init__(self) -> None:
        if not 0 < self.warp_every <= 1:
            raise ValueError(f"warp_every: got {self.warp_every}. Give a fraction of the schedule, above 0 to 1.")
        if not 0 <= self.last_warp <= 1:
            raise ValueError(f"last_warp: got {self.last_warp}. Give a fraction of the schedule, 0 to 1.")
        if not 1 <= self.fewest_repeats <= self.most_repeats:
            raise ValueError(
                f"fewest_repeats is {self.fewest_repeats} and most_repeats {self.most_repeats}. "
                "Take each step at least once, and set fewest_repeats at or below most_repeats."
            )
        RefineForm(self.form)

    @property
    def border_weight(self) -> float:
        """The weight of the left view's values in a cleaned border."""
        return 1.0 if RefineForm(self.form) is RefineForm.PAPER else 0.9

    def repeats(self, steps: int, first: int, last: int) -> dict[int, int]:
        """Place the warps in a schedule.

        Args:
            steps: of the whole schedule.
            first: the step that refinement may begin with.
            last: the step before which sampling ends.

        Returns:
            How often each step with a warp before it is taken, by the step's number in the whole schedule: the
            multiples of the nearest whole period from ``first`` to the last warp.

        Raises:
            ValueError: no step is left, or no warp: the last one lies before ``first`` or not before ``last``, or
                none of the multiples lies before it.
        """
        final = nearest_step(self.last_warp, steps)
        if final == steps == last:
            final = steps - 1  # a fraction of 1 means the last step
        if first >= last:
            raise ValueError(
                f"restart_until: the restart takes all {last} steps and leaves none to refine. Lower it, or set preset "
                "to custom and last_warp to 0 for no refinement."
            )
        if not first <= final < last:
            raise ValueError(
                f"last_warp: {self.last_warp:g} of {steps} steps is step {final + 1}, and refinement has steps "
                f"{first + 1} to {last}. Set it within them (with preset custom), lower restart_until, or split the "
                "sigmas elsewhere."
            )
        period = max(nearest_step(self.warp_every, steps), 1)
        warps = range(-(-first // period) * period, final + 1, period)
        if not warps:
            raise ValueError(
                f"warp_every: no multiple of {period} steps lies between step {first + 1} and last_warp, step "
                f"{final + 1}. Lower warp_every or raise last_warp."
            )
        fall = (self.most_repeats - self.fewest_repeats) / max(len(warps) - 1, 1)
        return {step: round_half_up(self.most_repeats - fall * count) for count, step in enumerate(warps)}


class Repeat(NamedTuple):
    """x between two repeats of a step.

    Attributes:
        start: (B, ...), x before the step, that the next repeat starts from.
        stepped: (B, ...), x after the step, for the last repeat.
    """

    start: Tensor
    stepped: Tensor


def average_denoised(denoised: Tensor, before: Tensor, holes: Tensor, sigma: Tensor, form: NoiseForm) -> Tensor:
    """Average the denoised estimates of the holes over the repeats: Eq. 4.

    Args:
        denoised: (B, ...), this repeat's estimate of the clean x.
        before: (B, ...), the average of the repeat before.
        holes: boolean, broadcasts to ``denoised``.
        sigma: the noise level before the step, a scalar tensor.
        form: of the noise level.

    Returns:
        (B, ...); outside the holes the estimate of the repeat before.

    Source:
        StereoCrafter-Zero (Shi et al.), Eq. 4.
    """
    weight = alpha_bar(sigma, form).sqrt()
    return torch.where(holes, denoised * weight + before * (1 - weight), before)


def rebuild(
    start: Tensor, stepped: Tensor, denoised: Tensor, averaged: Tensor, sigmas: Tensor, step: int, form: NoiseForm
) -> Repeat:
    """Put another denoised estimate into a step that has been taken, its direction and noise kept.

    Args:
        start: (B, ...), x before the step.
        stepped: (B, ...), x after it.
        denoised: (B, ...), the estimate that the step was taken with.
        averaged: (B, ...), the one to take its place.
        sigmas: (N + 1,) noise levels, descending.
        step: 0 to N - 1.
        form: of x.

    Returns:
        x before and after the step; before it, the direction and noise terms are scaled up to that noise level.
    """
    before, after = sigmas[step], sigmas[step + 1]
    alpha_before, alpha_after = alpha(before, form), alpha(after, form)
    rest = stepped - alpha_after * denoised
    # A step that ends clean has no such terms: there they are read from x before it.
    scaled = rest * (before / after) if after > 0 else start - alpha_before * denoised
    return Repeat(alpha_before * averaged + scaled, alpha_after * averaged + rest)


def renoise_holes(
    start: Tensor,
    denoised: Tensor,
    averaged: Tensor,
    holes: Tensor,
    noise: Tensor,
    sigmas: Tensor,
    step: int,
    form: NoiseForm,
) -> Tensor:
    r"""Draw the noise of a repeat that the step itself does not draw.

    A step without noise of its own leads back to the x that it was taken from, so every repeat of it would be the
    first once more. The holes get as much new noise as DDIM at eta 1 draws,
    :math:`(1 - \bar\alpha_i / \bar\alpha_{i+1}) / (1 - \bar\alpha_i)` of the variance, and keep the rest of theirs.

    Args:
        start: (B, ...), x before the step.
        denoised: (B, ...), the estimate that the step was taken with.
        averaged: (B, ...), the one to take its place.
        holes: boolean, broadcasts to ``start``.
        noise: (B, ...), unit normal.
        sigmas: (N + 1,) noise levels, descending.
        step: 0 to N - 1.
        form: of x.

    Returns:
        (B, ...), the x that the next repeat starts from.

    Source:
        The noise term of StereoCrafter-Zero (Shi et al.), Eq. 8, which its samplers draw; putting it into the holes of
        samplers that draw none is ours.
    """
    sigma, signal = sigmas[step], alpha(sigmas[step], form)
    now, then = alpha_bar(sigma, form), alpha_bar(sigmas[step + 1], form)
    fresh = (1 - now / then) / (1 - now)
    direction = (1 - fresh).sqrt() * (start - signal * denoised) + fresh.sqrt() * sigma * noise
    return torch.where(holes, signal * averaged + direction, start)


def renew_holes(start: Tensor, stepped: Tensor, holes: Tensor, sigmas: Tensor, step: int, form: NoiseForm) -> Tensor:
    """Let the holes of x before a step take x after it, rescaled: the published code's repeat.

    Args:
        start: (B, ...), x before the step.
        stepped: (B, ...), x after it.
        holes: boolean, broadcasts to ``start``.
        sigmas: (N + 1,) noise levels, descending.
        step: 0 to N - 1.
        form: of x.

    Returns:
        (B, ...), the x that the next repeat starts from.
    """
    scaled = to_vp(stepped, sigmas[step + 1], form) * std_ratio(sigmas, step, form)
    return torch.where(holes, from_vp(scaled, sigmas[step], form), start)
