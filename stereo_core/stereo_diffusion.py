"""StereoDiffusion: one view becomes a pair between two steps of any sampler, and the views are kept together."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from torch import Tensor

from .geometry import StereoGeometry
from .noise_forms import NoiseForm
from .schedules import nearest_step
from .stepping import Stepper, left_estimate
from .trajectory import Trajectory
from .view_pairs import Pairing, replace_left
from .view_shift import HoleFill, ShiftForm


class ShiftSchedule(NamedTuple):
    """The steps before which x is edited, counted from 0.

    Attributes:
        shift: before this step the one view becomes two.
        renew: before these the right view takes over what both views show; ascending, all after ``shift``.
    """

    shift: int
    renew: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ShiftSettings:
    """When and how one view becomes a pair.

    Attributes:
        shift_at: fraction of the schedule that the left view takes alone, 0 to 1; t' in StereoDiffusion, 20 %.
        fill: what the holes of a new view hold.
        mask_every: fraction of the schedule between two masked denoisings, 0 to 1; 0 for none. Published: 10 of 50
            steps; twice as often is worth 1 dB where both views look (``bench.py stereo``). A fraction and not a count,
            so that it means the same for 8 steps and for 50.
        shift_both: shift each view by half, in opposite directions, instead of the right one by all; in whole columns.
        shift: how noisy latents are moved.

    Raises:
        ValueError: a fraction outside 0 to 1, an unknown option, or both views shifted by parts of a column.

    Source:
        StereoDiffusion (Wang et al., CVPRW 2024), sections 3.1 and 3.2. The published code shifts one step later
        (after the step of index 10) and finds its holes by values that are zero; here the shift comes after
        exactly ``shift_at`` of the steps and holes are where nothing landed.
    """

    shift_at: float = 0.2
    fill: HoleFill = HoleFill.BACKGROUND
    mask_every: float = 0.1
    shift_both: bool = False
    shift: ShiftForm = ShiftForm.SUB_COLUMN

    def __post_init__(self) -> None:
        for name, fraction in (("shift_at", self.shift_at), ("mask_every", self.mask_every)):
            if not 0 <= fraction <= 1:
                raise ValueError(f"{name}: got {fraction}. Give a fraction of the schedule, 0 to 1.")
        HoleFill(self.fill)
        if self.shift_both and ShiftForm(self.shift) is ShiftForm.SUB_COLUMN:
            raise ValueError(
                "shift_both moves both views by whole columns. Set shift to rounded, or turn shift_both off."
            )

    def schedule(self, steps: int) -> ShiftSchedule:
        """Place the edits in a schedule of ``steps`` steps, to the nearest step; the last step sees the pair.

        Raises:
            ValueError: no step at all.
        """
        if steps < 1:
            raise ValueError(f"steps: got {steps}. Sampling needs at least one step.")
        shift = min(nearest_step(self.shift_at, steps), steps - 1)
        if self.mask_every == 0:
            return ShiftSchedule(shift, ())
        period = max(nearest_step(self.mask_every, steps), 1)
        return ShiftSchedule(shift, tuple(range(shift + period, steps, period)))


class ShiftPreset(str, Enum):
    """Published settings by name, and one's own."""

    CUSTOM = "custom"
    STEREODIFFUSION = "stereodiffusion"
    STEREODIFFUSION_DEBLUR = "stereodiffusion_deblur"
    STEREODIFFUSION_SHIFT_BOTH = "stereodiffusion_shift_both"


PUBLISHED = {
    ShiftPreset.STEREODIFFUSION: ShiftSettings(0.2, HoleFill.ZEROS, 0.2, False, ShiftForm.TRUNCATED),
    ShiftPreset.STEREODIFFUSION_DEBLUR: ShiftSettings(0.2, HoleFill.NOISE, 0.2, False, ShiftForm.TRUNCATED),
    ShiftPreset.STEREODIFFUSION_SHIFT_BOTH: ShiftSettings(0.2, HoleFill.ZEROS, 0.2, True, ShiftForm.TRUNCATED),
}
"""StereoDiffusion's own: holes left blank, with Deblur (Eq. 8), and with both views shifted."""

