"""Score composition: one image matrix, views by frames, sampled by a denoiser of its rows and one of its columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .checks import expect_shape
from .composition_weights import PAPER, CompositionSettings, RepeatNoise
from .schedules import expect_schedule

Denoiser = Callable[[Tensor, Tensor, Sequence[int]], Tensor]
"""The k-diffusion contract over strips of the matrix: (N, L, C, H, W), their noise level (a scalar tensor) and which
rows or columns they are, to their estimate of the clean strips, of the same shape. L is F for rows, V for columns."""

Report = Callable[[int, Tensor, Tensor], None]
"""Called once a step with the step, the estimate of the clean matrix and the matrix at the step's noise level."""


class Evaluations(NamedTuple):
    """How many strips each denoiser is given in a whole run.

    Attributes:
        rows: by the video denoiser.
        columns: by the multi-view denoiser.
    """

    rows: int
    columns: int


def count_evaluations(views: int, frames: int, steps: int, settings: CompositionSettings = PAPER) -> Evaluations:
    """Return how many rows and columns ``compose`` has denoised: V + F a step, and as many for each repeat."""
    rows = columns = 0
    for step, _ in _passes(steps, settings):
        weights = settings.multiview_weights(step, steps, views, frames)
        rows += sum(weight < 1 for weight in weights)
        columns += frames * any(weight > 0 for weight in weights)
    return Evaluations(rows, columns)


def compose(
    matrix: Tensor,
    sigmas: Tensor,
    rows: Denoiser,
    columns: Denoiser,
    settings: CompositionSettings = PAPER,
    chunks: tuple[int, int] = (1, 1),
    generator: torch.Generator | None = None,
    report: Report | None = None,
) -> Tensor:
    r"""Sample an image matrix with two denoisers that each know one of its axes.

    Euler steps on the noise level along the convex combination of both scores,

    .. math:: d = (1 - s) \frac{I - D_\phi(I)}{\sigma_i} + s \frac{I - D_\theta(I)}{\sigma_i}, \qquad
              I \leftarrow I + (\sigma_{i+1} - \sigma_i)\, d

    with :math:`D_\phi` over the rows and :math:`D_\theta` over the columns. The first steps are repeated once, from
    the state they led to and new noise. A denoiser is not called where its weight is zero. Rows and columns of one
    step take turns in going first, so that whichever model was in use goes on.

    Args:
        matrix: (V, F, C, H, W), views by frames, at the first noise level; variance exploding form (x0 + sigma e).
        sigmas: (N + 1,) noise levels, descending; the last may be 0.
        rows: the video denoiser: one view over time.
        columns: the multi-view denoiser: one frame over all views.
        settings: weights and repeats.
        chunks: how many rows, and how many columns, a denoiser is given at once, at least 1.
        generator: of the noise of repeats, on the CPU; ``None`` takes torch's own.
        report: called once a step, the last time it is taken.

    Returns:
        (V, F, C, H, W) at the last noise level.

    Raises:
        ValueError: a shape does not fit, the levels do not descend, a chunk below 1.

    Source:
        Diffusion² (Yang et al., ICLR 2025), Algorithm 1 and Eq. 5.
    """
    expect_shape("matrix", matrix, "V F C H W")
    expect_schedule(sigmas)
    if min(chunks) < 1:
        raise ValueError(f"chunks: got {chunks}. Give each denoiser at least one strip at once.")
    views, frames = matrix.shape[:2]
    steps = len(sigmas) - 1
    rows_first = True
    for step, again in _passes(steps, settings):
        sigma, step_to = sigmas[step], sigmas[step + 1]
        weights = settings.multiview_weights(step, steps, views, frames)
        slope = torch.zeros_like(matrix)
        for by_rows in (rows_first, not rows_first):
            if by_rows:
                _add_rows(slope, matrix, sigma, rows, [1 - weight for weight in weights], chunks[0])
            else:
                _add_columns(slope, matrix, sigma, columns, weights, chunks[1])
        rows_first = not rows_first
        if report is not None and not again:
            report(step, torch.addcmul(matrix, slope, sigma, value=-1), matrix)
        matrix = slope.mul_(step_to - sigma).add_(matrix)  # in the slope's memory: two copies of the matrix in all
        if again:
            matrix += _noise(matrix, generator).mul_(_repeat_noise(sigma, step_to, settings.repeat_noise))
    return matrix


def _passes(steps: int, settings: CompositionSettings) -> Iterator[tuple[int, bool]]:
    """Every evaluation of the whole matrix: its step, and whether the step is taken once more after it."""
    repeats = settings.repeats(steps)
    for step in range(steps):
        if step < repeats:
            yield step, True
        yield step, False


def _strips(count: int, size: int) -> Iterator[list[int]]:
    """The rows or columns ``count`` of them, ``size`` at once."""
    for first in range(0, count, size):
        yield list(range(first, min(first + size, count)))


def _add_rows(
    slope: Tensor, matrix: Tensor, sigma: Tensor, denoise: Denoiser, weights: Sequence[float], size: int
) -> None:
    wanted = [view for view, weight in enumerate(weights) if weight > 0]
    for places in _strips(len(wanted), size):
        indices = [wanted[place] for place in places]
        strips = matrix[indices]
        weight = strips.new_tensor([weights[view] for view in indices]).view(-1, 1, 1, 1, 1)
        slope[indices] += (strips - _estimate(denoise, strips, sigma, indices)) / sigma * weight


def _add_columns(
    slope: Tensor, matrix: Tensor, sigma: Tensor, denoise: Denoiser, weights: Sequence[float], size: int
) -> None:
    if not any(weights):
        return
    weight = matrix.new_tensor(weights).view(-1, 1, 1, 1, 1)
    for indices in _strips(matrix.shape[1], size):
        strips = matrix[:, indices].movedim(1, 0).contiguous()
        estimate = _estimate(denoise, strips, sigma, indices)
        slope[:, indices] += ((strips - estimate) / sigma).movedim(0, 1) * weight


def _estimate(denoise: Denoiser, strips: Tensor, sigma: Tensor, indices: list[int]) -> Tensor:
    estimate = denoise(strips, sigma, indices)
    if estimate.shape != strips.shape:
        raise ValueError(
            f"denoiser: gave {tuple(estimate.shape)} for strips of {tuple(strips.shape)}. "
            "It must give an estimate of the same shape."
        )
    return estimate


def _noise(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Unit normal, from the CPU: one stream on every device."""
    return torch.randn(like.shape, generator=generator, dtype=torch.float32).to(like)


def _repeat_noise(sigma: Tensor, step_to: Tensor, kind: RepeatNoise) -> Tensor:
    match RepeatNoise(kind):
        case RepeatNoise.PAPER:
            return sigma - step_to
        case RepeatNoise.EXACT:
            return (sigma**2 - step_to**2).sqrt()
