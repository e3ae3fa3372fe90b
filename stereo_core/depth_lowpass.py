"""Low-passes of a depth map that need no model."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from .checks import expect_shape

EDGE = 0.05
"""Depth that varies by less, as a standard deviation within the window, is texture to ``edge_aware``."""


def gaussian(depth: Tensor, radius: float) -> Tensor:
    """Blur with a Gaussian, over edges and all.

    Args:
        depth: (B, 1, H, W) in [0, 1], floating.
        radius: standard deviation in percent of the width; 0 leaves the map as it is.

    Returns:
        (B, 1, H, W) in [0, 1], the same dtype; ``depth`` itself at 0.

    Raises:
        ValueError: the shape does not fit, or a negative radius.
    """
    deviation = _columns(depth, radius)
    if deviation == 0:
        return depth
    from kornia.filters import gaussian_blur2d  # the host counts kornia among what it can start without

    size = 2 * math.ceil(3 * deviation) + 1
    blurred: Tensor = gaussian_blur2d(depth, (size, size), (deviation, deviation), border_type="replicate")
    return blurred.clamp(0, 1)


def resample(depth: Tensor, scale: float) -> Tensor:
    """Scale down and up again.

    The paper names the scales, 1/2 and 1/4, and not the filters: here both ways are linear, down with antialiasing.

    Args:
        depth: (B, 1, H, W) in [0, 1], floating.
        scale: of the small map, above 0 to 1; 1 leaves the map as it is.

    Returns:
        (B, 1, H, W) in [0, 1], the same dtype; ``depth`` itself at 1.

    Raises:
        ValueError: the shape does not fit, or a scale outside.

    Source:
        StereoCrafter-Zero (Shi et al.), appendix D.4.
    """
    expect_shape("depth", depth, "B 1 H W")
    if not 0 < scale <= 1:
        raise ValueError(f"scale: got {scale}. Give the small map's share of the size, above 0 to 1.")
    if scale == 1:
        return depth
    height, width = depth.shape[-2:]
    small = (max(1, round(scale * height)), max(1, round(scale * width)))
    # Scaling down knows no half precision on a CPU.
    down = functional.interpolate(depth.to(_at_least_float32(depth)), small, mode="bilinear", antialias=True)
    return functional.interpolate(down, (height, width), mode="bilinear").clamp(0, 1).to(depth.dtype)


def edge_aware(depth: Tensor, radius: float, edge: float = EDGE) -> Tensor:
    r"""Smooth surfaces and leave the edges between them: the guided filter, guided by the map itself.

    Within a window of mean :math:`\mu` and variance :math:`v` the map becomes
    :math:`a D + (1 - a) \mu` with :math:`a = v / (v + \epsilon)`, :math:`\epsilon` the square of ``edge``; every pixel
    takes the mean a and offset of all windows that it lies in.

    Args:
        depth: (B, 1, H, W) in [0, 1], floating.
        radius: from a window's centre to its border in percent of the width; 0 leaves the map as it is.
        edge: standard deviation of depth within a window at which half of it stays, above 0.

    Returns:
        (B, 1, H, W) in [0, 1], the same dtype; ``depth`` itself at a radius below half a column.

    Raises:
        ValueError: the shape does not fit, a negative radius, or ``edge`` not above 0.

    Source:
        He, Sun and Tang, *Guided Image Filtering*, ECCV 2010, Eq. 5 to 8 with I = p.
    """
    if not edge > 0:
        raise ValueError(f"edge: got {edge}. Give a step of depth above 0.")
    reach = round(_columns(depth, radius))
    if reach == 0:
        return depth

    from kornia.filters import box_blur

    def mean(values: Tensor) -> Tensor:
        # Twice one axis, not once both: kornia's guided_blur offers that only from 0.9 on.
        blurred: Tensor = box_blur(values, (2 * reach + 1, 2 * reach + 1), border_type="replicate", separable=True)
        return blurred

    centred = depth.to(_at_least_float32(depth)) - 0.5  # squares of small numbers lose less
    local = mean(centred)
    variance = (mean(centred.square()) - local.square()).clamp_min(0)
    kept = variance / (variance + edge**2)
    smooth = mean(kept) * centred + mean(local - kept * local)
    return (smooth + 0.5).clamp(0, 1).to(depth.dtype)


def _at_least_float32(depth: Tensor) -> torch.dtype:
    return torch.promote_types(depth.dtype, torch.float32)


def _columns(depth: Tensor, radius: float) -> float:
    """Turn percent of the width into columns of this map."""
    expect_shape("depth", depth, "B 1 H W")
    if not (radius >= 0 and math.isfinite(radius)):
        raise ValueError(f"radius: got {radius}. Give percent of the width, 0 or more.")
    return radius / 100 * depth.shape[-1]
