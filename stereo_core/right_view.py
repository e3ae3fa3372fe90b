"""The right view beside a left one that is known: made, restarted, refined and taken on (StereoCrafter-Zero)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .borders import border_columns, clean_border, unrepeated
from .iterative_refinement import (
    RefineForm,
    RefineSettings,
    average_denoised,
    rebuild,
    renew_holes,
    renoise_holes,
)
from .noise_forms import NoiseForm
from .noisy_restart import RestartSettings, filling_latent
from .seeds import Stream, make_generator
from .stepping import Stepper, left_estimate
from .trajectory import Trajectory, same_latent
from .view_shift import HoleFill, ShiftForm, ViewShift
from .warping import Warp

# What float arithmetic alone makes of an x that is taken apart and put together again.
_ROUNDING = 1e-5


class LeftView:
    """The known left view in one run, by the run's own steps.

    Attributes:
        steps: of the whole schedule.
        first: the step of the whole schedule that the run begins with.
        sigmas: (N + 1,) the whole schedule, on the run's device.
        form: of x.
        shift: from the left view to the right one.
        holes: boolean, what the right view must fill, at every step.
        border: boolean, the columns of the border.
    """

    def __init__(
        self,
        trajectory: Trajectory,
        sigmas: Tensor,
        like: Tensor,
        shift: ViewShift,
        form: NoiseForm,
        one_clip: bool = False,
    ) -> None:
        """Find a run in a trajectory.

        Args:
            trajectory: of the left view, over the whole schedule.
            sigmas: (M + 1,) of this run, a part of it or all.
            like: (B, ...), a tensor of the run's shape, device and dtype.
            shift: from the left view to the right one, on this grid.
            form: of x.
            one_clip: the entries of the batch are the frames of one clip, and have one border.

        Raises:
            ValueError: a schedule that skips noise levels of the trajectory.
        """
        places = [trajectory.index(sigma) for sigma in sigmas.tolist()]
        self.first, self.steps = places[0], len(trajectory.sigmas) - 1
        if places != list(range(places[0], places[0] + len(places))):
            raise ValueError(
                "sigmas: skip noise levels that trajectory holds. Record and sample on the same sigmas, or on parts of "
                "them."
            )
        self.sigmas, self.form, self.shift = trajectory.sigmas.to(sigmas), form, shift
        self.sigmas[self.first : self.first + len(places)] = sigmas
        self._trajectory, self._like = trajectory, like
        self.holes = ~shift.filled
        self.border = border_columns(shift.filled, one_clip)
        self._moved: dict[int, Tensor] = {}

    def x(self, step: int) -> Tensor:
        """(B, ...), before a step."""
        return self._trajectory.states[self.first + step].to(self._like)

    def moved(self, run: Stepper, step: int, seed: int, keep: bool = False) -> Warp:
        """Return the left view before a step as the right eye sees it.

        Args:
            run: asked for the estimate of the clean x where the left view's path does not tell it.
            step: of the run.
            seed: of the noise where no whole column lands; the same at every call for one step.
            keep: hold it for the calls for the same step to come.
        """
        if step in self._moved:
            return Warp(self._moved[step], self.shift.filled)
        x, sigma, place = self.x(step), self.sigmas[self.first + step], self.first + step
        denoised = None
        if self.shift.form is ShiftForm.SUB_COLUMN:
            denoised = left_estimate(run, self._trajectory, x, step, float(sigma))
        image = self.shift.right(x, denoised, sigma, self.form, make_generator(seed, Stream.SHIFT, place))
        if keep and denoised is not None:  # copying whole columns again costs less than their memory
            self._moved[step] = image
        return Warp(image, self.shift.filled)

    def forget(self) -> None:
        """Let go of what was kept."""
        self._moved.clear()

    def denoised(self, step: int) -> Tensor:
        """(B, ...), the estimate of the clean x in a step."""
        return self._trajectory.denoised(self.first + step).to(self._like)


class RightView:
    """Edits and steps of the right view; each takes and gives its x, (B, ...)."""

    def __init__(self, run: Stepper, left: LeftView, by_pair: Sequence[bool], seed: int, mirror: bool = True) -> None:
        self._run, self._left, self._by_pair, self._seed, self._mirror = run, left, by_pair, seed, mirror

    def first_holes(self, fill: HoleFill) -> Tensor:
        """Return what the holes start from before the first step."""
        left = self._left
        if HoleFill(fill) is HoleFill.LEFT:
            return self._unrepeated(0)
        generator = make_generator(self._seed, Stream.HOLES)
        return left.shift.holes(left.x(0), fill, left.sigmas[left.first], left.form, generator)

    def compose(self, step: int, x: Tensor, border_weight: float = 0.0, keep: bool = False) -> Tensor:
        """Take over what the left view shows before ``step``; the holes keep ``x``, the border is cleaned."""
        warp = self._left.moved(self._run, step, self._seed, keep)
        if border_weight:
            x = clean_border(x, self._unrepeated(step), self._left.border, border_weight)
        return torch.where(warp.filled, warp.image, x)

    def _unrepeated(self, step: int) -> Tensor:
        left = self._left.x(step)
        return unrepeated(left, self._left.shift.sources) if self._mirror else left

    def advance(self, x: Tensor, first: int, last: int, repeat: int = 0) -> Tensor:
        """Take steps; beside the left view, one at a time, where they need both."""
        if not self._by_pair[first]:
            return self._run.run(x, first, last, repeat)
        pair = torch.cat([self._left.x(first), x])
        del x
        return self._run.run(pair, first, last, repeat).chunk(2)[1].clone()  # a view would keep the whole in memory

    def restart(self, x: Tensor, steps: int, settings: RestartSettings) -> Tensor:
        """Take the first steps over and over, each time with the holes that the last iteration left."""
        left = self._left
        fillings: list[Tensor | None] = [x, *[None] * (steps - 1)]
        again = settings.iterations > 1
        for iteration in range(settings.iterations):
            if iteration:
                self._run.count_repeats(steps)
            # Each step's noise is the same in every iteration: drawn again, not kept, for clips are large.
            generator = make_generator(self._seed, Stream.RESTART)
            for step in range(steps):
                held, fillings[step] = fillings[step], None
                x = x if held is None else held
                x = self.advance(self.compose(step, x, settings.border_weight, keep=again), step, step + 1)
                if iteration < settings.iterations - 1:
                    noise = torch.randn(x.shape, generator=generator).to(x)
                    place = left.first + step
                    fillings[step] = filling_latent(x, noise, left.sigmas, place, left.form, settings.form)
                    del noise
        left.forget()
        return x

    def refine(self, x: Tensor, step: int, times: int, settings: RefineSettings) -> Tensor:
        """Take over what the left view shows, then take the step ``times`` times, harmonising the holes.

        Every repeat draws noise of its own, except for the last: that one goes on, so it draws what the left view got.
        The new noise stays in the holes; what both views show begins every repeat as it was taken over, with the noise
        that the left view has (both have the same, after Eq. 8). Eq. 4 keeps its denoised estimate, too.
        """
        left, place = self._left, self._left.first + step
        start = self.compose(step, x, settings.border_weight)
        averaged: Tensor | None = None
        # By the step and not by the run: the same in one run and in several on parts of the schedule.
        generator = make_generator(self._seed, Stream.REFINE, place)
        noiseless = False
        for count in range(times):
            stepped = self.advance(start, step, step + 1, repeat=(count + 1) % times)
            if RefineForm(settings.form) is RefineForm.CODE:
                again = renew_holes(start, stepped, left.holes, left.sigmas, place, left.form)
            else:
                denoised = self._denoised(x)
                averaged = self._averaged(denoised, averaged, place)
                again, stepped = rebuild(start, stepped, denoised, averaged, left.sigmas, place, left.form)
                if count == 0:  # a step that draws no noise leads back to where it began
                    noiseless = same_latent(again, start, _ROUNDING)
                if noiseless:
                    noise = torch.randn(x.shape, generator=generator).to(x)
                    again = renoise_holes(start, denoised, averaged, left.holes, noise, left.sigmas, place, left.form)
                    del noise
                again = torch.where(left.holes, again, start)
                del denoised
            if count < times - 1:
                self._run.count_repeats(1)
                start = again
                del again, stepped  # not kept through the next step: clips are large
        return stepped

    def _denoised(self, x: Tensor) -> Tensor:
        """The right view's estimate in the step that was just taken."""
        assert self._run.denoised is not None
        return self._run.denoised[-len(x) :].clone()

    def _averaged(self, denoised: Tensor, before: Tensor | None, place: int) -> Tensor:
        left = self._left
        if before is None:
            return denoised
        return average_denoised(denoised, before, left.holes, left.sigmas[place], left.form)
