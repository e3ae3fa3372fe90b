"""Score composition: one image matrix, views by frames, sampled by a denoiser of its rows and one of its columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .checks import expect_shape
from .composition_weights import PAPER, CompositionSettings, RepeatNoise
from .image_matrix import full_turn
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


def count_evaluations(
    views: int, frames: int, steps: int, settings: CompositionSettings = PAPER, known: int = 0
) -> Evaluations:
    """Return how many rows and columns ``compose`` has denoised: V + F a step, and as many for each repeat.

    Args:
        views: V.
        frames: F.
        steps: of the schedule.
        settings: weights and repeats.
        known: how many of the rows are given and so are not denoised.
    """
    rows = columns = 0
    for step, _ in _passes(steps, settings):
        weights = settings.multiview_weights(step, steps, full_turn(views), frames)
        rows += (views - known) * any(weight < 1 for weight in weights)
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
    azimuths: Sequence[float] | None = None,
    known: Mapping[int, Tensor] | None = None,
) -> Tensor:
    r"""Sample an image matrix with two denoisers that each know one of its axes.

    Euler steps on the noise level along the convex combination of both scores,

    .. math:: d = (1 - s) \frac{I - D_\phi(I)}{\sigma_i} + s \frac{I - D_\theta(I)}{\sigma_i}, \qquad
              I \leftarrow I + (\sigma_{i+1} - \sigma_i)\, d

    with :math:`D_\phi` over the rows and :math:`D_\theta` over the columns. The first steps are repeated once, from
    the state they led to and new noise. A denoiser is not called where its weight is zero. Rows and columns of one
    step take turns in going first, so that whichever model was in use goes on.

    A row may be known. It then goes straight from its start to its clean latents, :math:`I(\sigma) = I_0 + \sigma
    (I(\sigma_0) - I_0) / \sigma_0`, which is where a denoiser that knows it would lead; a repeat takes it back along
    that line. The columns see it there, and the video denoiser is not asked about it.

    Args:
        matrix: (V, F, C, H, W), views by frames, at the first noise level; variance exploding form (x0 + sigma e).
        sigmas: (N + 1,) noise levels, descending; the last may be 0.
        rows: the video denoiser: one view over time.
        columns: the multi-view denoiser: one frame over all views.
        settings: weights and repeats.
        chunks: how many rows, and how many columns, a denoiser is given at once, at least 1.
        generator: of the noise of repeats, on the CPU; ``None`` takes torch's own.
        report: called once a step, the last time it is taken.
        azimuths: of the V views, in degrees from the reference view, for weights by view; ``None`` for a full turn.
        known: clean latents (F, C, H, W) of the rows that are given, by the row's number from 0.

    Returns:
        (V, F, C, H, W) at the last noise level; at 0 a known row is what was given, to the bit.

    Raises:
        ValueError: a shape or count does not fit, the levels do not descend, a chunk below 1.

    Source:
        Diffusion² (Yang et al., ICLR 2025), Algorithm 1 and Eq. 5.
    """
    expect_shape("matrix", matrix, "V F C H W")
    expect_schedule(sigmas)
    if min(chunks) < 1:
        raise ValueError(f"chunks: got {chunks}. Give each denoiser at least one strip at once.")
    views, frames = matrix.shape[:2]
    azimuths = full_turn(views) if azimuths is None else azimuths
    if len(azimuths) != views:
        raise ValueError(f"azimuths: got {len(azimuths)} for {views} views. Give one for each view.")
    lines = {view: _Line.between(matrix, view, clean, sigmas[0]) for view, clean in (known or {}).items()}
    steps = len(sigmas) - 1
    rows_first = True
    for step, again in _passes(steps, settings):
        sigma, step_to = sigmas[step], sigmas[step + 1]
        weights = settings.multiview_weights(step, steps, azimuths, frames)
        slope = torch.zeros_like(matrix)
        for by_rows in (rows_first, not rows_first):
            if by_rows:
                by_video = [0.0 if view in lines else 1 - weight for view, weight in enumerate(weights)]
                _add_rows(slope, matrix, sigma, rows, by_video, chunks[0])
            else:
                _add_columns(slope, matrix, sigma, columns, weights, chunks[1])
        rows_first = not rows_first
        for view, line in lines.items():
            slope[view] = line.slope
        if report is not None and not again:
            report(step, torch.addcmul(matrix, slope, sigma, value=-1), matrix)
        matrix = slope.mul_(step_to - sigma).add_(matrix)  # in the slope's memory: two copies of the matrix in all
        if again:
            matrix += _noise(matrix, generator).mul_(_repeat_noise(sigma, step_to, settings.repeat_noise))
        for view, line in lines.items():
            matrix[view] = line.at(sigma if again else step_to)
    return matrix


class _Line(NamedTuple):
    """Where a known row is at each noise level."""

    clean: Tensor
    slope: Tensor

    @staticmethod
    def between(matrix: Tensor, view: int, clean: Tensor, sigma: Tensor) -> _Line:
        """From the matrix (V, F, C, H, W) at its first noise level to the clean row (F, C, H, W)."""
        if not 0 <= view < len(matrix) or clean.shape != matrix.shape[1:]:
            raise ValueError(
                f"known: row {view} is {tuple(clean.shape)}, and the matrix holds {len(matrix)} rows of "
                f"{tuple(matrix.shape[1:])}. Give one of them, of that shape."
            )
        return _Line(clean, (matrix[view] - clean) / sigma)

    def at(self, sigma: Tensor) -> Tensor:
        return self.clean + self.slope * sigma


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
