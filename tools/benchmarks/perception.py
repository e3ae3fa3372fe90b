"""Full-reference measures of what the eye sees, from their papers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)
_IN_PHASE, _QUADRATURE = (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)


def gmsd(image: Tensor, true: Tensor) -> float:
    """Measure the gradient magnitude similarity deviation of (3, H, W) in [0, 1]; 0 for equal images, less is better.

    Source:
        Xue, Zhang, Mou and Bovik, "Gradient magnitude similarity deviation: a highly efficient perceptual image quality
        index", IEEE Transactions on Image Processing 23(2), 2014; c = 170 of 255 squared, half resolution.
    """
    a, b = (_gradients(F.avg_pool2d(_mix(view, _LUMA) * 255, 2)) for view in (image, true))
    similarity = (2 * a * b + 170) / (a.square() + b.square() + 170)
    return float(similarity.std(correction=0))


def haarpsi(image: Tensor, true: Tensor) -> float:
    """Measure the Haar wavelet-based perceptual similarity of (3, H, W) in [0, 1]; 1 for equal images, more is better.

    Source:
        Reisenhofer, Bosse, Kutyniok and Wiegand, "A Haar wavelet-based perceptual similarity index for image quality
        assessment", Signal Processing: Image Communication 61, 2018; C = 30, alpha = 4.2, with chroma.
    """
    luma = [F.avg_pool2d(_mix(view, _LUMA) * 255, 2) for view in (image, true)]
    similarities, weights = [], []
    for turned in (False, True):
        bands = [[_haar(of, scale, turned).abs() for scale in (1, 2, 3)] for of in luma]
        similarities.append(sum(_similar(a, b) for a, b in zip(bands[0][:2], bands[1][:2], strict=True)) / 2)
        weights.append(torch.maximum(bands[0][2], bands[1][2]))
    chroma = []
    for matrix in (_IN_PHASE, _QUADRATURE):
        means = [F.avg_pool2d(F.avg_pool2d(_mix(view, matrix) * 255, 2), 2, 1, 0) for view in (image, true)]
        chroma.append(_similar(*(F.pad(mean, (0, 1, 0, 1)).abs() for mean in means)))
    similarities.append(sum(chroma) / 2)
    weights.append(sum(weights) / 2)
    total = sum((4.2 * s).sigmoid().mul(w).sum() for s, w in zip(similarities, weights, strict=True))
    return float((torch.logit(total / sum(w.sum() for w in weights)) / 4.2).square())


def _mix(image: Tensor, weights: tuple[float, float, float]) -> Tensor:
    return sum(weight * channel for weight, channel in zip(weights, image, strict=True))[None]


def _gradients(luma: Tensor) -> Tensor:
    """Return the magnitude of Prewitt gradients of (1, H, W)."""
    kernel = torch.tensor([[1.0, 0, -1]] * 3)[None, None] / 3
    return torch.hypot(*(F.conv2d(luma[None], of, padding=1) for of in (kernel, kernel.mT)))


def _similar(a: Tensor, b: Tensor) -> Tensor:
    return (2 * a * b + 30) / (a.square() + b.square() + 30)


def _haar(luma: Tensor, scale: int, turned: bool) -> Tensor:
    """Filter (1, H, W) by the Haar wavelet of 2**scale pixels, as wide as the image."""
    size = 2**scale
    kernel = torch.full((size, size), 2.0**-scale)
    kernel[: size // 2] *= -1
    kernel = (kernel.T if turned else kernel)[None, None]
    before = size // 2 - 1
    padded = F.pad(luma[None], (before, size - 1 - before, before, size - 1 - before))
    return F.conv2d(padded, kernel)[0]
