"""Soft edges of depth maps made sharp, and laid on the edges of the picture."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import torch
from einops import reduce
from torch import Tensor
from torch.nn import functional

from .checks import expect_shape


class DepthEdges(str, Enum):
    """What is done about the edges of a depth map."""

    AS_GIVEN = "as_given"
    SHARPENED = "sharpened"


@dataclass(frozen=True, slots=True)
class Sharpening:
    """How edges are found and laid on the picture's.

    Attributes:
        cells: maps are looked at in cells, about so many in a width: what counts as soft does not depend on the size.
        reach: cells in which a ramp ends at either side.
        shorter: distances that serve instead, where ``enough`` of the step lies within them.
        enough: a fraction of the step.
        sharp: a step of which two neighbouring cells share so much is sharp.
        ends: a rise of which less lies within ``reach`` than within twice that is a slope.
        window: of the guided filter, to either side, in cells twice as large.
        epsilon: its regularisation.
        rounds: how often it is applied.
    """

    cells: int = 960
    reach: int = 4
    shorter: tuple[int, ...] = (3, 2)
    enough: float = 0.85
    sharp: float = 0.4
    ends: float = 0.7
    window: int = 3
    epsilon: float = 3e-4
    rounds: int = 2


_CHOSEN = Sharpening()
_COARSER = 2


def sharpen_edges(depth: Tensor, picture: Tensor, least: float, settings: Sharpening = _CHOSEN) -> Tensor:
    """Turn the soft edges of a depth map into steps that lie on the picture's edges.

    Where a ramp connects two levels, every pixel takes the nearer or the farther one: that on whose side of the middle
    the map lies once the guided filter has laid it on the picture. Steps that are sharp already, and slopes, stay as
    they are, to the bit. Frames are independent.

    Args:
        depth: (B, 1, H, W), depth or disparity of any scale, larger is nearer; floating.
        picture: (B, C, H, W) in [0, 1], what it is the depth of.
        least: the least step that counts, in the units of ``depth``.
        settings: constants; ``tools/bench.py edges`` measures others.

    Returns:
        (B, 1, H, W), the same dtype.

    Raises:
        ValueError: a shape does not fit, or ``least`` is not above 0.

    Source:
        He, Sun and Tang, "Guided image filtering", IEEE TPAMI 35 (2013), Eq. 14 to 16; on a coarser grid, as He and
        Sun, "Fast guided filter" (2015), have it. What is done with its result is ours.
    """
    expect_shape("depth", depth, "B 1 H W")
    batch, _, height, width = depth.shape
    expect_shape("picture", picture, "B C H W", B=batch, H=height, W=width)
    if not least > 0:
        raise ValueError(f"least: got {least}. Give a step above 0.")
    cell = max(1, round(width / settings.cells))
    pairs = zip(depth.float(), picture.float(), strict=True)
    sharp = [_sharpen(near[None], shown[None], cell, least, settings) for near, shown in pairs]
    return torch.cat(sharp).to(depth.dtype)


def _sharpen(depth: Tensor, picture: Tensor, cell: int, least: float, settings: Sharpening) -> Tensor:
    """Sharpen the ramps of (1, 1, H, W) that are some cells wide."""
    nearest, farthest = _most_in(depth, cell), -_most_in(-depth, cell)
    mean, guide = _mean_in(depth, cell), _mean_in(picture, cell)
    near, far = _most(nearest, settings.reach), -_most(-farthest, settings.reach)
    step = near - far
    ends = step > settings.ends * (_most(near, settings.reach) + _most(-far, settings.reach))
    soft = (step > least) & (_most(_slope(mean), settings.reach) < settings.sharp * step) & ends
    if not soft.any():
        return depth
    for reach in settings.shorter:
        closer, behind = _most(nearest, reach), -_most(-farthest, reach)
        enough = closer - behind > settings.enough * step
        near, far = torch.where(enough, closer, near), torch.where(enough, behind, far)
    middle, level = (near + far) / 2, mean
    for _ in range(settings.rounds - 1):
        level = torch.where(soft, torch.where(_laid_on(guide, guide, level, 1, settings) > middle, near, far), mean)
    laid = _laid_on(picture, guide, level, cell, settings)
    soft, near, far, middle = (_enlarge(it, cell, depth, "nearest") for it in (soft.float(), near, far, middle))
    return torch.where(soft > 0, torch.where(laid > middle, near, far), depth)


def _laid_on(picture: Tensor, guide: Tensor, depth: Tensor, cell: int, settings: Sharpening) -> Tensor:
    """The guided filter of the depth of cells, at the size of the picture (1, C, H, W)."""
    slope, offset = _fit(_mean_in(guide, _COARSER), _mean_in(depth, _COARSER), settings)
    size = cell * _COARSER
    laid = _enlarge(offset, size, picture, "bilinear")
    for channel in range(picture.shape[1]):
        one = slice(channel, channel + 1)
        laid = laid.addcmul(picture[:, one], _enlarge(slope[:, one], size, picture, "bilinear"))
    return laid


def _fit(guide: Tensor, depth: Tensor, settings: Sharpening) -> tuple[Tensor, Tensor]:
    """Fit depth as a linear function of the guide (1, C, h, w) in every window; return slopes (1, C, h, w), offsets."""
    channels = guide.shape[1]
    first, second = torch.triu_indices(channels, channels)
    products = guide[:, first] * guide[:, second]
    means = _box(torch.cat([guide, depth, products, guide * depth], 1), settings.window)
    mean, mean_depth, with_depth = means[:, :channels], means[:, channels : channels + 1], means[:, -channels:]
    covariance = means[:, channels + 1 : -channels] - mean[:, first] * mean[:, second]
    slope = _solve(covariance, with_depth - mean * mean_depth, settings.epsilon)
    offset = mean_depth - (slope * mean).sum(1, keepdim=True)
    fitted = _box(torch.cat([slope, offset], 1), settings.window)
    return fitted[:, :-1], fitted[:, -1:]


def _solve(covariance: Tensor, right: Tensor, epsilon: float) -> Tensor:
    """Solve for the slopes by Gauss's elimination, written out: many small systems at once."""
    channels = right.shape[1]
    entry = iter(covariance.unbind(1))
    matrix = {(i, j): next(entry) for i in range(channels) for j in range(i, channels)}
    for i in range(channels):
        matrix[i, i] = matrix[i, i] + epsilon
    vector = list(right.unbind(1))
    for i in range(channels):  # symmetric and positive definite: no pivots are needed
        for j in range(i + 1, channels):
            ratio = matrix[i, j] / matrix[i, i]
            for k in range(j, channels):
                matrix[j, k] = matrix[j, k] - ratio * matrix[i, k]
            vector[j] = vector[j] - ratio * vector[i]
    for i in reversed(range(channels)):
        for j in range(i + 1, channels):
            vector[i] = vector[i] - matrix[i, j] * vector[j]
        vector[i] = vector[i] / matrix[i, i]
    return torch.stack(vector, 1)


