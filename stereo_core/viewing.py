"""Stereo on a given screen: what a disparity asks of the eyes, and the limits that have been published for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

EYES = 0.063
"""Mean distance between the pupils of adults, in metres (Dodgson, "Variation and extrema of human interpupillary
distance", SPIE 5291, 2004)."""


@dataclass(frozen=True, slots=True)
class Viewing:
    r"""A screen and the eyes before it.

    A disparity of the share s of the width, positive in front of the screen, puts a point's two images
    :math:`P = -s S` apart, the right eye's to the right. The eyes e apart, at distance Z, then meet at

    .. math:: Z_v = \frac{e Z}{e - P}

    Attributes:
        width: S, of the screen in metres.
        distance: Z, from the eyes to the screen in metres.
        eyes: e, the distance between the pupils in metres.

    Raises:
        ValueError: a length that is not above 0.
    """

    width: float
    distance: float
    eyes: float = EYES

    def __post_init__(self) -> None:
        for name in ("width", "distance", "eyes"):
            length = getattr(self, name)
            if not (length > 0 and math.isfinite(length)):
                raise ValueError(f"{name}: got {length}. Give metres, above 0.")

    def seen(self, share: float) -> float:
        """Return the distance in metres at which the eyes meet, Zv; infinity where they do not."""
        meeting = self.eyes + share * self.width
        return self.eyes * self.distance / meeting if meeting > 0 else math.inf

    def share_at(self, distance: float) -> float:
        """Return the disparity, a share of the width, for which the eyes meet at this distance in metres."""
        return self.eyes * (self.distance / distance - 1) / self.width

    def degrees(self, share: float) -> float:
        """Return by how much more than for the screen the eyes turn inwards, in degrees; behind it less than 0."""
        return math.degrees(2 * math.atan((self.eyes + share * self.width) / (2 * self.distance))) - self._screen

    def dioptres(self, share: float) -> float:
        """Return how much nearer than the screen, on which they focus, the eyes meet: 1/Zv - 1/Z, in 1/m."""
        return share * self.width / (self.eyes * self.distance)

    def share(self, degrees: float) -> float:
        """Return the disparity, a share of the width, that turns the eyes by ``degrees``."""
        turned = math.tan(math.radians(self._screen + degrees) / 2)
        return (2 * self.distance * turned - self.eyes) / self.width

    @property
    def angle(self) -> float:
        """How wide the screen is for the eyes, in degrees."""
        return math.degrees(2 * math.atan(self.width / (2 * self.distance)))

    @property
    def infinity(self) -> float:
        """The disparity, a negative share of the width, beyond which the eyes would have to diverge."""
        return -self.eyes / self.width

    @property
    def _screen(self) -> float:
        return math.degrees(2 * math.atan(self.eyes / (2 * self.distance)))


@dataclass(frozen=True, slots=True)
class Distances:
    """How far away things were from the camera.

    Attributes:
        nearest, farthest: in metres, of inverse depth 1 and 0.

    Raises:
        ValueError: distances that are not above 0, or not in this order.
    """

    nearest: float
    farthest: float

    def __post_init__(self) -> None:
        if not 0 < self.nearest < self.farthest:
            raise ValueError(
                f"nearest and farthest: got {self.nearest:g} and {self.farthest:g} m. Give both, above 0, the smaller "
                "one to nearest; or 0 to both where distances are not known."
            )

    def life_size(self, viewing: Viewing) -> tuple[float, float]:
        """Return the strength, a share of the width, and the convergence with which things are seen where they were.

        The disparity that does so is linear in inverse depth, whatever the lens, for 1/Zv - 1/Z is linear in
        disparity. The convergence is outside [0, 1] where the screen is nearer or farther than all of the scene.
        """
        front, behind = viewing.share_at(self.nearest), viewing.share_at(self.farthest)
        return front - behind, -behind / (front - behind)


class Display(str, Enum):
    """Screens as people have them."""

    TELEVISION = "television"
    MONITOR = "monitor"
    HEADSET = "headset"
    CINEMA = "cinema"
    CUSTOM = "custom"


VIEWINGS = {
    Display.TELEVISION: Viewing(1.22, 2.5),
    Display.MONITOR: Viewing(0.60, 0.70),
    Display.HEADSET: Viewing(2.80, 2.0),
    Display.CINEMA: Viewing(10.0, 12.0),
}
"""55 inches at 2.5 m; 27 inches at 0.7 m; a virtual screen 70 degrees wide at 2 m; 10 m wide at 12 m."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How far from the screen a published limit lets things be.

    Attributes:
        name: what is exceeded, in words.
        front: the largest disparity, a share of the width.
        behind: the smallest disparity, a negative share of the width.
        source: who says so.
    """

    name: str
    front: float
    behind: float
    source: str

    def broken(self, low: float, high: float) -> bool:
        """Tell whether disparities from ``low`` to ``high``, shares of the width, exceed it."""
        return high > self.front or low < self.behind


def limits(viewing: Viewing, display: Display) -> tuple[Limit, ...]:
    """Return the published limits for a screen, the strictest use first.

    Args:
        viewing: the screen and the eyes.
        display: what it is; broadcasters' limits are for televisions of 46 to 70 inches.
    """
    comfort = Limit("one degree", viewing.share(1.0), viewing.share(-1.0), "convention of the field")
    divergence = Limit("diverging eyes", math.inf, viewing.infinity, "geometry")
    # The median could fuse 3.34 degrees in front and 3.05 behind; 84 of 100 could fuse these.
    fusion = Limit("what 84 % of people can fuse", viewing.share(1.84), viewing.share(-2.04), "Nagata 2002, TVRSJ 7(2)")
    if display is not Display.TELEVISION:
        return comfort, divergence, fusion
    broadcast = Limit("the broadcasters' depth budget", 0.01, -0.02, "BSkyB guidelines for plano-stereoscopic content")
    return broadcast, comfort, divergence, fusion


def comfortable(viewing: Viewing, display: Display) -> tuple[float, float]:
    """Return the disparities, shares of the width, that no limit is exceeded by: the least, and the largest."""
    known = limits(viewing, display)
    return max(limit.behind for limit in known), min(limit.front for limit in known)
