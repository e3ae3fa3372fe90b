"""Exact denoisers of known distributions: a Gaussian with a 1/f spectrum, alone or with an object in front of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from stereo_core.noise_forms import NoiseForm, alpha

SPACE = 2  # the first axis of a latent that is not batch or channel


@cache
def cosines(size: int) -> Tensor:
    """The orthonormal cosine transform (DCT-II), (size, size) float64: row k is the k-th mode."""
    return cosines_at(torch.arange(size, dtype=torch.float64), size)


def cosines_at(columns: Tensor, size: int) -> Tensor:
    """The cosine modes of a row of ``size`` columns at real ``columns`` (N,): (size, N) float64."""
    modes = torch.arange(size, dtype=torch.float64)[:, None]
    scale = torch.where(modes == 0, 1.0, 2.0).double().div(size).sqrt()
    return scale * torch.cos(math.pi / size * modes * (columns.double() + 0.5))


def to_modes(x: Tensor) -> Tensor:
    """Transform x (B, C, H, W) or (B, C, T, H, W) along all axes behind the channels."""
    for axis in range(SPACE, x.ndim):
        x = _along(x, cosines(x.shape[axis]), axis)
    return x


def from_modes(modes: Tensor) -> Tensor:
    """The inverse of ``to_modes``."""
    for axis in range(SPACE, modes.ndim):
        modes = _along(modes, cosines(modes.shape[axis]).T, axis)
    return modes


def _along(x: Tensor, matrix: Tensor, axis: int) -> Tensor:
    return torch.tensordot(x, matrix.to(x), dims=([axis], [1])).movedim(-1, axis)


def one_over_f(size: Sequence[int], std: float) -> Tensor:
    """Variances of the cosine modes, (*size) float64: power as 1/f², values of this std on the mean."""
    axes = [torch.arange(n, dtype=torch.float64) / n for n in size]
    squared = torch.stack(torch.meshgrid(*axes, indexing="ij")).square().sum(0)
    power = 1 / (squared + 1 / max(size) ** 2)
    power[(0,) * len(size)] *= 1e-3
    return power * (std**2 / power.mean())


class GaussianPrior:
    """Latents of mean 0 whose cosine modes are independent normal values."""

    def __init__(self, power: Tensor) -> None:
        """Take the variance of every mode, (H, W) or (T, H, W), or with channels before them."""
        self.power = power

    def denoise(self, x: Tensor, sigma: Tensor, form: NoiseForm) -> Tensor:
        """Return E[x0 | x], (B, ...) like x."""
        signal, power = alpha(sigma, form), self.power.to(x)
        gain = signal * power / (signal**2 * power + sigma**2)
        return from_modes(gain * to_modes(x))


class ObjectPrior(GaussianPrior):
    """The same texture on a background of -1 with an upright object of +1 in front, anywhere in the picture.

    A mixture of Gaussians, one for every pair of edges. The denoiser knows that there is one object with sharp edges,
    and must read from x where they lie.

    Attributes:
        edges: (K, 2) columns at which the object may begin and end.
    """

    def __init__(self, power: Tensor, step: float = 0.25, margin: int = 8, narrowest: int = 8) -> None:
        super().__init__(power)
        width = power.shape[-1]
        places = torch.arange(margin, width - margin + step / 2, step, dtype=torch.float64)
        edges = torch.cartesian_prod(places, places)
        self.edges = edges[edges[:, 1] - edges[:, 0] >= narrowest]
        rows = math.sqrt(power[..., 0].numel())  # a value that is the same in all rows lies in their mode 0 alone
        self._means = rows * object_rows(self.edges, width) @ cosines(width).T

    def denoise(self, x: Tensor, sigma: Tensor, form: NoiseForm) -> Tensor:
        """Return E[x0 | x], (B, 1, ...) like x."""
        signal, power = alpha(sigma, form), self.power.to(x)
        gain = signal * power / (signal**2 * power + sigma**2)
        modes = to_modes(x)
        mean = self._weights(modes, sigma, form) @ self._means.to(x)
        result = gain * modes
        first = (..., *[0] * (power.ndim - 1), slice(None))
        result[first] += (1 - signal * gain[first]) * mean[:, None]
        return from_modes(result)

    def find_edges(self, x: Tensor) -> Tensor:
        """Return where the object of a clean x lies, (B, 2) columns: the mean over all places that x allows."""
        return self._weights(to_modes(x), torch.tensor(0.0).to(x), NoiseForm.VE) @ self.edges.to(x)

    def _weights(self, modes: Tensor, sigma: Tensor, form: NoiseForm) -> Tensor:
        """The posterior of every object, (B, K)."""
        first = (0,) * (self.power.ndim - 1)
        precision = 1 / (alpha(sigma, form) ** 2 * self.power[first].to(modes) + sigma**2)
        means = alpha(sigma, form) * self._means.to(modes)
        seen = modes[(slice(None), 0, *first)]
        return ((seen * precision) @ means.T - (means.square() @ precision) / 2).softmax(-1)


def object_rows(edges: Tensor, width: int) -> Tensor:
    """Rows of -1 with an object of +1 between two edges (K, 2), averaged over each column: (K, width) float64."""
    columns = torch.arange(width, dtype=torch.float64)
    begin, end = edges.double()[:, :1], edges.double()[:, 1:]
    covered = torch.minimum(end, columns + 1) - torch.maximum(begin, columns)
    return 2 * covered.clamp(0, 1) - 1
