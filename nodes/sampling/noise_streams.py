"""The noise that a sampler function draws in each step: the same that a recorded left view got, or new for repeats."""

from __future__ import annotations

from collections.abc import Callable

import comfy.k_diffusion.sampling
import comfy.samplers
from torch import Tensor

from ...stereo_core.seeds import Stream, derive_seed
from ...stereo_core.trajectory import Trajectory
from .host_samplers import brings_noise, function_name, takes_noise

# The host's functions whose own noise is a Brownian path; all others draw independent noise at each step.
_BROWNIAN = {"sample_dpmpp_sde", "sample_dpmpp_2m_sde", "sample_dpmpp_2m_sde_heun", "sample_dpmpp_3m_sde"}


class NoiseStream:
    """The noise that a sampler function draws, to the bit what the host would give it; it can be sought by position.

    Attributes:
        drawn: how often noise has been drawn from it.
    """

    def __init__(self, sampler: comfy.samplers.KSAMPLER, like: Tensor, sigmas: Tensor, seed: int | None) -> None:
        """Start at the first draw.

        Args:
            sampler: one whose function takes a ``noise_sampler``.
            like: (B, ...), a tensor of the noise's shape, device and dtype.
            sigmas: (N + 1,) noise levels of the whole run, descending.
            seed: of the run.
        """
        self._made_of = sampler, like, sigmas, seed
        # The noise of a Brownian path depends on the noise levels alone, not on the order of the draws.
        self._by_sigma = function_name(sampler).removesuffix("_gpu") in _BROWNIAN
        self._draw, self.drawn = _host_stream(*self._made_of), 0

    def __call__(self, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        """Draw the noise (B, ...) of the step between two noise levels, scalars."""
        self.drawn += 1
        return self._draw(sigma, sigma_next)

    def seek(self, drawn: int) -> None:
        """Go to where noise has been drawn ``drawn`` times."""
        if drawn < self.drawn:
            self._draw, self.drawn = _host_stream(*self._made_of), 0
        while self.drawn < drawn and not self._by_sigma:
            self(self._made_of[2][0], self._made_of[2][-1])  # such noise does not depend on the noise levels
        self.drawn = drawn


class NoiseStreams:
    """The noise of one run, by the run's own steps.

    Where a recorded run of the same function took a step, the step draws the noise that it drew there, whatever the
    seed of this run and whatever part of the schedule it covers (StereoCrafter-Zero, after Eq. 8: both views get the
    same noise). All other steps draw the run's own noise, the same each time that a step is taken.

    Attributes:
        seed: of the noise that only repeats draw; the same whether a schedule is sampled in one run or in several.
    """

    def __init__(
        self,
        sampler: comfy.samplers.KSAMPLER,
        like: Tensor,
        sigmas: Tensor,
        seed: int | None,
        trajectory: Trajectory | None = None,
    ) -> None:
        """Set up a run.

        Args:
            sampler: takes the steps.
            like: (B, ...), a tensor of the noise's shape, device and dtype.
            sigmas: (N + 1,) noise levels of the run, descending.
            seed: of the run.
            trajectory: of the left view, where that is known.

        Raises:
            ValueError: ``trajectory`` was made for another schedule.
        """
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
        """Return the noise for ``step`` and the steps after it; ``None`` where the function takes none.

        Args:
            step: 0 to N - 1, of the run.
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
            sigmas = self._whole[record.first : record.first + len(record.draws) + 1]
            self._recorded[record.first] = NoiseStream(self._sampler, self._like, sigmas, record.seed)
        stream = self._recorded[record.first]
        stream.seek(record.draws[place - record.first])
        return stream

    def changes(self, steps: int) -> set[int]:
        """Return the steps before which a run of ``steps`` steps must be cut: those whose noise has another source."""
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


def tell_sampler(sampler: comfy.samplers.KSAMPLER, trajectory: Trajectory | None) -> str:
    """Say in a line for people that a left view was recorded with another sampler; empty if it was not."""
    names = {record.sampler for record in trajectory.noise} if trajectory is not None else set()
    if not names or function_name(sampler) in names or not (takes_noise(sampler) or trajectory.draws_noise):
        return ""
    recorded = ", ".join(sorted(name.removeprefix("sample_") for name in names))
    return f"trajectory was recorded with {recorded}: the right view gets other noise than the left one"
