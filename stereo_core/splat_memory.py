"""How much memory a fit of Gaussians needs, told before it begins."""

from __future__ import annotations

from .splat_options import FitOptions, Motion
from .splat_tiles import GROUP, TILE

_FLOAT = 4
_OWN = 14  # values of a Gaussian that stands still
_KEPT = 4  # of each: itself, its gradient, and two means of Adam's
_OF_GAUSSIAN = 200  # values that a step holds for a Gaussian
_OF_PAIR = 60  # and for a Gaussian in a tile
_AT_ONCE = 13  # tables of a group of tiles
_FILLED = 0.8  # of a picture's smaller side, by the object
_STDS, _FIRST_STD = 3.2, 0.5  # how far a Gaussian reaches, and how large it starts, of the distance to the next


def fit_bytes(options: FitOptions, views: int, frames: int, height: int, width: int) -> int:
    """Return about how many bytes a fit holds beside the pictures it is given.

    Args:
        options: of the fit.
        views: V.
        frames: F.
        height: of the pictures, in pixels.
        width: of the pictures.
    """
    harmonics = min(options.harmonics, frames - 1) if options.motion is Motion.CURVE else 0
    count = options.gaussians
    values = (_OWN + 7 * harmonics) * _KEPT + _OF_GAUSSIAN + 7 * frames
    if options.motion is Motion.MLP and frames > 1:
        values += 4 * options.layers * options.channels
    # An object that is filled evenly.
    spacing = _FILLED * min(height, width) / count ** (1 / 3)
    tiles = min((1 + 2 * _STDS * _FIRST_STD * spacing / TILE) ** 2, height * width / TILE**2)
    masks = views * frames * height * width
    drawing = min(GROUP, height * width * count) * _AT_ONCE
    return int(masks + _FLOAT * (count * (values + tiles * _OF_PAIR) + drawing + 6 * frames * 3 * height * width))
