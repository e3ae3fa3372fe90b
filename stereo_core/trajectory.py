"""The states of one view at every noise level of a schedule: what replay and inversion hand on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Levels that two nodes computed from the same settings differ by float rounding, and the first one of a flow model's
# schedule by what inversion stays below 1.
_RELATIVE = 2e-4


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A left view's way from noise to picture.

    Attributes:
        sigmas: (N + 1,) noise levels, descending, in the model's own measure (sigma, or t of a flow model).
        states: N + 1 tensors (B, C, H, W) or (B, C, T, H, W), the sampler's state x at each level, in the model's
            latent scale; they may lie on another device, or in half precision, than the sampling that uses them.

    Raises:
        ValueError: the counts differ, or the levels do not descend.
    """

    sigmas: Tensor
    states: tuple[Tensor, ...]

    def __post_init__(self) -> None:
        if len(self.sigmas) != len(self.states) or len(self.states) < 2:
            raise ValueError(
                f"trajectory: {len(self.states)} states for {len(self.sigmas)} noise levels. "
                "Give one for each level, at least two."
            )
        if not bool((self.sigmas[:-1] > self.sigmas[1:]).all()):
            raise ValueError("trajectory: noise levels do not descend. Record or invert it anew.")

    def at(self, sigma: float) -> Tensor:
        """Return the state at one noise level.

        Raises:
            ValueError: the trajectory was made for another schedule.
        """
        distance = (self.sigmas - sigma).abs()
        nearest = int(distance.argmin())
        if distance[nearest] > _RELATIVE * max(abs(sigma), float(self.sigmas[0]) * 1e-3):
            levels = ", ".join(f"{level:.4g}" for level in torch.as_tensor(self.sigmas[:3]).tolist())
            raise ValueError(
                f"trajectory: holds no state at noise level {sigma:.4g}, only at {levels}, ... "
                "Use the same sigmas for making and for replaying it."
            )
        return self.states[nearest]
