"""Recording the states of a view while any of the host's samplers makes it."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import comfy.samplers
import torch
from torch import Tensor

from ...stereo_core.schedules import expect_schedule
from ...stereo_core.trajectory import NoiseRecord, Trajectory
from .host_samplers import brings_noise, expect_steppable, function_name, takes_noise
from .noise_streams import NoiseStream
from .pairs import mark_pair

# SDE samplers begin a flow model's schedule this much below its first level at most, relative.
_NEAR = 1e-3


class RecordingSampler(comfy.samplers.Sampler):
    """A sampler that keeps the state at every noise level; what it makes is the same to the bit.

    Attributes:
        trajectory: of the last run, on the CPU, in full precision; ``None`` before one is finished.
    """

    def __init__(self, sampler: object) -> None:
        self.inner = expect_steppable(sampler)
        self.trajectory: Trajectory | None = None

    def sample(
        self,
        model_wrap: comfy.samplers.CFGGuider,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Callable[[int, Tensor, Tensor, int], None] | None,
        noise: Tensor,
        latent_image: Tensor | None = None,
        denoise_mask: Tensor | None = None,
        disable_pbar: bool = False,
    ) -> Tensor:
        """Called by the host's guiders."""
        self.trajectory = None
        expect_schedule(sigmas)
        levels = sigmas.detach().to(device="cpu", copy=True).float()
        record = _Record(levels, noise.shape)
        inner = copy.copy(self.inner)
        inner.sampler_function = record.around(self.inner.sampler_function)
        seed = extra_args.get("seed")
        if takes_noise(inner) and not brings_noise(inner) and seed is not None:
            record.stream = NoiseStream(inner, noise, sigmas, seed)
            inner.extra_options = {**inner.extra_options, "noise_sampler": record.stream}
        extra_args = {**extra_args, "model_options": mark_pair(extra_args["model_options"], paired=False)}
        samples = inner.sample(
            model_wrap, sigmas, extra_args, callback, noise, latent_image, denoise_mask, disable_pbar
        )
        # At level 0 a state is the picture itself. uni_pc writes another last level into the schedule, from which
        # the host then scales the picture.
        made = record.finish(samples if levels[-1] == 0 else record.final)
        if seed is not None:
            made = replace(made, noise=(NoiseRecord(seed, function_name(self.inner), tuple(record.draws)),))
        self.trajectory = made
        return samples


class _Record:
    """The states of one run.

    A state is what the model was last asked about when the sampler reports a step: all of the host's samplers report
    right after a step's first evaluation, before they draw its noise, and some report another tensor as their state
    (ipndm and deis the first noise, uni_pc its own scale).
    """

    stream: NoiseStream | None = None

    def __init__(self, levels: Tensor, shape: torch.Size) -> None:
        self.levels, self.shape = levels, shape
        self.states: list[Tensor] = []
        self.draws: list[int] = []
        self.asked: tuple[Tensor, Tensor]
        self.final: Tensor

    def around(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Return a sampler function that does the same and is watched."""

        @functools.wraps(function)
        def recorded(model: Any, x: Tensor, sigmas: Tensor, *args: Any, callback: Any, **rest: Any) -> Tensor:
            def report(progress: dict[str, Any]) -> None:
                self._keep_step(progress["i"])
                callback(progress)

            self.final = function(_Watched(model, self), x, sigmas, *args, callback=report, **rest)
            return self.final

        return recorded

    def finish(self, last: Tensor) -> Trajectory:
        """Return all states, the last being ``last``."""
        if len(self.states) != len(self.levels) - 1:
            raise _unsteady(f"reported {len(self.states)} of {len(self.levels) - 1} steps")
        self._keep(last)
        return Trajectory(self.levels, tuple(self.states))

    def _keep_step(self, step: int) -> None:
        state, sigma = self.asked
        if step != len(self.states) or step > len(self.levels) - 2:
            raise _unsteady(f"reported step {step + 1} where step {len(self.states) + 1} was due")
        if state.shape != self.shape:
            raise _unsteady("works on a part of the latent at a time")
        level, now = float(self.levels[step]), float(sigma.flatten()[0])
        if abs(now - level) > _NEAR * level:
            raise ValueError(
                f"sampler: evaluates step {step + 1} at noise level {now:.4g} instead of the schedule's {level:.4g}. "
                "Set s_churn to 0, or use euler, ddim or dpmpp_2m."
            )
        self._keep(state)
        if self.stream is not None:
            self.draws.append(self.stream.drawn)

    def _keep(self, state: Tensor) -> None:
        # A copy: some functions go on working in the same tensor.
        self.states.append(state.detach().to(device="cpu", copy=True))


class _Watched:
    """The model as a sampler function calls it, and a note of what it is asked."""

    def __init__(self, model: Callable[..., Tensor], record: _Record) -> None:
        self._model, self._record = model, record

    def __call__(self, x: Tensor, sigma: Tensor, *args: Any, **rest: Any) -> Tensor:
        self._record.asked = (x, sigma)
        return self._model(x, sigma, *args, **rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def _unsteady(what: str) -> ValueError:
    return ValueError(
        f"sampler: {what}, so its states cannot be told apart by noise level. Use euler, ddim or dpmpp_2m."
    )
