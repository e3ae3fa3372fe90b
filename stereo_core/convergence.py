"""Which depth lies on the screen, found from the depth maps themselves and steady over a scene."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .checks import expect_shape
from .geometry import Screen, StereoGeometry
from .scenes import find_scene_starts

# Depths are counted on thumbnails of about so many pixels a side, and in so many levels.
_THUMBNAIL, _LEVELS = 128, 256
# Where people look: a Gaussian about the middle, its std in heights and widths of the picture.
_GAZE = 0.2


def find_convergence(inverse_depth: Tensor, geometry: StereoGeometry, pictures: Tensor | None = None) -> Tensor | None:
    r"""Find the convergence of every map.

    ``PERCENTILE`` is the depth that the given share of the picture lies behind. ``SUBJECT`` tells near from far by
    Otsu's threshold on the depths, those near the picture's middle counting most, and takes the median of the near
    ones. Frames of one scene get the median of their scene, so that the screen stands still.

    Args:
        inverse_depth: (N, 1, H, W) in [0, 1], 1 nearest.
        geometry: how the screen is found; with ``VALUE`` there is nothing to find.
        pictures: (N, C, H', W') in [0, 1], the frames, whose cuts part the scenes; ``None`` looks for cuts in the maps.

    Returns:
        (N, 1, 1, 1) float32 values of :math:`D^\alpha`, or ``None`` with ``VALUE``.

    Raises:
        ValueError: another shape.

    Source:
        Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9 (1979), Eq. 18.
    """
    expect_shape("inverse_depth", inverse_depth, "N 1 H W")
    if geometry.screen is Screen.VALUE:
        return None
    found = torch.stack([map_convergence(each[None], geometry) for each in inverse_depth])
    scenes = inverse_depth if pictures is None or len(pictures) != len(inverse_depth) else pictures
    number = find_scene_starts(scenes).cumsum(0).to(found.device)
    for scene in range(1, int(number.max()) + 1):
        found[number == scene] = scene_convergence(found[number == scene])
    return found.view(-1, 1, 1, 1)


def map_convergence(inverse_depth: Tensor, geometry: StereoGeometry) -> Tensor:
    """Find the convergence of one map (1, 1, H, W) by itself, as ``find_convergence`` has it: a float32 scalar."""
    height, width = inverse_depth.shape[-2:]
    size = min(height, _THUMBNAIL), min(width, _THUMBNAIL)
    depths = functional.interpolate(inverse_depth.float(), size=size, mode="nearest-exact").flatten()
    if geometry.screen is Screen.PERCENTILE:
        return depths.quantile(geometry.convergence) ** geometry.exponent
    return _subject(depths, _gaze(size).to(depths.device)) ** geometry.exponent


def scene_convergence(found: Tensor) -> Tensor:
    """Return what all frames of a scene get, from the convergence (T,) of each of its maps."""
    return found.median()


def _gaze(size: tuple[int, int]) -> Tensor:
    rows, columns = (torch.exp(-(((torch.arange(n) + 0.5) / n - 0.5) / _GAZE).square() / 2) for n in size)
    return (rows[:, None] * columns).flatten()


def _subject(depths: Tensor, weights: Tensor) -> Tensor:
    """The weighted median of the nearer of the two classes that Otsu's threshold makes."""
    level = (depths * (_LEVELS - 1)).round().long()
    counts = torch.zeros(_LEVELS, device=depths.device).scatter_add_(0, level, weights)
    share = counts / counts.sum()
    values = torch.linspace(0, 1, _LEVELS, device=depths.device)
    below, mean_below = share.cumsum(0), (share * values).cumsum(0)
    between = (mean_below[-1] * below - mean_below).square() / (below * (1 - below)).clamp_min(1e-12)
    best = between[:-1].max()
    if best <= 1e-12:  # one depth only
        return depths.median()
    # Between two classes every threshold is as good; any of them parts the same depths.
    near = torch.where(torch.arange(_LEVELS, device=depths.device) > between[:-1].argmax(), share, 0).cumsum(0)
    return values[(near >= near[-1] / 2).int().argmax()]
