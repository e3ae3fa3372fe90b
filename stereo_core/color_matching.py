"""Matching the colours of a generated view to the view that it has to fit, without flicker over a clip."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .checks import expect_shape

# Colours are fitted on means over blocks, so many along the longer side and each at least so many pixels wide: neither
# detail nor a shift of a few columns between the views matters then.
_BLOCKS, _BLOCK_PIXELS = 64, 8
# The std of normal noise over its median absolute deviation, and Tukey's constant for his biweight (95 % efficient on
# normal noise); Huber, "Robust Statistics", 1981.
_STD_OF_MEDIAN, _TUKEY = 1.4826, 4.685
_ROUNDS = 15
_LARGEST_GAIN = 2.0
# One step of an 8-bit picture. A value closer than that to black or white may have been clipped and counts for little.
_STEP, _CLIPPED_WEIGHT = 1 / 255, 0.01
# The std of the local match's low-pass, as a fraction of the longer side.
_LOW_PASS = 1 / 12
# Frames on either side that form the median at a frame, frames on either side that may enter its mean, and how far what
# these make of black and white may lie from that median.
_NEIGHBOURS, _AVERAGED, _AGREEMENT = 2, 4, 0.03


class ColorMatch(str, Enum):
    """How the colours of a generated view are matched."""

    NONE = "none"
    GAIN = "gain"
    LOCAL = "local"


class ColorFit(NamedTuple):
    """The correction of one frame, x to gain * x + offset + residual.

    Attributes:
        ends: (2, C) float32, what black and white become: offset, and gain + offset.
        residual: (C, h, w) float32 on a coarse grid over the frame, to be added; zeros for ``gain``.
    """

    ends: Tensor
    residual: Tensor


@dataclass(frozen=True, slots=True)
class ColorCorrection:
    """The corrections of a clip, one for each frame.

    Attributes:
        ends: (T, 2, C) float32, as in ``ColorFit``.
        residual: (T, C, h, w) float32, as in ``ColorFit``.
    """

    ends: Tensor
    residual: Tensor

    def apply(self, image: Tensor, frame: int) -> Tensor:
        """Correct one frame.

        Args:
            image: (1, C, H, W) in [0, 1], any floating dtype.
            frame: its number in the clip.

        Returns:
            (1, C, H, W) in [0, 1], the same dtype.

        Raises:
            ValueError: the shape does not fit.
        """
        expect_shape("image", image, "1 C H W", C=self.ends.shape[-1])
        black, white = self.ends[frame].to(image.device).view(2, 1, -1, 1, 1)
        residual = self.residual[frame : frame + 1].to(image.device)
        smooth = functional.interpolate(residual, size=image.shape[-2:], mode="bicubic")
        return image.float().mul(white - black).add(black).add(smooth).clamp_(0, 1).to(image.dtype)


def fit_colors(result: Tensor, target: Tensor, visible: Tensor, match: ColorMatch = ColorMatch.LOCAL) -> ColorFit:
    r"""Find the correction that gives ``result`` the colours of ``target`` where both show the same.

    ``gain`` gives each channel the target's mean and std (the transfer of Reinhard et al., "Color Transfer between
    Images", 2001, but in RGB, since a generator's colour cast is a cast of its channels),

    .. math:: x' = \frac{\sigma_t}{\sigma_r}\,(x - \mu_r) + \mu_t

    over block means, each block weighted by Tukey's biweight of its residual, so that differences in content do not
    bias it; unlike a least-squares slope, the ratio of stds does not shrink when the views are a few columns apart.
    ``local`` then adds a low-pass of the rest, by normalised convolution over the visible blocks (Knutsson and
    Westin, 1993); it fades to zero far from every visible block.

    Args:
        result: (1, C, H, W) in [0, 1], the generated view.
        target: (1, C, H, W) in [0, 1], the view to match.
        visible: (1, 1, H, W) bool, where ``target`` counts.
        match: none, gain alone, or gain and what changes slowly over the picture.

    Returns:
        The correction of this frame; it changes nothing if ``match`` is ``none`` or nothing is visible.

    Raises:
        ValueError: a shape does not fit, or ``match`` is unknown.
    """
    match = ColorMatch(match)
    expect_shape("result", result, "1 C H W")
    _, channels, height, width = result.shape
    expect_shape("target", target, "1 C H W", C=channels, H=height, W=width)
    expect_shape("visible", visible, "1 1 H W", H=height, W=width)

    block = max(_BLOCK_PIXELS, max(height, width) / _BLOCKS)
    grid = (max(1, round(height / block)), max(1, round(width / block)))
    unchanged = ColorFit(
        torch.tensor([0.0, 1.0], device=result.device).view(2, 1).repeat(1, channels),
        torch.zeros(channels, *grid, device=result.device),
    )
    if match is ColorMatch.NONE or not visible.any():
        return unchanged

    x, y, weight = _block_means(result[0].float(), target[0].float(), visible[0], grid)
    gain, offset, weight = _fit_line(x.flatten(1), y.flatten(1), weight.flatten(1))
    ends = torch.stack([offset, gain + offset])
    if match is ColorMatch.GAIN:
        return ColorFit(ends, unchanged.residual)
    rest = y - (gain.view(-1, 1, 1) * x + offset.view(-1, 1, 1))
    return ColorFit(ends, _low_pass(rest, weight.view_as(rest)))


def steady(fits: list[ColorFit], scene_starts: Tensor) -> ColorCorrection:
    """Steady the corrections of a clip within its scenes.

    A frame takes the mean over its neighbours, but only over those that agree with the median of the five around it.
    So the step at the first frame of a new chunk, whose colours really differ, stays sharp; the noise of the single
    fits is averaged out; and one or two bad fits in a row are dropped.

    Args:
        fits: one for each of T frames.
        scene_starts: (T,) bool, true where a scene starts.

    Returns:
        The corrections of the clip, on the device of the fits.

    Raises:
        ValueError: there is no frame, or ``scene_starts`` has another number of frames.
    """
    expect_shape("scene_starts", scene_starts, "T", T=len(fits))
    ends, residual = torch.stack([fit.ends for fit in fits]), torch.stack([fit.residual for fit in fits])
    steady_ends, steady_residual = ends.clone(), residual.clone()
    bounds = [*scene_starts[1:].nonzero().add(1).flatten().tolist(), len(fits)]
    first = 0
    for end in bounds:
        for frame in range(first, end):
            reach = min(_NEIGHBOURS, frame - first, end - 1 - frame)
            middle = ends[frame - reach : frame + reach + 1].median(dim=0).values
            near = slice(max(first, frame - _AVERAGED), min(end, frame + _AVERAGED + 1))
            agree = (ends[near] - middle).abs().amax((1, 2)) <= _AGREEMENT
            if agree.any():
                steady_ends[frame], steady_residual[frame] = ends[near][agree].mean(0), residual[near][agree].mean(0)
        first = end
    return ColorCorrection(steady_ends, steady_residual)


def _block_means(
    result: Tensor, target: Tensor, visible: Tensor, grid: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted means (C, h, w) of both views over blocks, and each block's weight."""
    unclipped = (result > _STEP) & (result < 1 - _STEP)
    weight = torch.where(unclipped, 1.0, _CLIPPED_WEIGHT) * visible
    mean_weight = functional.adaptive_avg_pool2d(weight, grid)
    divisor = mean_weight.clamp_min(torch.finfo(mean_weight.dtype).tiny)
    mean_result, mean_target = (
        functional.adaptive_avg_pool2d(view * weight, grid) / divisor for view in (result, target)
    )
    return mean_result, mean_target, mean_weight