PUBLISHED_GEOMETRY = StereoGeometry(8.0, 0.0, 1.0)
"""What StereoDiffusion's published settings shift by: 8 percent of the width, all of it in front of the screen."""


@dataclass(frozen=True, slots=True)
class PictureOptions:
    """How a pair of pictures is made.

    Attributes:
        shift: when and how one view becomes a pair.
        geometry: how deep the stereo is, in place of what is asked for; ``None`` leaves it as it is.
    """

    shift: ShiftSettings = ShiftSettings()
    geometry: StereoGeometry | None = None

    @classmethod
    def of(cls, preset: ShiftPreset, custom: ShiftSettings) -> PictureOptions:
        """Return what a preset stands for, with its geometry, or ``custom`` for the preset of that name."""
        if preset is ShiftPreset.CUSTOM:
            return cls(custom)
        return cls(PUBLISHED[preset], PUBLISHED_GEOMETRY)


class PairPlan(NamedTuple):
    """What happens in one run of ``sample_pair``, by its own steps.

    Attributes:
        shift: before this step the one view becomes two.
        renew: before these the right view takes over what both views show.
        cuts: where the pair's part of the schedule is cut, with its start and end.
    """

    shift: int
    renew: tuple[int, ...]
    cuts: tuple[int, ...]


def plan_pair(settings: ShiftSettings, steps: int, replayed: bool) -> PairPlan:
    """Plan a run of ``steps`` steps; a replayed left view is put back after every step of the pair.

    Raises:
        ValueError: no step at all.
    """
    shift, renew = settings.schedule(steps)
    cuts = tuple(sorted({shift, *(range(shift + 1, steps) if replayed else renew), steps}))
    return PairPlan(shift, renew, cuts)


def sample_pair(
    run: Stepper,
    x: Tensor,
    sigmas: Tensor,
    pairing: Pairing,
    form: NoiseForm,
    settings: ShiftSettings,
    seed: int,
    trajectory: Trajectory | None = None,
    by_step: bool = True,
) -> Tensor:
    """Sample a stereo pair: one view up to the shift, then both, the right one renewed from the left now and then.

    Args:
        run: takes the steps.
        x: (B, C, H, W) or (B, C, T, H, W) at the first noise level; where the left view is replayed, only its shape,
            device and dtype are read.
        sigmas: (N + 1,) noise levels, descending.
        pairing: how one view becomes two, made for this grid.
        form: of x.
        settings: when the views are made and renewed, and what holes start from.
        seed: of the noise that is drawn here.
        trajectory: the left view's known path over these noise levels, which it then follows exactly.
        by_step: put it back after every step, as a path needs that this sampler did not make; else only where the run
            is cut anyway.

    Returns:
        (2B, ...) at the last noise level, all left entries, then all right ones.

    Raises:
        ValueError: no step, a trajectory of another shape or schedule.

    Source:
        StereoDiffusion (Wang et al., CVPRW 2024), Algorithm 1.
    """
    plan = plan_pair(settings, len(sigmas) - 1, trajectory is not None and by_step)

    def estimate(left: Tensor, step: int) -> Tensor | None:
        if settings.shift is not ShiftForm.SUB_COLUMN:
            return None
        if trajectory is not None:
            return left_estimate(run, trajectory, left, step, float(sigmas[step]))
        # The last step's estimate and the noise beside it make up x, whatever noise that step drew.
        return run.denoise(left, step) if step == 0 or run.denoised is None else run.denoised[: len(left)]

    if trajectory is None:
        left = run.run(x, 0, plan.shift)
    else:
        left = trajectory.like(x, float(sigmas[plan.shift]))
    pair = pairing.start(left, estimate(left, plan.shift), sigmas[plan.shift], form, settings.fill, seed)
    run.double(pairing)
    for first, last in itertools.pairwise(plan.cuts):
        pair = run.run(pair, first, last)
        if trajectory is not None:
            known = trajectory.like(x, float(sigmas[last]))
            pair = replace_left(pair, known) if by_step else pairing.follow(pair, known)
        if last in plan.renew:
            denoised = estimate(pair.chunk(2)[0], last)
            pair = pairing.renew(pair, denoised, sigmas[last], form, seed, last)
    return pair
