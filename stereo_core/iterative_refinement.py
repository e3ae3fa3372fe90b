"""StereoCrafter-Zero's iterative refinement: warp steps, and repeats of a step that harmonise the holes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor

from .noise_forms import NoiseForm, alpha, alpha_bar, from_vp, to_vp
from .noisy_restart import restart_end, std_ratio
from .schedules import nearest_level, nearest_step, round_half_up
from .video_presets import LAST_WARPS, VideoPreset, in_proportion


class RefineForm(str, Enum):
    """Which of two published forms of a repeat is followed."""

    PAPER = "paper"
    """Eq. 4: the denoised estimates of the holes are averaged; the border is like any other hole."""
    CODE = "code"
    """The holes take x after the step, rescaled; the border takes 0.9 of the left view's values."""


@dataclass(frozen=True, slots=True)
class RefineSettings:
    """When the left view is warped into the right one again, and how often the step after that is taken.

    Attributes:
        warp_every: fraction of the whole schedule between two warps, above 0 to 1; published: 5 of 50 steps.
        last_warp: fraction of the whole schedule at which the last warp lies, 0 to 1.
        most_repeats: how often the step at the first warp is taken.
        fewest_repeats: how often that at the last is; between them the count falls evenly.
        form: that of StereoCrafter-Zero, or of its published code.
        preset: unless it is custom, the last warp lies at the noise that StereoCrafter-Zero's lies at, whatever
            ``last_warp``, and the repeats are those of 50 steps: in proportion fewer in shorter schedules, at least 2
            at the first.
        restart_until: fraction of the whole schedule that is restarted by another run, 0 for none; see ``restart_end``.
        restart_preset: of that restart; ``None`` for ``preset``.

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
    preset: VideoPreset = VideoPreset.CUSTOM
    restart_until: float = 0.0
    restart_preset: VideoPreset | None = None

    def __post_init__(self) -> None:
        if not 0 < self.warp_every <= 1:
            raise ValueError(f"warp_every: got {self.warp_every}. Give a fraction of the schedule, above 0 to 1.")
        if not 0 <= self.last_warp <= 1:
            raise ValueError(f"last_warp: got {self.last_warp}. Give a fraction of the schedule, 0 to 1.")
        if not 0 <= self.restart_until <= 1:
            raise ValueError(f"restart_until: got {self.restart_until}. Give a fraction of the schedule, 0 to 1.")
        if not 1 <= self.fewest_repeats <= self.most_repeats:
            raise ValueError(
                f"fewest_repeats is {self.fewest_repeats} and most_repeats {self.most_repeats}. "
                "Take each step at least once, and set fewest_repeats at or below most_repeats."
            )
        RefineForm(self.form)

    @property
    def border_weight(self) -> float:
        """The weight of the left view's values in a cleaned border; 0 where the border is left alone."""
        return 0.0 if RefineForm(self.form) is RefineForm.PAPER else 0.9

    def repeats(self, levels: Sequence[float], begin: int | None = None) -> dict[int, int]:
        """Place the warps in a schedule: the last one, and backwards from it one every period.

        Args:
            levels: N + 1, noise to signal over the whole schedule; see ``noise_to_signal``.
            begin: the step before which nothing is warped; ``None`` for where ``restart_until`` ends.

        Returns:
            How often each step with a warp before it is taken, by the step's number in the whole schedule. Empty where
            a preset's last warp lies before ``begin``, as in a schedule that starts below its noise.

        Raises:
            ValueError: with preset custom, no warp at all: the last one lies before ``begin``.
        """
        steps, custom = len(levels) - 1, VideoPreset(self.preset) is VideoPreset.CUSTOM
        if begin is None:
            begin = restart_end(self.restart_until, self.restart_preset or self.preset, levels)
        if custom:
            final = min(nearest_step(self.last_warp, steps), steps - 1)  # a fraction of 1 means the last step
        else:
            final = nearest_level(LAST_WARPS[VideoPreset(self.preset)], levels[:-1])
        if custom and begin > final:
            self._refuse(steps, begin, final)
        warps = range(final, begin - 1, -max(nearest_step(self.warp_every, steps), 1))[::-1]
        fall = (self.most_repeats - self.fewest_repeats) / max(len(warps) - 1, 1)
        times = [self.most_repeats - fall * count for count in range(len(warps))]
        if not custom:
            times = [in_proportion(each, steps) for each in times]
            times[:1] = [max(each, min(self.most_repeats, 2)) for each in times[:1]]
        return {step: round_half_up(each) for step, each in zip(warps, times, strict=True)}

    def _refuse(self, steps: int, begin: int, final: int) -> None:
        if begin >= steps:
            raise ValueError(
                f"restart_until of Stereo Video Options: the restart takes all {steps} steps and leaves none to refine."
                " Lower it, or set last_warp of Stereo Refine Options to 0 for no refinement."
            )
        raise ValueError(
            f"last_warp of Stereo Refine Options: {self.last_warp:g} of {steps} steps is before step {final + 1}, and "
            f"the restart ends after step {begin}. Raise last_warp, or lower restart_until of Stereo Video Options."
        )


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