def _most_in(values: Tensor, cell: int) -> Tensor:
    if cell == 1:
        return values
    padded = functional.pad(values, (0, -values.shape[-1] % cell, 0, -values.shape[-2] % cell), value=-torch.inf)
    rows = reduce(padded, "b c (h i) w -> b c h w", "max", i=cell)
    return reduce(rows, "b c h (w j) -> b c h w", "max", j=cell)


def _mean_in(values: Tensor, cell: int) -> Tensor:
    return functional.avg_pool2d(values, cell, ceil_mode=True, count_include_pad=False)


def _most(values: Tensor, reach: int) -> Tensor:
    """The largest within ``reach`` cells of every one."""
    side = 2 * reach + 1
    for axis, border in ((-2, (0, 0, reach, reach)), (-1, (reach, reach))):
        values, length = functional.pad(values, border, value=-torch.inf), 1
        while length < side:  # in runs of twice the length, for max_pool2d takes one core for one channel
            step = min(length, side - length)
            count = values.shape[axis] - step
            values = torch.maximum(values.narrow(axis, 0, count), values.narrow(axis, step, count))
            length += step
    return values


def _slope(values: Tensor) -> Tensor:
    """How much every cell differs from the one to its right and the one below, the larger of both."""
    right, below = ((values.diff(dim=axis)).abs() for axis in (-1, -2))
    return torch.maximum(functional.pad(right, (0, 1)), functional.pad(below, (0, 0, 0, 1)))


def _box(values: Tensor, window: int) -> Tensor:
    """Means over windows, the border's values repeated beyond it."""
    side = 2 * window + 1
    padded = functional.pad(values, (window,) * 4, mode="replicate")
    return functional.avg_pool2d(functional.avg_pool2d(padded, (side, 1), 1), (1, side), 1)


def _enlarge(values: Tensor, cell: int, like: Tensor, mode: str) -> Tensor:
    """Bring values of cells to the pixels that these are made of."""
    if cell > 1:
        values = functional.interpolate(values, scale_factor=cell, mode=mode)
    return values[..., : like.shape[-2], : like.shape[-1]]
