"""The right view's way beside a left one that is known: made from it, restarted, refined, and taken on."""

from __future__ import annotations

import torch
from torch import Tensor

from ...stereo_core.borders import border_columns, clean_border, unrepeated
from ...stereo_core.iterative_refinement import (
    RefineForm,
    RefineSettings,
    average_clean,
    rebuild,
    renew_holes,
    renoise_holes,
)
from ...stereo_core.latent_shift import HoleFill, warp_latent
from ...stereo_core.noise_forms import NoiseForm
from ...stereo_core.noisy_restart import RestartSettings, filling_latent
from ...stereo_core.stereo_diffusion import filling
from ...stereo_core.trajectory import Trajectory
from ...stereo_core.warping import Warp
from .given_views import straight_to_clean
from .stepwise import Segments

# Keep the noise of fillings apart from the noise that the same seed starts the picture with.
_FILL_STREAM, _RESTART_STREAM, _REPEAT_STREAM = 0x5DEECE66D, 0x2545F4914, 0x369DEA0F3

# What float arithmetic alone makes of a state that is taken apart and put together again.
_SAME = 1e-5


class LeftView:
    """The left view's states in one run, by the run's own steps.

    Attributes:
        steps: of the whole schedule.
        first: the step of the whole schedule that the run begins with.
        sigmas: (N + 1,) the whole schedule, on the run's device.
        form: how the states hold their noise.
        holes: boolean, what the right view must fill, at every step.
        border: boolean, the columns of the border.
    """

    def __init__(
        self,
        trajectory: Trajectory,
        sigmas: Tensor,
        like: Tensor,
        disparity: Tensor,
        form: NoiseForm,
        one_clip: bool,
    ) -> None:
        places = [trajectory.index(sigma) for sigma in sigmas.tolist()]
        self.first, self.steps = places[0], len(trajectory.sigmas) - 1
        if places != list(range(places[0], places[0] + len(places))):
            raise ValueError(
                "sigmas: skip steps that trajectory holds. Record and sample on the same sigmas, or on parts of them."
            )
        self.sigmas, self.form = trajectory.sigmas.to(sigmas), form
        self.sigmas[self.first : self.first + len(places)] = sigmas
        self._trajectory, self._like, self._disparity = trajectory, like, disparity
        self.holes = ~self.warped(0).filled
        self.border = border_columns(~self.holes, one_clip)

    def state(self, step: int) -> Tensor:
        """(B, ...), before a step."""
        return self._trajectory.states[self.first + step].to(self._like)

    def warped(self, step: int) -> Warp:
        """The same as the right eye sees it."""
        return warp_latent(self.state(step), self._disparity)

    def denoised(self, step: int) -> Tensor:
        """(B, ...), what a step takes for the clean state."""
        return straight_to_clean(self._trajectory, self.first + step).to(self._like)


class RightView:
    """Edits and steps of the right view; each takes and gives its state, (B, ...)."""

    def __init__(self, run: Segments, left: LeftView, by_pair: list[bool], repeat_seed: int) -> None:
        self._run, self._left, self._by_pair, self._repeat_seed = run, left, by_pair, repeat_seed

    def first_filling(self, fill: HoleFill) -> Tensor:
        """Make what holes hold before the first step."""
        left = self._left.state(0)
        if fill is HoleFill.LEFT:
            return unrepeated(left, self._left.warped(0))
        stream = torch.Generator().manual_seed((self._run.seed + _FILL_STREAM) % 2**63)
        return filling(left, fill, self._left.sigmas[self._left.first], self._left.form, stream)

    def compose(self, step: int, state: Tensor, border_share: float = 0.0) -> Tensor:
        """Take over what the left view shows before ``step``; the holes keep ``state``, the border is cleaned."""
        warp = self._left.warped(step)
        if border_share:
            left = unrepeated(self._left.state(step), warp)
            state = clean_border(state, left, self._left.border, border_share)
        return torch.where(warp.filled, warp.image, state)

    def advance(self, state: Tensor, first: int, last: int, take: int = 0) -> Tensor:
        """Take steps; beside the left view, one at a time, where they need both."""
        if not self._by_pair[first]:
            return self._run.run(state, first, last, take)
        pair = torch.cat([self._left.state(first), state])
        del state
        return self._run.run(pair, first, last, take).chunk(2)[1].clone()  # a part would keep the whole in memory

    def restart(self, state: Tensor, steps: int, settings: RestartSettings) -> Tensor:
        """Take the first steps over and over, each time with the holes that the last iteration left."""
        left = self._left
        stream = torch.Generator()
        fillings: list[Tensor | None] = [state, *[None] * (steps - 1)]
        for iteration in range(settings.iterations):
            if iteration:
                self._run.repeated += steps
            # Each step's noise is the same in every iteration: drawn anew, not kept, for clips are large.
            stream.manual_seed((self._run.seed + _RESTART_STREAM) % 2**63)
            for step in range(steps):
                if fillings[step] is not None:
                    state, fillings[step] = fillings[step], None
                state = self.advance(self.compose(step, state, settings.border_share), step, step + 1)
                if iteration < settings.iterations - 1:
                    noise = torch.randn(state.shape, generator=stream).to(state)
                    place = left.first + step
                    fillings[step] = filling_latent(state, noise, left.sigmas, place, left.form, settings.form)
                    del noise
        return state

    def refine(self, state: Tensor, step: int, times: int, settings: RefineSettings) -> Tensor:
        """Take over what the left view shows, then take the step ``times`` times, harmonising the holes.

        Every repeat draws noise of its own, except for the last: that one goes on, so it draws what the left view got.
        The new noise stays in the holes; what both views show begins every repeat as it was taken over, with the noise
        that the left view has (both have the same, after Eq. 8). Eq. 4 keeps its clean estimate, too.
        """
        left, place = self._left, self._left.first + step
        start = self.compose(step, state, settings.border_share)
        averaged: Tensor | None = None
        # By the step and not by the run: the same in one run and in several on parts of the schedule.
        stream = torch.Generator().manual_seed((self._repeat_seed + _REPEAT_STREAM + place) % 2**63)
        quiet = False
        for count in range(times):
            stepped = self.advance(start, step, step + 1, take=(count + 1) % times)
            if RefineForm(settings.form) is RefineForm.CODE:
                again = renew_holes(start, stepped, left.holes, left.sigmas, place, left.form)
            else:
                clean = self._run.denoised[-len(state) :].clone()
                sigma = left.sigmas[place]
                averaged = clean if averaged is None else average_clean(clean, averaged, left.holes, sigma, left.form)
                again, stepped = rebuild(start, stepped, clean, averaged, left.sigmas, place, left.form)
                if count == 0:  # a step that draws no noise leads back to where it began
                    quiet = bool((again - start).abs().max() <= _SAME * start.abs().max())
                if quiet:
                    noise = torch.randn(state.shape, generator=stream).to(state)
                    again = renoise_holes(start, clean, averaged, left.holes, noise, left.sigmas, place, left.form)
                    del noise
                again = torch.where(left.holes, again, start)
                del clean
            if count < times - 1:
                self._run.repeated += 1
                start = again
                del again, stepped  # not kept through the next step: clips are large
        return stepped
