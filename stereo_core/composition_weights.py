"""How much each of two composed denoisers counts, at each step and in each view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from .schedules import nearest_step

# The published code's logistic schedule: how steep it falls, and at which fraction of the steps it is half way down.
_STEEPNESS, _MIDDLE = 15.0, 0.6
# The published code's weights by view leave the multi-view denoiser this much more at the sides of the orbit.
_SIDES = 0.75


class WeightSchedule(str, Enum):
    """How the multi-view denoiser's weight goes over the steps."""

    CONSTANT = "constant"
    """That of Diffusion²: the same at every step."""
    LINEAR = "linear"
    COSINE = "cosine"
    LOGISTIC = "logistic"


class ViewWeights(str, Enum):
    """How the multi-view denoiser's weight goes over the views."""

    UNIFORM = "uniform"
    """That of Diffusion²: the same for every view."""
    CODE = "code"
    """The published code's: front and back of the orbit are left to the video denoiser, the sides are not."""


class RepeatNoise(str, Enum):
    """How strong the noise is with which a step is repeated."""

    PAPER = "paper"
    """Algorithm 1, line 14: the difference of the two noise levels; less variance than the upper level has."""
    EXACT = "exact"
    """The root of the difference of their squares: the forward process back to the upper level."""


@dataclass(frozen=True, slots=True)
class CompositionSettings:
    """Diffusion²'s score composition and variance-reducing sampling.

    Attributes:
        weight: the multi-view denoiser's weight s, 0 to 1; Diffusion² takes 0.5. The video denoiser has the rest.
        schedule: how s goes over the steps: ``constant``, or from ``weight`` at the first step to ``weight_end``.
        weight_end: s at the last step, 0 to 1; not read by ``constant``.
        view_weights: whether s is the same for every view.
        repeat_until: fraction of the schedule whose steps are taken twice (variance-reducing sampling), 0 to 1; the
            paper's 5 of 50 steps.
        repeat_noise: the noise between the two times.
        video_alone_from: fraction of the schedule from which on the video denoiser works alone, 0 to 1; 1 for never.

    Raises:
        ValueError: a weight or fraction outside 0 to 1, or an unknown option.

    Source:
        Diffusion² (Yang et al., ICLR 2025), Eq. 5, Algorithm 1 and section A.5. The published code composes with s =
        0.6, weights by view, and repeats its first 10 levels: ``PUBLISHED_CODE``. Its schedules go from 1 to 0.
    """

    weight: float = 0.5
    schedule: WeightSchedule = WeightSchedule.CONSTANT
    weight_end: float = 0.0
    view_weights: ViewWeights = ViewWeights.UNIFORM
    repeat_until: float = 0.1
    repeat_noise: RepeatNoise = RepeatNoise.PAPER
    video_alone_from: float = 1.0

    def __post_init__(self) -> None:
        for name in ("weight", "weight_end", "repeat_until", "video_alone_from"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name}: got {value}. Give a number from 0 to 1.")
        WeightSchedule(self.schedule)
        ViewWeights(self.view_weights)
        RepeatNoise(self.repeat_noise)

    def repeats(self, steps: int) -> int:
        """Return how many steps, the first ones, are taken twice: N_r of Diffusion²."""
        return nearest_step(self.repeat_until, steps)

    def multiview_weights(self, step: int, steps: int, azimuths: Sequence[float], frames: int) -> list[float]:
        """Return the multi-view denoiser's weight for each view at one step, 0 to 1.

        Where only one view, or one frame, is sampled, the strip across it is a single picture and adds nothing
        (Theorem 3.1: its score and the picture's own cancel), so the other denoiser works alone. At s = 0 the video
        denoiser works alone in every view, whatever ``view_weights`` says.

        Args:
            step: counted from 0.
            steps: of the whole schedule.
            azimuths: of the V views, in degrees from the reference view; only ``CODE`` heeds their values.
            frames: F.

        Returns:
            V weights.
        """
        s, views = self._at(step, steps), len(azimuths)
        if 0 < s < 1 and (views == 1) != (frames == 1):
            s = 0.0 if views == 1 else 1.0
        elif s > 0 and ViewWeights(self.view_weights) is ViewWeights.CODE:
            return [1 - _video_weight(azimuth) * (1 - s) for azimuth in azimuths]
        return [s] * views

    def _at(self, step: int, steps: int) -> float:
        if step >= self.video_alone_from * steps:
            return 0.0
        done = step / max(steps - 1, 1)
        match WeightSchedule(self.schedule):
            case WeightSchedule.CONSTANT:
                return self.weight
            case WeightSchedule.LINEAR:
                left = 1 - done
            case WeightSchedule.COSINE:
                left = (1 + math.cos(math.pi * done)) / 2
            case WeightSchedule.LOGISTIC:
                left = 1 / (1 + math.exp(_STEEPNESS * (done - _MIDDLE)))
        return self.weight_end + left * (self.weight - self.weight_end)


PAPER = CompositionSettings()
"""Section 3.3 and A.5."""

PUBLISHED_CODE = CompositionSettings(weight=0.6, view_weights=ViewWeights.CODE, repeat_until=0.2)
"""The defaults of the published code."""


def _video_weight(azimuth: float) -> float:
    """What the published code leaves the video denoiser in a view of this azimuth, in degrees.

    Its table is written for the 21 views of a full turn, 0.5 (1 + cos(2 pi (v + 1) / 10.5)) in view v: the cosine of
    twice the azimuth.
    """
    return 1 - _SIDES * (1 - math.cos(2 * math.radians(azimuth))) / 2
