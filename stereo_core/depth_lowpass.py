"""Low-pass filters for depth maps that need no model."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from .checks import expect_shape

EDGE = 0.05
"""To ``edge_aware``, depth with a smaller std within the window is texture rather than an edge."""


def gaussian(depth: Tensor, radius: float) -> Tensor:
    """Blur with a Gaussian, across edges too.

    Args:
        depth: (B, 1, H, W) in [0, 1], floating.
        radius: std in percent of the width; 0 leaves the map as it is.

    Returns:
        (B, 1, H, W) in [0, 1], the same dtype; ``depth`` itself at 0.

    Raises:
        ValueError: the shape does not fit, or the radius is negative.
    """
    std = _columns(depth, radius)
    if std == 0:
        return depth
    from kornia.filters import gaussian_blur2d  # here, since the host can start without it

    size = 2 * math.ceil(3 * std) + 1
    blurred: Tensor = gaussian_blur2d(depth, (size, size), (std, std), border_type="replicate")
    return blurred.clamp(0, 1)


def resample(depth: Tensor, scale: float) -> Tensor:
    """Scale down and up again.

    StereoCrafter-Zero gives the scales, 1/2 and 1/4, but not the filters: here both ways are bilinear, down with
    antialiasing.

    Args:
        depth: (B, 1, H, W) in [0, 1], floating.
        scale: size of the small map as a fraction of the full size, above 0 and up to 1; 1 leaves the map as it is.

    Returns:
        (B, 1, H, W) in [0, 1], the same dtype; ``depth`` itself at 1.

    Raises:
        ValueError: the shape does not fit, or ``scale`` is out of range.

    Source:
        StereoCrafter-Zero (Shi et al.), appendix D.4.
    """
    expect_shape("depth", depth, "B 1 H W")
    if not 0 < scale <= 1:
        raise ValueError(f"scale: got {scale}. Give the size of the small map as a fraction, above 0 and up to 1.")
    if scale == 1:
        return depth
    height, width = depth.shape[-2:]
    small = (max(1, round(scale * height)), max(1, round(scale * width)))
    # Antialiasing takes no half precision on a CPU.
    down = functional.interpolate(depth.to(_at_least_float32(depth)), small, mode="bilinear", antialias=True)
    return functional.interpolate(down, (height, width), mode="bilinear").clamp(0, 1).to(depth.dtype)


def edge_aware(depth: Tensor, radius: float) -> Tensor:
    r"""Smooth surfaces and keep the edges between them: the guided filter, guided by the map itself.

    Within a window of mean :math:`\mu` and variance :math:`v` the map becomes
    :math:`a D + (1 - a) \mu` with :math:`a = v / (v + \epsilon)` and :math:`\sqrt\epsilon` = ``EDGE``; every pixel
    takes the mean of :math:`a` and of the offset over all windows that contain it.

    Args:
        depth: (B, 1, H, W) in [0, 1], floating.
        radius: from a window's centre to its border in percent of the width; 0 leaves the map as it is.

    Returns:
        (B, 1, H, W) in [0, 1], the same dtype; ``depth`` itself at a radius below half a column.

    Raises:
        ValueError: the shape does not fit, or the radius is negative.

    Source:
        He, Sun and Tang, *Guided Image Filtering*, ECCV 2010, Eq. 5 to 8 with I = p.
    """
    reach = round(_columns(depth, radius))
    if reach == 0:
        return depth

    from kornia.filters import box_blur

    def mean(values: Tensor) -> Tensor:
        # One axis after the other, which kornia's guided_blur offers only from 0.9 on.
        blurred: Tensor = box_blur(values, (2 * reach + 1, 2 * reach + 1), border_type="replicate", separable=True)
        return blurred

    centred = depth.to(_at_least_float32(depth)) - 0.5  # smaller numbers lose less when squared
    local = mean(centred)
    variance = (mean(centred.square()) - local.square()).clamp_min(0)
    slope = variance / (variance + EDGE**2)
    smooth = mean(slope) * centred + mean(local - slope * local)
    return (smooth + 0.5).clamp(0, 1).to(depth.dtype)


def _at_least_float32(depth: Tensor) -> torch.dtype:
    return torch.promote_types(depth.dtype, torch.float32)


def _columns(depth: Tensor, radius: float) -> float:
    """Convert percent of the width to columns of this map."""
    expect_shape("depth", depth, "B 1 H W")
    if not (radius >= 0 and math.isfinite(radius)):
        raise ValueError(f"radius: got {radius}. Give percent of the width, 0 or more.")
    return radius / 100 * depth.shape[-1]
