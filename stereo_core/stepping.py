"""What the loops of the stereo samplers need of a sampler: a run that can be stopped between any two steps.

Whoever has a model and a sampler of the k-diffusion contract can offer it in a few lines; the host's own samplers
are made so in ``nodes/sampling/stepwise.py``, and the tests of the core use a closed-form denoiser and Euler's method.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from .trajectory import Trajectory
from .view_pairs import Pairing


class Stepper(Protocol):
    """One run over a schedule of N steps, taken in pieces.

    Attributes:
        denoised: the model's estimate of the clean x in the last step that was taken, of the batch it was taken with.
    """

    denoised: Tensor | None

    def run(self, x: Tensor, first: int, last: int, repeat: int = 0) -> Tensor:
        """Take the steps ``first`` to ``last`` - 1.

        Args:
            x: at noise level ``first``: (B, ...), one view; or (2B, ...), the left entries and then the right ones,
                after ``double``. After it, (B, ...) is the right view alone.
            first: 0 to N.
            last: ``first`` to N.
            repeat: 0 for the take that the run goes on from; every other number draws noise of its own.

        Returns:
            x at noise level ``last``, of the same shape.
        """
        ...

    def denoise(self, x: Tensor, step: int) -> Tensor:
        """Return the model's estimate of the clean x of one view, (B, ...), before ``step``; nothing is drawn."""
        ...

    def double(self, pairing: Pairing, left_denoised: Callable[[int], Tensor] | None = None) -> None:
        """Go on with two views: whatever accompanies x is doubled as x is, the inpainting mask for one.

        Args:
            pairing: how one view became two.
            left_denoised: the left view's estimate of the clean x at a step, where that view is known beforehand.
        """
        ...

    def count_repeats(self, steps: int) -> None:
        """Note that the next ``steps`` steps are taken once more, for the progress that is shown."""
        ...


def left_estimate(run: Stepper, trajectory: Trajectory, x: Tensor, step: int, sigma: float) -> Tensor:
    """Return an estimate of the clean left view at one noise level of its known path.

    The path of a sampler without noise of its own is straight between two noise levels, and tells the estimate that it
    was made with; for any other the model is asked.

    Args:
        run: of the right view.
        trajectory: of the left view.
        x: (B, ...), the left view at ``sigma``, in the device and dtype to work in.
        step: of the run.
        sigma: the noise level before the step.

    Returns:
        (B, ...).
    """
    place = trajectory.index(sigma)
    if trajectory.draws_noise or place == len(trajectory.states) - 1:
        return run.denoise(x, step)
    return trajectory.denoised(place).to(x)
