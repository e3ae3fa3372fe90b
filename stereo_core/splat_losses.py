"""What a fit of Gaussians minimizes."""

from __future__ import annotations

import math

from torch import Tensor

from .metrics import ssim
from .splat_options import Losses

_LEAST_EMPHASIS = 0.3


def photometric_loss(color: Tensor, target: Tensor, weights: Losses) -> Tensor:
    """Compare two pictures (3, H, W): (1 - s) (|C - I| + q (C - I)^2) + s (1 - SSIM)."""
    error = color - target
    plain = error.abs().mean() + weights.squared * error.square().mean()
    if weights.similarity == 0:
        return plain
    return (1 - weights.similarity) * plain + weights.similarity * (1 - ssim(color[None], target[None])[0])


def emphasis(azimuth: float, frames_away: int, frames: int) -> float:
    """Return how much a cell teaches colors and opacities: 0.3 + 0.7 (1 + cos a) / 2 exp(-|f| / F).

    Diffusion² only says "reduced away from the reference view and frame" (section 3.4); the form is ours.

    Args:
        azimuth: degrees from the reference view.
        frames_away: from the reference frame.
        frames: F.
    """
    near = (1 + math.cos(math.radians(azimuth))) / 2 * math.exp(-abs(frames_away) / frames)
    return _LEAST_EMPHASIS + (1 - _LEAST_EMPHASIS) * near


def rigidity_loss(before: Tensor, after: Tensor, near: Tensor) -> Tensor:
    """Return the mean change of the distances between neighbors (Luiten et al., "Dynamic 3D Gaussians", 2024, Eq. 7).

    Args:
        before: (N, 3) canonical positions.
        after: (N, 3) at another time.
        near: (N, K) from ``neighbors``.
    """
    return (_distances(after, near) - _distances(before, near)).abs().mean()


def _distances(positions: Tensor, near: Tensor) -> Tensor:
    apart = positions[:, None] - positions[near]
    return (apart.square().sum(dim=-1) + 1e-12).sqrt()
