"""Whether outlines of an object agree with the cameras that are said to have seen it, whatever its pattern.

What a picture shows of an object lies, behind each of its pixels, somewhere inside the outlines of all other pictures.
The share of the outlines behind which no such place exists is 0 where the cameras are right, and grows as they are
wrong (the coherence of silhouettes: Hernandez, Schmitt and Cipolla, "Silhouette coherence for camera calibration under
circular motion", 2007, section 3). Of what looks alike from everywhere, outlines tell nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from statistics import fmean

import torch
from torch import Tensor
from torch.nn import functional

from .cameras import Camera, Orbit
from .visual_hull import seen_half

_SIDE = 96  # pixels of the smaller side of the masks that are compared, at most
_POINTS = 128  # of each outline, at most
_DEPTHS = 80  # along each ray
_BEYOND = 1.3  # of what the pictures show, before and behind the origin
_NEAREST = 0.05  # of the distance of the cameras
_RIGHT = 0.01  # of the outlines may be missed by right cameras, whose pictures have pixels
# Right cameras missed nothing of six traced objects; wrong elevations, orders and half turns 0.12 and more.
_DOUBTFUL = 0.05
_CLEARLY = 4.0  # times as much is missed by wrong ones, where outlines tell them apart
# Pictures that were held out: with right azimuths they were 6 dB and more better than the mean of all views, with wrong
# ones at most 2.4.
_BETTER = 2.5
_GOOD = 24.0  # dB at which nothing is wrong, as of things that look alike from everywhere


class Outlines:
    """The outlines of one moment.

    Args:
        masks: (V, H, W) bool, the object.
        orbit: the cameras, with V azimuths.
        on_view: called before each outline is compared with the others; what it raises ends that.
    """

    def __init__(self, masks: Tensor, orbit: Orbit, on_view: Callable[[], None] = lambda: None) -> None:
        self._orbit, self._on_view = orbit, on_view
        masks = _small(masks)
        self._height, self._width = masks.shape[-2:]
        self._pixels = [_outline(mask) for mask in masks]
        # What is off by less than a pixel is no contradiction.
        self._masks = functional.max_pool2d(masks[:, None].float(), 3, 1, 1)[:, 0] > 0
        half = _BEYOND * seen_half(orbit) * max(self._height, self._width) / min(self._height, self._width)
        nearest = max(orbit.radius - half, _NEAREST * orbit.radius)
        self._depths = torch.linspace(nearest, orbit.radius + half, _DEPTHS)

    def missed(self, azimuths: Sequence[float] | None = None, views: Sequence[int] | None = None) -> float:
        """Return the share, 0 to 1, of the outlines behind which no place lies inside those of all other views.

        Args:
            azimuths: V of them, in degrees; ``None`` are those of the orbit.
            views: whose outlines; ``None`` are all.
        """
        orbit = self._orbit if azimuths is None else replace(self._orbit, azimuths=tuple(azimuths))
        cameras = [orbit.camera(azimuth, self._width, self._height) for azimuth in orbit.azimuths]
        shares = [self._missed(view, cameras) for view in (range(len(cameras)) if views is None else views)]
        return sum(shares) / len(shares)

    def confirm(self) -> bool:
        """Tell whether the azimuths are right without doubt: other ones would miss clearly more.

        The others go the other way round, are half and twice as far apart, or in other orders.
        """
        azimuths = self._orbit.azimuths
        orders = [azimuths[::2] + azimuths[1::2], azimuths[1::2] + azimuths[::2][::-1]]
        others = [*([factor * azimuth for azimuth in azimuths] for factor in (-1, 0.5, 2)), *orders]
        most = _CLEARLY * self._of_these + _RIGHT
        return all(self.missed(other) > most for other in others)

    def right(self) -> bool:
        """Tell whether the azimuths miss no more than right ones do, whose pictures have pixels."""
        return self._of_these < _RIGHT

    @property
    def doubt(self) -> str:
        """In words, after a space, what speaks against the cameras, whatever their pictures' PSNR; empty if nothing.

        Of something small or dark before a large background the PSNR is high under any cameras.
        """
        if self.likelier or self._of_these < _DOUBTFUL:
            return self.likelier
        return (
            f" {self._of_these:.0%} of the outlines lie where the other views leave no room, with right cameras hardly "
            "any: check the azimuths, their order and the elevation. Generated pictures may differ like that, too."
        )

    @cached_property
    def likelier(self) -> str:
        """In words, after a space, which other azimuths miss clearly less; an empty text if none do."""
        azimuths, most = self._orbit.azimuths, self._of_these / _CLEARLY
        if _CLEARLY * most < _RIGHT:
            return ""
        if self.missed([-azimuth for azimuth in azimuths]) <= most:
            return " The outlines agree with azimuths of the other sign."
        pairs = self._neighbors()
        if not pairs:
            return ""
        exchanged = [_exchanged(azimuths, pair) for pair in pairs]
        # First by the two outlines themselves, which is fast.
        found = [self.missed(other, pair) for other, pair in zip(exchanged, pairs, strict=True)]
        best = found.index(min(found))
        if self.missed(exchanged[best]) > most:
            return ""
        first, second = (f"{azimuths[view]:g}" for view in pairs[best])
        return f" The views at {first} and {second} degrees seem to be exchanged: their outlines agree the other way."

    @cached_property
    def _of_these(self) -> float:
        return self.missed()

    def _neighbors(self) -> list[tuple[int, int]]:
        azimuths = self._orbit.azimuths
        order = sorted(range(len(azimuths)), key=lambda view: azimuths[view] % 360)
        pairs = list(zip(order, [*order[1:], order[0]], strict=True))
        return [pair for pair in pairs if (azimuths[pair[0]] - azimuths[pair[1]]) % 360]

    def _missed(self, view: int, cameras: Sequence[Camera]) -> float:
        self._on_view()
        points = _along_rays(self._pixels[view], cameras[view], self._depths)
        possible = torch.ones(points.shape[:-1], dtype=torch.bool)
        for other, camera in enumerate(cameras):
            if other != view:
                possible &= _covered(self._masks[other], camera, points)
        return 1 - possible.any(dim=-1).float().mean().item()


def own_side(
    drawn: Tensor, mean: Tensor, held: Sequence[Tensor], views: Sequence[int], of_place: Sequence[int]
) -> float:
    """Return by how much pictures that were not fitted go with the scene from their own side more than from any other.

    That is in correlation, where what all sides have in common is taken away, so that it does not matter how faint a
    blurred pattern is; where nothing is known of the sides it is below 0, for any of the others may be the best.

    Args:
        drawn: (V, 3, H, W) the scene from all views.
        mean: (3, H, W) of the pictures that were fitted.
        held: those that were not, each (3, H, W).
        views: of each.
        of_place: of each of the V views, as ``places`` tells; what is seen from the same place is no other side.

    Returns:
        -2 to 2, in the mean of the pictures.
    """
    sides = functional.normalize((drawn - drawn.mean(dim=0)).flatten(1), dim=1)
    found = []
    for picture, view in zip(held, views, strict=True):
        alike = sides @ functional.normalize((picture - mean).flatten(), dim=0)
        others = [place != of_place[view] for place in of_place]
        found.append(float(alike[view] - alike[others].max()))
    return fmean(found)


def expect_agreement(found: float, blind: float, outlines: Outlines, own: Callable[[], float]) -> str:
    """Raise if views are no better than the mean of all, unless something else says that all is right.

    Views of one thing are better, but where its pattern is too fine for how far apart they are. Then its outlines may
    tell, or that each picture still goes with the scene from its own side, where outlines do not contradict.

    Args:
        found: PSNR in dB of pictures that were not fitted.
        blind: that of the mean of all that were.
        outlines: of the object.
        own: tells what ``own_side`` does.

    Returns:
        What remains of the doubt, in words after a space, or an empty text.

    Raises:
        ValueError: with both figures, and what to do.
    """
    if found >= min(blind + _BETTER, _GOOD):
        return ""
    likelier = outlines.likelier
    if not likelier and outlines.confirm():
        return ""
    if not likelier and outlines.right() and own() > 0:
        return (
            " The held-out pictures of the reference frame were hardly better than the mean of the others: check the "
            "azimuths, or give more views, for the pattern may be too fine for these."
        )
    raise ValueError(
        f"The views do not agree with these azimuths: pictures that were held out come out at {found:.1f} dB, and the "
        f"mean of the others is at {blind:.1f} dB.{likelier} Check the azimuths, their order and sense (positive ones "
        "move the camera to the right), the elevation, and that the pictures show one object at one time and come view "
        "by view, all frames of the first before those of the second. If all of that is right, the views lie too far "
        "apart for how fine the object's pattern is: give more of them, or hold none out (held_out 0 of Splat 4D "
        "Options), and this is not checked."
    )


def _exchanged(azimuths: Sequence[float], pair: tuple[int, int]) -> list[float]:
    made, (first, second) = list(azimuths), pair
    made[first], made[second] = made[second], made[first]
    return made


def _small(masks: Tensor) -> Tensor:
    height, width = masks.shape[-2:]
    share = min(1.0, _SIDE / min(height, width))
    sides = (max(1, round(share * height)), max(1, round(share * width)))
    smaller = functional.adaptive_avg_pool2d(masks.cpu()[:, None].float(), sides)[:, 0] > 0.5
    # What is too thin to be seen as small is still there.
    there = functional.adaptive_max_pool2d(masks.cpu()[:, None].float(), sides)[:, 0] > 0
    return torch.where(smaller.flatten(1).any(dim=1)[:, None, None], smaller, there)


def _outline(mask: Tensor) -> Tensor:
    """(P, 2) rows and columns of pixels that lie just inside a mask (H, W) that is not empty."""
    within = -functional.max_pool2d(-mask[None, None].float(), 3, 1, 1)
    deeper = -functional.max_pool2d(-within, 5, 1, 2)
    found = ((within > 0) & (deeper <= 0))[0, 0].nonzero()
    if len(found) == 0:  # too thin
        found = mask.nonzero()
    return found[:: -(-len(found) // _POINTS)]


def _along_rays(pixels: Tensor, camera: Camera, depths: Tensor) -> Tensor:
    """(P, D, 3) places in the world at these depths, behind the middles of pixels (P, 2)."""
    row, column = (pixels + 0.5).unbind(-1)
    ahead = torch.stack([column - camera.center[0], row - camera.center[1]], dim=-1) / camera.focal
    ahead = functional.pad(ahead, (0, 1), value=1.0)
    return (ahead[:, None] * depths[:, None]) @ camera.rotation + camera.position


def _covered(mask: Tensor, camera: Camera, points: Tensor) -> Tensor:
    """Whether a mask (H, W) covers points (..., 3); of what lies outside the picture nothing is known."""
    column, row = camera.project(points).floor().long().unbind(-1)
    seen = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    return ~seen | mask[row.clamp(0, camera.height - 1), column.clamp(0, camera.width - 1)]
