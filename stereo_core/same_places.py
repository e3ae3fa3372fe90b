"""Views from one place: a closed orbit has two of them, and a slip of the keyboard makes two more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from torch import Tensor

_SAME = 0.1  # degrees between azimuths that are one place: 51.4 is 51.43
_TURN = 360.0
_ALIKE = 24.0  # dB of two pictures, where the object is: their mean is then 30 from each, and a fit is held up by less
_SHARE = 0.5  # of the squared difference between neighboring places, below which pictures are of one place


def places(azimuths: Sequence[float]) -> list[int]:
    """Return for each view the first view that looks from its place, which for most is itself."""
    return [
        next(first for first, other in enumerate(azimuths) if min((one - other) % _TURN, (other - one) % _TURN) < _SAME)
        for one in azimuths
    ]


def expect_alike(azimuths: Sequence[float], picture: Callable[[int], Tensor], mask: Callable[[int], Tensor]) -> None:
    """Raise if two views from one place are no more alike than views from neighboring ones are.

    Args:
        azimuths: V of them, in degrees, finite.
        picture: reads a view's at one moment, (3, H, W) in [0, 1].
        mask: reads what the object covers of it, (H, W) bool, not empty.

    Raises:
        ValueError: with both views, counted from 1, and what to do.
    """
    firsts = places(azimuths)
    twins = [(first, view) for view, first in enumerate(firsts) if first != view]
    if not twins:
        return

    def apart(one: int, other: int) -> float:
        either = mask(one) | mask(other)
        return float((picture(one) - picture(other)).square().mean(dim=0)[either].mean())

    around = sorted(set(firsts), key=lambda view: azimuths[view] % _TURN)
    usual = fmean(apart(one, other) for one, other in zip(around, [*around[1:], around[0]], strict=True))
    for first, view in twins:
        found = apart(first, view)
        if found > max(10 ** (-_ALIKE / 10), _SHARE * usual):
            raise ValueError(
                f"azimuths: views {first + 1} and {view + 1}, counted from 1, are both at {azimuths[view]:g} degrees, "
                "but their pictures differ as much as those from different sides. Correct one of the two azimuths, or "
                "leave one of the two views out."
            )
