"""What a sampler function draws in each step of a run: the noise that a recorded left view got, and that of repeats."""

from __future__ import annotations

from collections.abc import Callable

import comfy.k_diffusion.sampling
import comfy.samplers
from torch import Tensor

from ...stereo_core.seeds import Stream, derive_seed
from ...stereo_core.trajectory import Trajectory
from .host_samplers import brings_noise, function_name, takes_noise

# The host's functions whose own noise is a Brownian path; all others draw afresh at each step.
_BROWNIAN = {"sample_dpmpp_sde", "sample_dpmpp_2m_sde", "sample_dpmpp_2m_sde_heun", "sample_dpmpp_3m_sde"}


class NoiseStream:
    """The random stream that a sampler function draws from, the host's own to the bit, and how far it is drawn.

    Attributes:
        drawn: how often it has been drawn from.
    """

    def __init__(self, sampler: comfy.samplers.KSAMPLER, like: Tensor, sigmas: Tensor, seed: int | None) -> None:
        """For a function that takes a ``noise_sampler``, a whole schedule, and noise of the shape of ``like``."""
        self._made_of = sampler, like, sigmas, seed
        # A path has its noise by the level: it need not be drawn in order.
        self._by_level = function_name(sampler).removesuffix("_gpu") in _BROWNIAN
        self._draw, self.drawn = _host_stream(*self._made_of), 0

    def __call__(self, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        self.drawn += 1
        return self._draw(sigma, sigma_next)

    def seek(self, drawn: int) -> None:
        """Go to where it has been drawn from ``drawn`` times."""
        if drawn < self.drawn:
            self._draw, self.drawn = _host_stream(*self._made_of), 0
        while self.drawn < drawn and not self._by_level:
            self(self._made_of[2][0], self._made_of[2][-1])  # such a stream does not look at the levels
        self.drawn = drawn


class NoiseStreams:
    """The random streams of one run, by its own steps.

    A step that a recorded run of the same function took draws the noise that it drew there, whatever seed this run
    has and whatever part of the schedule it covers (StereoCrafter-Zero, after Eq. 8: both views get the same noise).
    All other steps draw from the run's own stream, each from the same place whenever it is taken.

    Attributes:
        seed: of the noise that only repeats draw: the same in one run and in several on parts of the schedule.
    """

    def __init__(
        self,
        sampler: comfy.samplers.KSAMPLER,
        like: Tensor,
        sigmas: Tensor,
        seed: int | None,
        trajectory: Trajectory | None = None,
    ) -> None:
        """As the host calls a sampler, with the left view's trajectory where that is known."""
        self._first = 0 if trajectory is None else trajectory.index(float(sigmas[0]))
        self._whole = sigmas if trajectory is None else trajectory.sigmas.to(sigmas)
        recorded = None if trajectory is None else trajectory.seed
        self.seed = (seed or 0) if recorded is None else recorded
        self._sampler, self._like = sampler, like
        self._trajectory = None if brings_noise(sampler) else trajectory
        self._own = NoiseStream(sampler, like, sigmas, seed) if takes_noise(sampler) else None
        self._begun: dict[int, int] = {}
        self._recorded: dict[int, NoiseStream] = {}

    def at(self, step: int, repeat: int = 0) -> NoiseStream | None:
        """Return the stream to take ``step`` and those after it with; ``None`` where the function takes none.

        Args:
            step: 0 for the run's first.
            repeat: 0 for the take that the run goes on from; every other number draws noise of its own.
        """
        if self._own is None:
            return None
        place = self._first + step
        if repeat:
            seed = derive_seed(self.seed, Stream.REPEAT, place, repeat)
            return NoiseStream(self._sampler, self._like, self._whole, seed)
        record = self._trajectory and self._trajectory.drawn(place, function_name(self._sampler))
        if record is None:
            self._own.seek(self._begun.setdefault(step, self._own.drawn))
            return self._own
        if record.first not in self._recorded:
            levels = self._whole[record.first : record.first + len(record.draws) + 1]
            self._recorded[record.first] = NoiseStream(self._sampler, self._like, levels, record.seed)
        stream = self._recorded[record.first]
        stream.seek(record.draws[place - record.first])
        return stream

    def changes(self, steps: int) -> set[int]:
        """The steps, of ``steps``, that draw from another stream than the ones before: where a run must be cut."""
        if self._own is None or self._trajectory is None:
            return set()
        name = function_name(self._sampler)
        records = [self._trajectory.drawn(self._first + step, name) for step in range(steps)]
        return {step for step in range(1, steps) if records[step] is not records[step - 1]}


def _host_stream(
    sampler: comfy.samplers.KSAMPLER, like: Tensor, sigmas: Tensor, seed: int | None
) -> Callable[[Tensor, Tensor], Tensor]:
    if brings_noise(sampler):
        return sampler.extra_options["noise_sampler"]
    name = function_name(sampler)
    on_cpu = not name.endswith("_gpu")
    if name.removesuffix("_gpu") in _BROWNIAN:
        low, high = sigmas[sigmas > 0].min(), sigmas.max()
        return comfy.k_diffusion.sampling.BrownianTreeNoiseSampler(like, low, high, seed=seed, cpu=on_cpu)
    return comfy.k_diffusion.sampling.default_noise_sampler(like, seed=seed)