def _fit_line(x: Tensor, y: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gain (C,), offset (C,) and final weights (C, N) of the line from x to y."""
    counts = weight > 0
    gain, offset = torch.ones_like(x[:, 0]), _median(y - x, counts)
    robust = weight
    for _ in range(_ROUNDS):
        error = y - (gain.unsqueeze(1) * x + offset.unsqueeze(1))
        scale = (_STD_OF_MEDIAN * _median(error.abs(), counts)).clamp_min(_STEP).unsqueeze(1)
        robust = weight * (1 - (error / (_TUKEY * scale)) ** 2).clamp_min(0) ** 2
        total = robust.sum(1).clamp_min(torch.finfo(x.dtype).tiny)
        mean_x, mean_y = (robust * x).sum(1) / total, (robust * y).sum(1) / total
        std_x, std_y = (
            ((robust * (values - mean.unsqueeze(1)) ** 2).sum(1) / total).sqrt()
            for values, mean in ((x, mean_x), (y, mean_y))
        )
        gain = (std_y / std_x.clamp_min(_STEP)).clamp(1 / _LARGEST_GAIN, _LARGEST_GAIN)
        gain = torch.where(torch.minimum(std_x, std_y) < _STEP, 1.0, gain)  # a flat view has no contrast to match
        offset = mean_y - gain * mean_x
    return gain, offset, robust


def _median(values: Tensor, counts: Tensor) -> Tensor:
    return values.masked_fill(~counts, torch.nan).nanmedian(dim=1).values.nan_to_num(0)


def _low_pass(values: Tensor, weight: Tensor) -> Tensor:
    """Normalised Gaussian smoothing of (C, h, w), drawn to zero where there is no weight nearby."""
    sigma = max(1.0, _LOW_PASS * max(values.shape[-2:]))
    both = torch.cat([values * weight, weight]).unsqueeze(1)  # (2C, 1, h, w)
    for axis in (-1, -2):
        radius = min(int(3 * sigma), both.shape[axis] - 1)
        taps = torch.arange(-radius, radius + 1, device=values.device, dtype=values.dtype)
        kernel = (-0.5 * (taps / sigma) ** 2).exp()
        kernel = (kernel / kernel.sum()).view(1, 1, *((1, -1) if axis == -1 else (-1, 1)))
        both = functional.conv2d(both, kernel, padding=(0, radius) if axis == -1 else (radius, 0))
    sums, mass = both[:, 0].chunk(2)
    return sums / (mass + 1e-2 * weight.mean())
