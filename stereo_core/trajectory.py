"""One view's x at every noise level of a schedule: what recording and inversion hand on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .checks import describe_latent, expect_finite

# Levels that two nodes computed from the same settings differ by float rounding, and the first one of a flow model's
# schedule by what inversion stays below 1.
_RELATIVE = 2e-4

# What scaling, and half precision on the way, make of one and the same latent; another noise or picture is far off.
_SAME_LATENT = 1e-2


@dataclass(frozen=True, slots=True)
class NoiseRecord:
    """What it takes to draw the noise of a recorded run again.

    Attributes:
        seed: of the run.
        sampler: the name of the function that sampled.
        draws: how often it had drawn noise before each of its steps; empty where its noise cannot be drawn again.
        first: the step of the whole schedule that it began with.
        draws_noise: whether the sampler adds noise of its own between two steps.
    """

    seed: int
    sampler: str
    draws: tuple[int, ...] = ()
    first: int = 0
    draws_noise: bool = False


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A left view's path from noise to picture.

    Attributes:
        sigmas: (N + 1,) noise levels, descending, in the model's own measure (sigma, or t of a flow model).
        states: N + 1 tensors (B, C, H, W) or (B, C, T, H, W), the sampler's x at each noise level, in the model's
            latent scale; they may lie on another device, or be in another precision, than the run that uses them.
        noise: what the runs that made the states drew, in order; none for states that no sampler made.

    Raises:
        ValueError: the counts differ, the levels do not descend, or a state is not finite.
    """

    sigmas: Tensor
    states: tuple[Tensor, ...]
    noise: tuple[NoiseRecord, ...] = ()

    def __post_init__(self) -> None:
        if len(self.sigmas) != len(self.states) or len(self.states) < 2:
            raise ValueError(
                f"trajectory: holds {len(self.states)} states for {len(self.sigmas)} noise levels. "
                "Record or invert it again, in at least one step."
            )
        if not bool((self.sigmas[:-1] > self.sigmas[1:]).all()):
            raise ValueError("trajectory: noise levels do not descend. Record or invert it again.")
        for state in self.states:
            expect_finite("trajectory", state)

    @property
    def nbytes(self) -> int:
        """What the states weigh, in bytes."""
        return sum(state.nbytes for state in self.states)

    @property
    def seed(self) -> int | None:
        """The seed of the run that the states began with."""
        return self.noise[0].seed if self.noise else None

    @property
    def draws_noise(self) -> bool:
        """Whether a sampler drew noise on the way, so that the path is not straight between two noise levels."""
        return any(record.draws_noise for record in self.noise)

    def drawn(self, step: int, sampler: str) -> NoiseRecord | None:
        """Return the record of the run that took ``step``, if the function ``sampler`` can draw its noise again."""
        found = (r for r in self.noise if r.sampler == sampler and r.first <= step < r.first + len(r.draws))
        return next(found, None)

    def index(self, sigma: float) -> int:
        """Return the number of the level ``sigma``, 0 for the first, N for the last.

        Raises:
            ValueError: the trajectory was made for another schedule.
        """
        distance = (self.sigmas - sigma).abs()
        nearest = int(distance.argmin())
        if distance[nearest] > _RELATIVE * max(abs(sigma), float(self.sigmas[0]) * 1e-3):
            levels = ", ".join(f"{level:.4g}" for level in torch.as_tensor(self.sigmas[:3]).tolist())
            raise ValueError(
                f"trajectory: holds no state at noise level {sigma:.4g}, only at {levels}, ... "
                "Use the same sigmas for making and for replaying it; of a schedule in parts, join them by `before` of "
                "Record Left View."
            )
        return nearest

    def denoised(self, step: int) -> Tensor:
        """Return the estimate of the clean x that a step was taken with: where it leads to at noise level 0.

        In every noise form x runs straight in sigma. float32, for half precision does not hold the products.
        """
        before, after = self.sigmas[step : step + 2].tolist()
        start, end = (state.float() for state in self.states[step : step + 2])
        denoised: Tensor = (before * end - after * start) / (before - after)
        return denoised

    def at(self, sigma: float) -> Tensor:
        """Return the state at one noise level.

        Raises:
            ValueError: the trajectory was made for another schedule.
        """
        return self.states[self.index(sigma)]

    def like(self, x: Tensor, sigma: float) -> Tensor:
        """Return the state at one noise level on the device and in the dtype of ``x``.

        Raises:
            ValueError: the trajectory was made for another schedule, or for latents of another shape than ``x``.
        """
        state = self.at(sigma)
        if state.shape != x.shape:
            raise ValueError(
                f"trajectory: is of {describe_latent(state)}, and what is to be sampled is {describe_latent(x)}. "
                "Invert or record the same picture at the same size."
            )
        return state.to(x)

    def halved(self) -> Trajectory:
        """Return the same path in half precision, float16, except for the last state.

        The last state is what the view ends as, so it stays as it is; so does a state beyond float16's range.
        """
        return replace(self, states=(*(_halved(state) for state in self.states[:-1]), self.states[-1]))

    def expect_continued(self, start: float) -> None:
        """Raise ``ValueError`` unless the part of a schedule that begins at the level ``start`` comes next."""
        end = float(self.sigmas[-1])
        if abs(end - start) > _RELATIVE * max(abs(start), float(self.sigmas[0]) * 1e-3):
            raise ValueError(
                f"before: ends at noise level {end:.4g}, and this part begins at {start:.4g}. "
                "Give it the other part of the same schedule, as SplitSigmas cuts it."
            )

    def followed_by(self, later: Trajectory) -> Trajectory:
        """Join the next part of a schedule that was cut in two.

        Where they meet the earlier part's own last state is kept: what that part ended as.

        Raises:
            ValueError: ``later`` begins at another level, holds another latent, or another state.
        """
        self.expect_continued(float(later.sigmas[0]))
        last, first = self.states[-1], later.states[0]
        if last.shape != first.shape:
            raise ValueError(
                f"before: is of {describe_latent(last)}, and this part of {describe_latent(first)}. "
                "Connect the output of that part to latent_image."
            )
        if not same_latent(last, first):
            raise ValueError(
                "before: ends in another state than the one this part begins with. Connect the output of that part to "
                "latent_image, and Disable Noise to noise."
            )
        steps = len(self.sigmas) - 1
        noise = (*self.noise, *(replace(record, first=record.first + steps) for record in later.noise))
        return Trajectory(torch.cat([self.sigmas, later.sigmas[1:]]), (*self.states, *later.states[1:]), noise)


def same_latent(latent: Tensor, reference: Tensor, tolerance: float = _SAME_LATENT) -> bool:
    """Tell whether two latents of one shape agree, to ``tolerance`` of the reference's largest magnitude.

    The default takes latents for the same that went through a host's scaling and perhaps half precision.
    """
    apart = (latent.float() - reference.float()).abs().max()
    return bool(apart <= tolerance * reference.float().abs().max())


def _halved(state: Tensor) -> Tensor:
    half = state.to(torch.float16)
    return half if bool(half.isfinite().all()) else state
