"""StereoDiffusion: one view becomes a pair between two steps of any sampler, and the views are kept together."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from .latent_shift import HoleFill
from .noise_forms import NoiseForm
from .schedules import nearest_step
from .stepping import Stepper
from .trajectory import Trajectory
from .view_pairs import initial_holes, renew_right, replace_left, start_pair


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
        shift_at: fraction of the schedule that the left view takes alone, 0 to 1; the paper's t', 20 %.
        fill: what the holes of a new view hold.
        mask_every: fraction of the schedule between two masked denoisings, 0 to 1; 0 for none. Published: 10 of 50
            steps. A fraction and not a count, so that it means the same for 8 steps and for 50.
        shift_both: shift each view by half, in opposite directions, instead of the right one by all.

    Raises:
        ValueError: a fraction outside 0 to 1, or an unknown fill.

    Source:
        StereoDiffusion (Wang et al., CVPRW 2024), sections 3.1 and 3.2. The published code shifts one step later
        (after the step of index 10) and finds its holes by values that are zero; here the shift comes after
        exactly ``shift_at`` of the steps and holes are where nothing landed.
    """

    shift_at: float = 0.2
    fill: HoleFill = HoleFill.LEFT
    mask_every: float = 0.2
    shift_both: bool = False

    def __post_init__(self) -> None:
        for name, fraction in (("shift_at", self.shift_at), ("mask_every", self.mask_every)):
            if not 0 <= fraction <= 1:
                raise ValueError(f"{name}: got {fraction}. Give a fraction of the schedule, 0 to 1.")
        HoleFill(self.fill)

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
    ShiftPreset.STEREODIFFUSION: ShiftSettings(0.2, HoleFill.ZEROS, 0.2),
    ShiftPreset.STEREODIFFUSION_DEBLUR: ShiftSettings(0.2, HoleFill.NOISE, 0.2),
    ShiftPreset.STEREODIFFUSION_SHIFT_BOTH: ShiftSettings(0.2, HoleFill.ZEROS, 0.2, shift_both=True),
}
"""StereoDiffusion's own: holes left blank, with Deblur (Eq. 8), and with both views shifted."""


class PairPlan(NamedTuple):
    """What happens in one run of ``sample_pair``, by its own steps.

    Attributes:
        shift: before this step the one view becomes two.
        renew: before these the right view takes over what both views show.
        cuts: where the pair's part of the schedule is cut, with its start and end.
        pieces: the same for the whole run: where a sampler starts afresh.
    """

    shift: int
    renew: tuple[int, ...]
    cuts: tuple[int, ...]
    pieces: tuple[int, ...]


def plan_pair(settings: ShiftSettings, steps: int, replayed: bool) -> PairPlan:
    """Plan a run of ``steps`` steps; a replayed left view is put back after every step of the pair.

    Raises:
        ValueError: no step at all.
    """
    shift, renew = settings.schedule(steps)
    cuts = tuple(sorted({shift, *(range(shift + 1, steps) if replayed else renew), steps}))
    return PairPlan(shift, renew, cuts, cuts if replayed or shift == 0 else (0, *cuts))


def sample_pair(
    run: Stepper,
    x: Tensor,
    sigmas: Tensor,
    disparity: Tensor,
    form: NoiseForm,
    settings: ShiftSettings,
    generator: torch.Generator | None = None,
    trajectory: Trajectory | None = None,
) -> Tensor:
    """Sample a stereo pair: one view up to the shift, then both, the right one renewed from the left now and then.

    Args:
        run: takes the steps.
        x: (B, C, H, W) or (B, C, T, H, W) at the first noise level; not read where the left view is replayed.
        sigmas: (N + 1,) noise levels, descending.
        disparity: (B, 1, H, W) or (B, 1, T, H, W) in whole columns of this grid, larger is nearer.
        form: of x.
        settings: when and how the views are made and renewed.
        generator: of the noise in holes, on the CPU; ``None`` takes torch's own.
        trajectory: the left view's known path over these noise levels, which it then follows exactly.

    Returns:
        (2B, ...) at the last noise level, all left entries, then all right ones.

    Raises:
        ValueError: no step, a trajectory of another shape or schedule.

    Source:
        StereoDiffusion (Wang et al., CVPRW 2024), Algorithm 1.
    """
    plan = plan_pair(settings, len(sigmas) - 1, trajectory is not None)
    make_pair = partial(start_pair, disparity=disparity, shift_both=settings.shift_both)
    left = run.run(x, 0, plan.shift) if trajectory is None else trajectory.like(x, float(sigmas[plan.shift]))
    pair = make_pair(left, initial_holes(left, settings.fill, sigmas[plan.shift], form, generator))
    run.double(make_pair)
    for first, last in itertools.pairwise(plan.cuts):
        pair = run.run(pair, first, last)
        if trajectory is not None:
            pair = replace_left(pair, trajectory.like(x, float(sigmas[last])))
        if last in plan.renew:
            pair = renew_right(pair, disparity, settings.shift_both)
    return pair
