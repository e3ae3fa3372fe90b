"""StereoCrafter-Zero: the right view sampled beside a left one whose path is known.

Its first steps are restarted; after that the left view is warped into it every few steps, and the step after each warp
is repeated until the holes fit in. The equations are in ``noisy_restart``, ``iterative_refinement`` and ``borders``.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from torch import Tensor

from .iterative_refinement import RefineForm, RefineSettings
from .noisy_restart import RestartForm, RestartSettings, restart_end
from .right_view import LeftView, RightView
from .stepping import Stepper
from .video_presets import VideoPreset
from .view_shift import HoleFill, ShiftForm

_RESTART = RestartSettings()


class CrafterForm(str, Enum):
    """Whose equations are followed."""

    UNREPEATED = "unrepeated"
    """As ``PAPER``, but no column of the left view comes to stand beside itself: video models break on that."""
    PAPER = "paper"
    """Those of StereoCrafter-Zero (Shi et al.), as printed."""
    CODE = "code"
    """Those of the published code, where the two differ."""


@dataclass(frozen=True, slots=True)
class CrafterSettings:
    """What is done to the right view.

    Attributes:
        restart: of the first steps; ``None`` for none.
        refine: of the steps after it; ``None`` for none.
        fill: what the holes of a right view that is made at the first step start from.
        shift: how noisy latents are moved.
        mirror: whether holes that take the left view's values at the same place (``left``, and the border) take the
            next ones instead where that column already stands beside them; off, they do not, as in StereoCrafter-Zero.
    """

    restart: RestartSettings | None = None
    refine: RefineSettings | None = None
    fill: HoleFill = HoleFill.BACKGROUND
    shift: ShiftForm = ShiftForm.SUB_COLUMN
    mirror: bool = True

    @classmethod
    def of(
        cls,
        preset: VideoPreset = VideoPreset.LARGE,
        iterations: int = _RESTART.iterations,
        restart_until: float = _RESTART.until,
        form: CrafterForm = CrafterForm.UNREPEATED,
        fill: HoleFill = HoleFill.BACKGROUND,
        shift: ShiftForm = ShiftForm.SUB_COLUMN,
    ) -> CrafterSettings:
        """Return the whole method's settings, restart and refinement, by what the two share.

        Args:
            preset, iterations, restart_until: as in ``RestartSettings``.
            form: whose equations are followed.
            fill, shift: as in this class.
        """
        published = RestartForm.CODE if form is CrafterForm.CODE else RestartForm.PAPER
        restart = RestartSettings(iterations, restart_until, published, preset)
        refine = RefineSettings(form=RefineForm(published.value), preset=preset, restart_until=restart_until)
        return cls(restart, refine, fill, shift, mirror=form is CrafterForm.UNREPEATED)

    def warps(self, levels: Sequence[float]) -> dict[int, int]:
        """Return how often each step with a warp before it is taken in a whole schedule; see ``RefineSettings``."""
        if self.refine is None:
            return {}
        begin = None if self.restart is None else restart_end(self.restart.until, self.restart.preset, levels)
        return self.refine.repeats(levels, begin)


class CrafterPlan(NamedTuple):
    """What happens in one run, by its own steps.

    Attributes:
        whole: steps of the whole schedule.
        first: the step of the whole schedule that the run begins with.
        restarted: how many of the first steps are restarted.
        iterations: how often they are taken.
        repeats: how often each step with a warp before it is taken.
        cuts: where the part after the restart is cut, with its start and end.
        by_pair: whether each step needs both views; the left one is known, and run only for what the right takes.
        again: how many steps are taken once more, in all.
    """

    whole: int
    first: int
    restarted: int
    iterations: int
    repeats: dict[int, int]
    cuts: tuple[int, ...]
    by_pair: tuple[bool, ...]
    again: int

    @property
    def evaluations(self) -> int:
        """How many steps of one view are taken in all: a step of the pair counts twice."""
        pair = [1 + by_pair for by_pair in self.by_pair]
        again = sum((times - 1) * pair[step] for step, times in self.repeats.items())
        return sum(pair) + (self.iterations - 1) * sum(pair[: self.restarted]) + again

    def warps(self, made: bool) -> int:
        """How many steps have a warp before them, where the right view is ``made`` in the run and where it is not."""
        return self.restarted + len(self.repeats) + (made and not self.restarted)

    def describe(self, besides: int = 0) -> str:
        """Say in lines for people what is done, and what it costs.

        Args:
            besides: steps of one view beside those of the plan: for the left view and its estimates.
        """
        lines = []
        if self.restarted:
            lines.append(f"restart: {self.restarted} of {self.whole} steps, {self.iterations} times")
        if self.repeats:
            places = ", ".join(str(self.first + step) for step in self.repeats)
            times = ", ".join(str(each) for each in self.repeats.values())
            lines.append(f"warps after {places} of {self.whole} steps; the step that follows is taken {times} times")
        cost, steps = self.evaluations + besides, len(self.by_pair)
        lines.append(f"{cost} steps of one view, {cost / steps:.1f} times a plain run of {steps} steps")
        return "\n".join(lines)


def plan_crafter(
    settings: CrafterSettings,
    levels: Sequence[float],
    first: int,
    by_pair: Sequence[bool],
    changes: Collection[int] = (),
) -> CrafterPlan:
    """Plan a run.

    Args:
        settings: what is done.
        levels: N + 1, noise to signal over the whole schedule, see ``noise_to_signal``; fractions are of its N steps.
        first: the step of the whole schedule that the run begins with.
        by_pair: for each step of the run, whether it needs both views.
        changes: steps of the run before which it must be cut all the same.

    Raises:
        ValueError: the restart lies outside the run, or nothing is restarted and all warps do.
    """
    whole, steps = len(levels) - 1, len(by_pair)
    restarted, iterations = 0, 1
    if settings.restart is not None:
        restarted = settings.restart.end(levels, first, first + steps) - first
        iterations = settings.restart.times(whole)
    warps = settings.warps(levels)
    repeats = {place - first: times for place, times in warps.items() if first <= place < first + steps}
    if settings.refine is not None and not repeats and not restarted:
        raise ValueError(
            f"last_warp of Stereo Refine Options: of {whole} steps, the warps are before steps "
            f"{[place + 1 for place in warps]}, and these sigmas hold steps {first + 1} to {first + steps}. Sample "
            "these without refinement, or set preset of Stereo Video Options to custom and place the warps within them."
        )
    again = (iterations - 1) * restarted + sum(repeats.values()) - len(repeats)
    single = {*repeats, *(step for step in range(restarted, steps) if by_pair[step])}
    later = {step for step in changes if step > restarted}
    cuts = sorted({restarted, steps, *single, *(step + 1 for step in single), *later})
    return CrafterPlan(whole, first, restarted, iterations, repeats, tuple(cuts), tuple(by_pair), again)


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
        x = right.restart(x, plan.restarted, replace(settings.restart, iterations=plan.iterations))
    elif x is None:
        x = right.compose(0, right.first_holes(settings.fill))
    for first, last in itertools.pairwise(plan.cuts):
        if settings.refine is not None and first in plan.repeats:
            x = right.refine(x, first, plan.repeats[first], settings.refine)
        else:
            x = right.advance(x, first, last)
    return x
