"""Records x at every noise level while any of the host's samplers makes a view."""

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
from .placed_inputs import expect_known

# How far below a flow model's first noise level SDE samplers begin, at most; relative to that level.
_NEAR = 1e-3


class RecordingSampler(comfy.samplers.Sampler):
    """A sampler that keeps x at every noise level; its result is the wrapped sampler's, to the bit.

    Attributes:
        trajectory: of the last run, on the CPU, in full precision; ``None`` until a run is finished.
    """

    def __init__(self, sampler: object, by_frame: bool = False) -> None:
        """Take the sampler; ``by_frame`` says whether the right view is to move each frame by a map of its own."""
        self.inner, self._by_frame = expect_steppable(sampler), by_frame
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
        """Sample when one of the host's guiders calls, and record.

        Args:
            model_wrap: the guider.
            sigmas: (N + 1,) noise levels, descending.
            extra_args: ``model_options`` and ``seed``.
            callback: the host's, for previews.
            noise: (B, ...), unit normal.
            latent_image: (B, ...).
            denoise_mask: (B, ...) in [0, 1], 1 = repaint, or ``None``.
            disable_pbar: whether the console shows no bar.

        Returns:
            (B, ...), what the wrapped sampler returns.

        Raises:
            ValueError: a schedule that does not descend, a sampler whose x cannot be told by noise level, or conditions
                that cannot be moved into a right view.
        """
        self.trajectory = None
        expect_schedule(sigmas)
        # What a left view is recorded for is a right one; better refused before its time than after.
        expect_known(model_wrap, extra_args["model_options"], noise.shape, self._by_frame)
        kept_sigmas = sigmas.detach().to(device="cpu", copy=True).float()
        record = _Record(kept_sigmas, noise.shape)
        inner = copy.copy(self.inner)
        inner.sampler_function = record.around(self.inner.sampler_function)
        seed = extra_args.get("seed")
        if takes_noise(inner) and not brings_noise(inner) and seed is not None:
            record.stream = NoiseStream(inner, noise, sigmas, seed)
            inner.extra_options = {**inner.extra_options, "noise_sampler": record.stream}
        extra_args = {**extra_args, "model_options": mark_pair(extra_args["model_options"], paired=False, plain=True)}
        with torch.random.fork_rng(devices=[]):  # the host seeds the global stream for ddim's masks
            samples = inner.sample(
                model_wrap, sigmas, extra_args, callback, noise, latent_image, denoise_mask, disable_pbar
            )
        # At noise level 0, x is the picture itself. uni_pc writes another last level into the schedule, by which the
        # host then scales the picture.
        made = record.finish(samples if kept_sigmas[-1] == 0 else record.final)
        if seed is not None:
            made = replace(
                made,
                noise=(
                    NoiseRecord(
                        seed,
                        function_name(self.inner),
                        tuple(record.draws),
                        draws_noise=takes_noise(inner) if record.stream is None else record.stream.drawn > 0,
                    ),
                ),
            )
        self.trajectory = made
        return samples


class _Record:
    """One run's x at all noise levels.

    What counts is the x of the last evaluation when the sampler reports a step: all of the host's samplers report right
    after a step's first evaluation, before they draw its noise, and some report another tensor as x (ipndm and deis
    the first noise, uni_pc x on a scale of its own).

    Attributes:
        stream: the noise that the sampler draws, where it can be counted.
        draws: how often noise had been drawn before each step.
        evaluated: x and sigma of the last evaluation.
        final: what the sampler function returned.
    """

    stream: NoiseStream | None = None

    def __init__(self, sigmas: Tensor, shape: torch.Size) -> None:
        """Take the schedule (N + 1,), on the CPU, and the shape of x, (B, ...)."""
        self.sigmas, self.shape = sigmas, shape
        self.recorded: list[Tensor] = []
        self.draws: list[int] = []
        self.evaluated: tuple[Tensor, Tensor]
        self.final: Tensor

    def around(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Return a sampler function that does the same as ``function``, and is recorded."""

        @functools.wraps(function)
        def recorded(model: Any, x: Tensor, sigmas: Tensor, *args: Any, callback: Any, **rest: Any) -> Tensor:
            def report(progress: dict[str, Any]) -> None:
                self._keep_step(progress["i"])
                callback(progress)

            self.final = function(_Watched(model, self), x, sigmas, *args, callback=report, **rest)
            return self.final

        return recorded

    def finish(self, last: Tensor) -> Trajectory:
        """Return x at all noise levels, ``last`` (B, ...) being that at the last one."""
        if len(self.recorded) != len(self.sigmas) - 1:
            raise _unsteady(f"reported {len(self.recorded)} of {len(self.sigmas) - 1} steps")
        self._keep(last)
        return Trajectory(self.sigmas, tuple(self.recorded))

    def _keep_step(self, step: int) -> None:
        x, sigma = self.evaluated
        if step != len(self.recorded) or step > len(self.sigmas) - 2:
            raise _unsteady(f"reported step {step + 1} where step {len(self.recorded) + 1} was due")
        if x.shape != self.shape:
            raise _unsteady("works on a part of the latent at a time")
        due, now = float(self.sigmas[step]), float(sigma.flatten()[0])
        if abs(now - due) > _NEAR * due:
            raise ValueError(
                f"sampler: evaluates step {step + 1} at noise level {now:.4g} instead of the schedule's {due:.4g}. "
                "Set s_churn to 0, or use euler, ddim or dpmpp_2m."
            )
        self._keep(x)
        if self.stream is not None:
            self.draws.append(self.stream.drawn)

    def _keep(self, x: Tensor) -> None:
        # A copy: some functions go on working in the same tensor.
        self.recorded.append(x.detach().to(device="cpu", copy=True))


class _Watched:
    """The model as a sampler function calls it, with a note of every x and sigma it is evaluated at."""

    def __init__(self, model: Callable[..., Tensor], record: _Record) -> None:
        self._model, self._record = model, record

    def __call__(self, x: Tensor, sigma: Tensor, *args: Any, **rest: Any) -> Tensor:
        self._record.evaluated = (x, sigma)
        return self._model(x, sigma, *args, **rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def _unsteady(what: str) -> ValueError:
    return ValueError(
        f"sampler: {what}, so its x cannot be recorded at every noise level. Use euler, ddim or dpmpp_2m."
    )
