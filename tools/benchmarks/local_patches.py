"""An exact denoiser that has seen photographs: the posterior mean of every place under the density of their patches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stereo_core.noise_forms import NoiseForm, alpha

REMEMBERED = 4096  # patches of one size, drawn from all; twice as many denoise better by 2 %
_AT_ONCE = 512  # places; the weights of more would be fetched from the system and given back every time
COMPONENTS = 48  # directions in which patches are told apart; in the others they are one Gaussian


class Scale(NamedTuple):
    """What is seen of a picture at and above a noise level.

    Attributes:
        sigma: the noise level in the VE form, for latents of unit std.
        size: columns and rows of a patch, odd.
        spread: share of all patches' variance that is left around each one.
    """

    sigma: float
    size: int
    spread: float


SCALES = (Scale(2.0, 13, 0.06), Scale(0.6, 9, 0.12), Scale(0.2, 5, 0.25), Scale(0.0, 3, 0.25))
"""Near those of the least error on photographs that were left out."""


class LocalPatches:
    r"""The photographs' patches, each blurred by a Gaussian: a kernel density for every place of a latent by itself.

    Where a place has the patch x, seen through noise, the estimate of its middle is

    .. math:: E[x_0 | x] = \sum_j w_j E[x_0 | x, j], \quad w_j \propto N(x; \alpha \mu_j, \alpha^2 h S + \sigma^2 I)

    with the remembered patches mu, their covariance S and the spread h. Large patches at high noise place surfaces;
    small ones at low noise draw texture. Like a convolutional network it knows local looks, and no whole pictures.

    Source:
        Kamb and Ganguli, "An analytic theory of creativity in convolutional diffusion models", 2024: the local score
        machine, whose patches shrink with the noise. The kernel is ours: it takes far fewer photographs.
    """

    def __init__(self, latents: Sequence[Tensor], scales: Sequence[Scale] = SCALES) -> None:
        """Remember latents (1, C, H, W), all of one number of channels."""
        self._banks = [(scale, _Bank(latents, scale.size)) for scale in scales]

    def denoise(self, x: Tensor, sigma: Tensor, form: NoiseForm) -> Tensor:
        """Return the estimate of the clean x, (B, C, H, W) like x."""
        signal = float(alpha(sigma, form))
        level = float(sigma) / max(signal, 1e-6)
        scale, bank = next((scale, bank) for scale, bank in self._banks if level >= scale.sigma)
        return bank.posterior_mean(x / max(signal, 1e-6), level, scale.spread)


class _Bank:
    """Patches of one size, along the axes in which they vary most."""

    def __init__(self, latents: Sequence[Tensor], size: int) -> None:
        patches = torch.cat([_patches(latent, size) for latent in latents])
        self._size, self._mean = size, patches.mean(0)
        centred = patches - self._mean
        variances, axes = torch.linalg.eigh((centred.T @ centred / len(patches)).double())
        self._variances = variances.flip(0).clamp_min(1e-6).to(patches)
        self._axes = axes.flip(1).to(patches)
        chosen = torch.randperm(len(patches), generator=torch.Generator().manual_seed(0))[:REMEMBERED]
        self._known = (centred[chosen] @ self._axes)[:, :COMPONENTS].contiguous()
        channel = torch.arange(latents[0].shape[1])
        self._middle = channel * size**2 + size**2 // 2

    def posterior_mean(self, x: Tensor, sigma: float, spread: float) -> Tensor:
        """The middle of every patch's estimate, (B, C, H, W) like x, which is in the VE form."""
        edge = self._size // 2
        seen = (_patches(F.pad(x, [edge] * 4, mode="reflect"), self._size) - self._mean) @ self._axes
        told = self._known.shape[1]
        variances = torch.cat([spread * self._variances[:told], self._variances[told:]])
        precision = 1 / (variances[:told] + sigma**2)
        offset = -(self._known.square() @ precision) / 2
        parts = (seen[:, :told] * precision).split(_AT_ONCE)
        nearest = torch.cat([torch.addmm(offset, p, self._known.T).softmax(-1) @ self._known for p in parts])
        kept = variances / (variances + sigma**2)
        seen = seen * kept
        seen[:, :told] += (1 - kept[:told]) * nearest
        middle = seen @ self._axes[self._middle].T + self._mean[self._middle]
        return middle.unflatten(0, (len(x), *x.shape[2:])).permute(0, 3, 1, 2)


def _patches(x: Tensor, size: int) -> Tensor:
    """All patches of x, (N, C * size * size)."""
    return F.unfold(x, size).transpose(1, 2).flatten(0, 1)
