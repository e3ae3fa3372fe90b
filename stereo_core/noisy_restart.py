"""StereoCrafter-Zero's noisy restart: how often which steps are taken, and the filling latents of its iterations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from .noise_forms import NoiseForm, alpha_bar, from_vp, to_vp
from .schedules import nearest_level, nearest_step, round_half_up
from .video_presets import RESTART_END, VideoPreset, in_proportion


class RestartForm(str, Enum):
    """Which of two published forms of the restart is followed."""

    PAPER = "paper"
    """Eq. 2 as printed; the border takes the left view's values alone."""
    CODE = "code"
    """z in Eq. 2 is rescaled from step to step; the border takes 0.9 of the left view's values."""


@dataclass(frozen=True, slots=True)
class RestartSettings:
    """How often the first steps are taken, and which.

    Attributes:
        iterations: L, how often, at least 1.
        until: fraction of the whole schedule that is restarted, 0 to 1; StereoCrafter-Zero has K = 5 of 50 steps. At
            least one step is restarted, unless it is 0.
        form: that of StereoCrafter-Zero's paper or of its published code.
        preset: unless it is custom, the restart ends at the noise that StereoCrafter-Zero's ends at, whatever ``until``
            (but for 0), and takes its steps ``iterations`` times in schedules of 50 steps, in proportion less often in
            shorter ones.

    Raises:
        ValueError: a value out of its range, or an unknown form.

    Source:
        StereoCrafter-Zero (Shi et al.), section 3.1 and 4.1. The published code restarts 6 steps.
    """

    iterations: int = 7
    until: float = 0.1
    form: RestartForm = RestartForm.PAPER
    preset: VideoPreset = VideoPreset.CUSTOM

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise ValueError(f"iterations: got {self.iterations}. Take the first steps once or more often.")
        if not 0 <= self.until <= 1:
            raise ValueError(f"restart_until: got {self.until}. Give a fraction of the schedule, 0 to 1.")
        RestartForm(self.form)

    @property
    def border_weight(self) -> float:
        """The weight of the left view's values in a cleaned border."""
        return 1.0 if RestartForm(self.form) is RestartForm.PAPER else 0.9

    def times(self, steps: int) -> int:
        """Return how often the restarted steps of a schedule of ``steps`` steps are taken."""
        if VideoPreset(self.preset) is VideoPreset.CUSTOM or self.iterations == 1:
            return self.iterations
        return max(round_half_up(in_proportion(self.iterations, steps)), 2)

    def end(self, levels: Sequence[float], first: int, last: int) -> int:
        """Place the end of the restart in a schedule.

        Args:
            levels: N + 1, noise to signal over the whole schedule; see ``noise_to_signal``.
            first: the step that sampling begins with.
            last: the step before which it ends.

        Returns:
            The step before which the restart ends, ``first`` for none: K, counted from the whole schedule's start.

        Raises:
            ValueError: the restart would end before ``first`` or after ``last``.
        """
        end = restart_end(self.until, self.preset, levels)
        if end == 0:
            return first
        if not first < end <= last:
            raise ValueError(
                f"restart_until of Stereo Video Options: the restart ends after step {end} of {len(levels) - 1}, and "
                f"these sigmas hold steps {first + 1} to {last}. Split the sigmas elsewhere, or set restart_until "
                "within them, with preset custom."
            )
        return end


def restart_end(until: float, preset: VideoPreset, levels: Sequence[float]) -> int:
    """Return the step of a schedule before which its restart ends, 0 for none.

    Args:
        until: fraction of the schedule, 0 to 1; 0 is no restart, anything above it at least one step.
        preset: unless it is custom, the restart ends where the noise is nearest to that after StereoCrafter-Zero's.
        levels: N + 1, noise to signal; see ``noise_to_signal``.
    """
    if until == 0:
        return 0
    if VideoPreset(preset) is VideoPreset.CUSTOM:
        return max(nearest_step(until, len(levels) - 1), 1)
    return 1 + nearest_level(RESTART_END, levels[1:])


def ddim_std(sigmas: Tensor, step: int, form: NoiseForm) -> Tensor:
    r"""Return the standard deviation of the noise that DDIM at eta 1 adds in one step.

    .. math:: \sigma_i = \sqrt{\frac{1 - \bar\alpha_{i+1}}{1 - \bar\alpha_i}}
                         \sqrt{1 - \frac{\bar\alpha_i}{\bar\alpha_{i+1}}}

    Args:
        sigmas: (N + 1,) noise levels, descending.
        step: 0 to N - 1.
        form: of the noise levels.

    Returns:
        A scalar; 0 where the step ends clean.

    Source:
        DDIM (Song et al., ICLR 2021), Eq. 16.
    """
    now, then = alpha_bar(sigmas[step], form), alpha_bar(sigmas[step + 1], form)
    return ((1 - then) / (1 - now)).sqrt() * (1 - now / then).sqrt()


def std_ratio(sigmas: Tensor, step: int, form: NoiseForm) -> Tensor:
    """Return a step's DDIM std over that of the step before, by which the published code rescales z.

    Returns:
        A scalar; 1 at the first step, and at one that ends clean, which the published schedules do not have.
    """
    std = ddim_std(sigmas, step, form)
    return std / ddim_std(sigmas, step - 1, form) if step and std else torch.ones_like(std)


def filling_latent(
    stepped: Tensor, noise: Tensor, sigmas: Tensor, step: int, form: NoiseForm, published: RestartForm
) -> Tensor:
    r"""Make what the holes hold before a step in the next iteration: Eq. 2.

    .. math:: F_i = z_{i+1} (1 - a_i) + \sigma_i \epsilon'_i a_i

    in variance-preserving form, with :math:`a_i = \sqrt{\bar\alpha_i}`; the published code multiplies z by
    :math:`\sigma_i / \sigma_{i-1}` as well.

    Args:
        stepped: (B, ...), the right view after the step.
        noise: (B, ...), unit normal, drawn once for the step and the same in all iterations.
        sigmas: (N + 1,) noise levels, descending.
        step: i, 0 to N - 1.
        form: of x.
        published: the form of StereoCrafter-Zero's paper or of its code.

    Returns:
        (B, ...), x at the noise level before the step.

    Source:
        StereoCrafter-Zero (Shi et al.), Eq. 2.
    """
    before, after = sigmas[step], sigmas[step + 1]
    a = alpha_bar(before, form).sqrt()
    z = to_vp(stepped, after, form) * (1 - a)
    if RestartForm(published) is RestartForm.CODE:
        z = z * std_ratio(sigmas, step, form)
    return from_vp(z + ddim_std(sigmas, step, form) * a * noise, before, form)
