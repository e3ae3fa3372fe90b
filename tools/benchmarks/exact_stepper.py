"""The core's ``Stepper`` around an exact denoiser: Euler's method, with or without noise of its own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from stereo_core.noise_forms import NoiseForm
from stereo_core.seeds import Stream, make_generator
from stereo_core.trajectory import NoiseRecord, Trajectory
from stereo_core.view_pairs import Pairing

Denoise = Callable[[Tensor, Tensor, NoiseForm], Tensor]
"""(x, sigma, form) to E[x0 | x]."""


def karras(steps: int, highest: float = 14.6, lowest: float = 0.03, rho: float = 7.0) -> Tensor:
    """Noise levels of Karras et al. (2022), Eq. 5, (steps + 1,) float64, the last one 0."""
    ramp = torch.linspace(1, 0, steps, dtype=torch.float64)
    low, high = lowest ** (1 / rho), highest ** (1 / rho)
    return torch.cat([(low + ramp * (high - low)) ** rho, torch.zeros(1, dtype=torch.float64)])


class ExactStepper:
    """Takes the steps of one run.

    The views do not see each other in a denoiser that reads one picture, so beside a known left view the right one is
    denoised alone.

    Attributes:
        denoised: see the core's ``Stepper``.
        evaluations: views denoised so far.
    """

    denoised: Tensor | None = None

    def __init__(
        self,
        denoise: Denoise,
        sigmas: Tensor,
        form: NoiseForm = NoiseForm.VE,
        ancestral: bool = False,
        seed: int = 0,
        known: Trajectory | None = None,
    ) -> None:
        """Take a denoiser and a schedule; ``ancestral`` is k-diffusion's Euler ancestral, in the VE form alone."""
        if ancestral and form is not NoiseForm.VE:
            raise ValueError(f"form: ancestral steps are written for {NoiseForm.VE.value} alone, got {form.value}.")
        self.sigmas, self.form = sigmas, form
        self._denoise, self._ancestral, self._seed, self._known = denoise, ancestral, seed, known
        self._pairing: Pairing | None = None
        self._shared = False
        self.evaluations = 0

    def run(self, x: Tensor, first: int, last: int, repeat: int = 0) -> Tensor:
        """See the core's ``Stepper``."""
        beside = self._known is not None and len(x) == 2 * len(self._known.states[0])
        for step in range(first, last):
            if beside:
                assert self._known is not None
                left, right = self._known.states[step + 1].to(x), x.chunk(2)[1]
                x = torch.cat([left, self._step(right, step, repeat)])
            else:
                x = self._step(x, step, repeat)
        return x

    def denoise(self, x: Tensor, step: int) -> Tensor:
        """See the core's ``Stepper``."""
        self.evaluations += len(x)
        return self._denoise(x, self.sigmas[step].to(x), self.form)

    def double(self, pairing: Pairing, left_denoised: Callable[[int], Tensor] | None = None) -> None:
        """See the core's ``Stepper``; a known left view shares its noise as it was drawn, else it moves as x did."""
        self._pairing, self._shared = pairing, left_denoised is not None

    def count_repeats(self, steps: int) -> None:
        """See the core's ``Stepper``; nothing is shown."""

    def record(self, x: Tensor) -> Trajectory:
        """Take all steps from x at the first noise level, and keep the path."""
        states = [x]
        for step in range(len(self.sigmas) - 1):
            states.append(self.run(states[-1], step, step + 1))
        draws = tuple(range(len(self.sigmas) - 1)) if self._ancestral else ()
        name = "sample_euler_ancestral" if self._ancestral else "sample_euler"
        return Trajectory(self.sigmas, tuple(states), (NoiseRecord(self._seed, name, draws, 0, self._ancestral),))

    def _step(self, x: Tensor, step: int, repeat: int) -> Tensor:
        sigma, following = (level.to(x) for level in self.sigmas[step : step + 2])
        self.denoised = self.denoise(x, step)
        fresh = torch.zeros_like(sigma)
        if self._ancestral:  # k-diffusion's get_ancestral_step at eta 1
            fresh = (following**2 * (sigma**2 - following**2) / sigma**2).sqrt()
        down = (following**2 - fresh**2).clamp_min(0).sqrt()
        x = x + (down - sigma) * (x - self.denoised) / sigma
        return x + fresh * self._noise(x, step, repeat) if fresh > 0 else x

    def _noise(self, x: Tensor, step: int, repeat: int) -> Tensor:
        generator = make_generator(self._seed, Stream.REPEAT if repeat else Stream.PIECE, step, repeat)
        if self._pairing is None or self._shared:
            return torch.randn(x.shape, generator=generator, dtype=x.dtype)
        alone = self._known is not None  # x is the right view by itself
        noise = torch.randn((len(x) if alone else len(x) // 2, *x.shape[1:]), generator=generator, dtype=x.dtype)
        pair = self._pairing.copies(noise, noise)
        return pair.chunk(2)[1] if alone else pair
