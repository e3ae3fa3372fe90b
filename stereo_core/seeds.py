"""Seeds of the noise that this project draws beside the host's own, from the one seed that the user gives.

Every draw has a stream of its own, so that no two are the same noise and none is the noise that the picture starts
from. The numbers are arbitrary, and part of what a seed means: changing one changes everybody's pictures.

    stream         drawn by                                              afresh for
    HOLES          what the holes of a new right view start from         the run
    RESTART        the noise of Eq. 2, the same in every iteration       the run
    REFINE         new noise in the holes between two repeats            a step of the schedule
    REPEAT         what the sampler itself draws in a repeated step      a step of the schedule, and a repeat
    PIECE          what a sampler draws by itself in a part of a run     the step that the part begins with
    COMPOSITION    the repeated steps of score composition               the run
    SHIFT          a shift by parts of a column, beside the moved noise  a step of the schedule
    SPLATS         where Gaussians start, and the order of pictures      the fit
    WINDOW         all noise of a window of a film: a seed of its own    a window
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import torch


class _Offsets(NamedTuple):
    stream: int
    step: int = 0
    repeat: int = 0


class Stream(Enum):
    """A use of random numbers, by what is added to the user's seed."""

    HOLES = _Offsets(0x5DEECE66D)
    RESTART = _Offsets(0x2545F4914)
    REFINE = _Offsets(0x369DEA0F3, step=1)
    REPEAT = _Offsets(0x1F83D9ABF, step=0x9E3779B1, repeat=0x3C6EF372FE9)
    PIECE = _Offsets(0, step=0x9E3779B1)
    COMPOSITION = _Offsets(0x2545F491)
    SHIFT = _Offsets(0x4F1BBCDCB, step=1)
    SPLATS = _Offsets(0x6A09E667F)
    WINDOW = _Offsets(0x3C6EF372F, step=0x4F1BBCDCBFA53E0B)  # so far apart that what is drawn in one reaches no other


def derive_seed(seed: int, stream: Stream, step: int = 0, repeat: int = 0) -> int:
    """Return the seed of one stream.

    Args:
        seed: the user's, 0 to 2**64 - 1.
        stream: what the noise is for.
        step: of the whole schedule, for streams that are drawn afresh at every step; the window's number.
        repeat: of the step, from 1, for streams that are drawn afresh at every repeat.

    Returns:
        0 to 2**63 - 1, which every generator takes.
    """
    offsets: _Offsets = stream.value
    return (seed + offsets.stream + step * offsets.step + repeat * offsets.repeat) % 2**63


def make_generator(seed: int, stream: Stream, step: int = 0, repeat: int = 0) -> torch.Generator:
    """Return a generator on the CPU, so that every device draws the same, seeded by ``derive_seed``."""
    return torch.Generator().manual_seed(derive_seed(seed, stream, step, repeat))
