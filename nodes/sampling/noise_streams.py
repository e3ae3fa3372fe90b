"""What a sampler function draws in each step of a run: the noise that a recorded left view got, and that of repeats."""

from __future__ import annotations

import comfy.samplers
from torch import Tensor

from ...stereo_core.trajectory import Trajectory
from .host_samplers import NoiseStream, brings_noise, function_name, takes_noise

# Keep the noise of repeats apart from that of the picture, and repeats apart from each other.
_TAKE_STREAM, _STEP_STRIDE, _TAKE_STRIDE = 0x1F83D9ABF, 0x9E3779B1, 0x3C6EF372FE9


def take_seed(seed: int, place: int, take: int) -> int:
    """The seed of a repeat's own noise, by the step of the whole schedule and the number of the repeat, from 1."""
    return (seed + _TAKE_STREAM + place * _STEP_STRIDE + take * _TAKE_STRIDE) % 2**63


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

    def at(self, step: int, take: int = 0) -> NoiseStream | None:
        """Return the stream to take ``step`` and those after it with; ``None`` where the function takes none.

        Args:
            step: 0 for the run's first.
            take: 0 for the take that the run goes on from, and a number for each other one: they draw anew.
        """
        if self._own is None:
            return None
        place = self._first + step
        if take:
            return NoiseStream(self._sampler, self._like, self._whole, take_seed(self.seed, place, take))
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
