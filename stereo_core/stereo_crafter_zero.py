"""StereoCrafter-Zero: the right view sampled beside a left one whose path is known.

Its first steps are restarted; after that the left view is warped into it every few steps, and the step after each warp
is repeated until the holes fit in. The equations are in ``noisy_restart``, ``iterative_refinement`` and ``borders``.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from .iterative_refinement import RefineSettings
from .noisy_restart import RestartSettings
from .right_view import LeftView, RightView
from .stepping import Stepper
from .view_shift import HoleFill, ShiftForm


@dataclass(frozen=True, slots=True)
class CrafterSettings:
    """What is done to the right view.

    Attributes:
        restart: of the first steps; ``None`` for none.
        refine: of the steps after it; ``None`` for none.
        fill: what the holes of a right view that is made at the first step start from.
        shift: how noisy latents are moved.
        mirror: whether holes that take the left view's values at the same place (``left``, and the border) take the
            next ones instead where that column already stands beside them; off, it is as the paper has it.
    """

    restart: RestartSettings | None = None
    refine: RefineSettings | None = None
    fill: HoleFill = HoleFill.BACKGROUND
    shift: ShiftForm = ShiftForm.SUB_COLUMN
    mirror: bool = True


class CrafterPlan(NamedTuple):
    """What happens in one run, by its own steps.

    Attributes:
        restarted: how many of the first steps are restarted.
        repeats: how often each step with a warp before it is taken.
        cuts: where the part after the restart is cut, with its start and end.
        by_pair: whether each step needs both views; the left one is known, and run only for what the right takes.
        again: how many steps are taken once more, in all.
    """

    restarted: int
    repeats: dict[int, int]
    cuts: tuple[int, ...]
    by_pair: tuple[bool, ...]
    again: int


def plan_crafter(
    settings: CrafterSettings, whole: int, first: int, by_pair: Sequence[bool], changes: Collection[int] = ()
) -> CrafterPlan:
    """Plan a run.

    Args:
        settings: what is done.
        whole: steps of the whole schedule, which all fractions are of.
        first: the step of the whole schedule that the run begins with.
        by_pair: for each step of the run, whether it needs both views.
        changes: steps of the run before which it must be cut all the same.

    Raises:
        ValueError: the restart or a warp lies outside the run.
    """
    steps = len(by_pair)
    restarted, again, repeats = 0, 0, {}
    if settings.restart is not None:
        restarted = settings.restart.end(whole, first, first + steps) - first
        again = (settings.restart.iterations - 1) * restarted
    if settings.refine is not None:
        places = settings.refine.repeats(whole, first + restarted, first + steps)
        repeats = {place - first: times for place, times in places.items()}
        again += sum(repeats.values()) - len(repeats)
    single = {*repeats, *(step for step in range(restarted, steps) if by_pair[step])}
    later = {step for step in changes if step > restarted}
    cuts = sorted({restarted, steps, *single, *(step + 1 for step in single), *later})
    return CrafterPlan(restarted, repeats, tuple(cuts), tuple(by_pair), again)


def sample_right(
    run: Stepper, left: LeftView, plan: CrafterPlan, settings: CrafterSettings, seed: int, x: Tensor | None = None
) -> Tensor:
    """Sample the right view beside the left one.

    Args:
        run: takes the steps; ``double`` has been called.
        left: the left view in this run.
        plan: of this run.
        settings: what is done.
        seed: of all noise that is drawn here.
        x: (B, ...), the right view before the first step; ``None`` to make it.

    Returns:
        (B, ...), the right view after the last step.

    Source:
        StereoCrafter-Zero (Shi et al.), sections 3.1 and 3.2.
    """
    right = RightView(run, left, plan.by_pair, seed, settings.mirror)
    if settings.restart is not None and plan.restarted:
        x = right.first_holes(settings.fill) if x is None else x
        x = right.restart(x, plan.restarted, settings.restart)
    elif x is None:
        x = right.compose(0, right.first_holes(settings.fill))
    for first, last in itertools.pairwise(plan.cuts):
        if settings.refine is not None and first in plan.repeats:
            x = right.refine(x, first, plan.repeats[first], settings.refine)
        else:
            x = right.advance(x, first, last)
    return x
