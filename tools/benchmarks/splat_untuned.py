"""Moving scenes on which nothing of the fit was chosen, by its form of motion and the share of its warm-up."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from stereo_core.splat_options import FitOptions, Motion

from .splat_fits import MOVING, SIZE, VIEWS, Figures, fitted, mean_of, orbit_of
from .splat_truth import UNTUNED
from .table import open_table

SHARES, SEEDS = (0.2, 0.35, 0.6), (0, 1)
_FRAMES = 10  # what darts, and what is squashed twice, is lost between fewer


def print_untuned(
    shares: Sequence[float] = SHARES,
    size: int = SIZE,
    gaussians: int = MOVING.gaussians,
    iterations: int = MOVING.iterations,
    forms: Sequence[Motion] = tuple(Motion),
) -> None:
    """Print a row for each scene and form as soon as it is there, and one of the means of each form.

    Args:
        shares: of the iterations that the warm-up takes, above 0 and below 1.
        size: pixels of a side.
        gaussians: of each fit.
        iterations: of each fit.
        forms: of motion.
    """
    usual = dataclasses.replace(MOVING, gaussians=gaussians, iterations=iterations, warm_up=1)
    print(
        f"Scenes on which nothing was chosen: {gaussians} Gaussians, {size}x{size}, {VIEWS} views by {_FRAMES} frames, "
        f"{iterations} iterations, {usual.layers} layers of the mlp. PSNR in dB between the views and between the "
        f"times, by the share of the warm-up; mean of {len(SEEDS)} seeds, and how far apart these are.\n"
    )
    columns = [f"{what}, {share:g}" for share in shares for what in ("views", "times")]
    add = open_table(["", *columns, "reference frame frozen", "mean of neighboring views", "CPU seconds"])
    for form in forms:
        options = dataclasses.replace(usual, motion=form)
        every = []
        for name in UNTUNED:
            every.append([_fits(name, options, share, size) for share in shares])
            add([f"{name}, {form.value}", *(_span(column) for column in _columns(every[-1])), *_alone(every[-1])])
        together = [sum(of_share, []) for of_share in zip(*every, strict=True)]
        means = [f"{mean_of(column):.1f}" for column in _columns(together)]
        add([f"all of them, {form.value}", *means, *_alone(together)])
    print()


def _fits(name: str, options: FitOptions, share: float, size: int) -> list[Figures]:
    """The figures of all seeds."""
    times = [frame / (_FRAMES - 1) for frame in range(_FRAMES)]
    chosen = dataclasses.replace(options, warm_up=max(1, round(share * options.iterations)))
    return [fitted(name, orbit_of(VIEWS), times, dataclasses.replace(chosen, seed=seed), size)[1] for seed in SEEDS]


def _columns(found: Sequence[Sequence[Figures]]) -> list[list[float]]:
    """For each share what is between the views, and what is between the times."""
    return [
        [value for figures in of_share if (value := getattr(figures, what)) is not None]
        for of_share in found
        for what in ("views", "times")
    ]


def _alone(found: Sequence[Sequence[Figures]]) -> list[str]:
    """What depends little on the share."""
    flat = [figures for of_share in found for figures in of_share]
    frozen = mean_of([figures.frozen for figures in flat if figures.frozen is not None])
    others = mean_of([figures.neighbors for figures in flat]), mean_of([figures.seconds for figures in flat])
    return [f"{frozen:.1f}", f"{others[0]:.1f}", f"{others[1]:.0f}"]


def _span(values: Sequence[float]) -> str:
    return f"{mean_of(values):.1f} ({max(values) - min(values):.1f})"
