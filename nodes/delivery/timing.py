"""When each frame of a clip is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

_MOST = 1001  # of a rate's denominator: 24000/1001 is exact


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of a clip's frames.

    Attributes:
        time_base: the unit of time, in seconds.
        starts: when each frame comes, in that unit, rising.
        last: how long the last frame stays, in that unit.
        rate: frames a second, on average.
    """

    time_base: Fraction
    starts: tuple[int, ...]
    last: int
    rate: Fraction

    @classmethod
    def constant(cls, frames: int, fps: float | Fraction) -> Timing:
        """Return the times of frames that come evenly."""
        rate = exact_rate(fps)
        return cls(1 / rate, tuple(range(frames)), 1, rate)

    @classmethod
    def of_packets(
        cls, packets: Sequence[tuple[int, int]], time_base: Fraction, rate: Fraction | None
    ) -> Timing | None:
        """Return the times that a file tells.

        Args:
            packets: time and duration of each frame, in any order; a duration may be 0 where it is not told.
            time_base: the unit of both.
            rate: that the file tells.

        Returns:
            ``None`` where the file tells no times, or gives two frames the same one.
        """
        ordered = sorted(packets)
        starts = tuple(start for start, _ in ordered)
        if not starts or len(set(starts)) < len(starts):
            return None
        even = Fraction(starts[-1] - starts[0], len(starts) - 1) if len(starts) > 1 else 1 / (rate or 1) / time_base
        last = ordered[-1][1] or max(1, round(even))
        return cls(time_base, starts, last, rate or 1 / (even * time_base))

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def end(self) -> Fraction:
        """When the last frame goes, in seconds."""
        return (self.starts[-1] + self.last) * self.time_base

    @property
    def encoders(self) -> Fraction:
        """The rate as encoders take it: of small numbers, above 0, also where pictures stand for hours."""
        return _simple(self.rate)

    @property
    def durations(self) -> dict[int, int]:
        """How long each frame stays, by its time."""
        following = (*self.starts[1:], self.starts[-1] + self.last)
        return {start: end - start for start, end in zip(self.starts, following, strict=True)}

    def earlier(self, by: int) -> Timing:
        """Return the same, so many units earlier."""
        return Timing(self.time_base, tuple(start - by for start in self.starts), self.last, self.rate)


def exact_rate(fps: float | Fraction) -> Fraction:
    """Return the rate that is meant: 23.976, or 23.98 as a widget rounds it, is 24000/1001, and 29.97 is 30000/1001."""
    near = Fraction(round(fps * 1001 / 1000) * 1000, 1001)
    rounded = fps % 1 != 0 and round(float(near), 2) == float(fps)
    if rounded or abs(near - Fraction(fps)) < fps / 200_000:  # 23.976 is exact to five digits
        return near
    return _simple(Fraction(fps))


def _simple(rate: Fraction) -> Fraction:
    """Return a rate of small numbers, above 0."""
    return max(rate.limit_denominator(_MOST), Fraction(1, _MOST))
