"""A sampler of which everything is known: Euler's method on the exact denoiser of a Gaussian, as a core ``Stepper``."""

from __future__ import annotations

import torch
from torch import Tensor

from stereo_core.noise_forms import NoiseForm, alpha

SIGMAS = {
    NoiseForm.VE: torch.tensor([14.6, 8.0, 4.5, 2.6, 1.5, 0.9, 0.5, 0.3, 0.15, 0.05, 0.0], dtype=torch.float64),
    NoiseForm.FLOW: torch.linspace(1, 0, 11, dtype=torch.float64) ** 0.7,
}


def gaussian_denoiser(x: Tensor, sigma: Tensor, form: NoiseForm, mean: float = 0.3, std: float = 0.8) -> Tensor:
    """E[x0 | x] where every value of x0 is normal with this mean and std by itself."""
    a = alpha(sigma, form)
    return mean + a * std**2 * (x - a * mean) / (a**2 * std**2 + sigma**2)


def euler_step(x: Tensor, denoised: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
    return x + (sigma_next - sigma) * (x - denoised) / sigma


class EulerStepper:
    """Takes the steps, and notes what it was asked: (first, last, repeat, entries) of every piece."""

    def __init__(self, sigmas: Tensor, form: NoiseForm) -> None:
        self.sigmas, self.form = sigmas, form
        self.denoised: Tensor | None = None
        self.pieces: list[tuple[int, int, int, int]] = []
        self.doubled: list[object] = []
        self.asked: list[int] = []
        self.again = 0

    def run(self, x: Tensor, first: int, last: int, repeat: int = 0) -> Tensor:
        self.pieces.append((first, last, repeat, len(x)))
        for step in range(first, last):
            self.denoised = gaussian_denoiser(x, self.sigmas[step], self.form)
            x = euler_step(x, self.denoised, self.sigmas[step], self.sigmas[step + 1])
        return x

    def denoise(self, x: Tensor, step: int) -> Tensor:
        self.asked.append(step)
        return gaussian_denoiser(x, self.sigmas[step], self.form)

    def double(self, pairing, left_denoised=None) -> None:  # noqa: ARG002
        self.doubled.append(pairing)

    def count_repeats(self, steps: int) -> None:
        self.again += steps


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
