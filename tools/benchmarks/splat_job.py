"""What a fit of the size of a matrix of Diffusion² would take, estimated from a few of its steps."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace

from stereo_core.cameras import Orbit
from stereo_core.splat_fitting import Progress, Task, Wait, fit
from stereo_core.splat_options import FitOptions, Motion

from .splat_speed import cloud, fit_something, seen_pictures
from .table import open_table

_JOB, _FEW = (21, 25), 8  # views and frames of its matrix, and what of the fit is done


def print_job() -> None:
    """Estimate what a fit of 21 views by 25 frames takes, as Diffusion² makes them, from a few of its own steps."""
    views, frames = _JOB
    options = replace(FitOptions(), warm_up=_FEW)
    total, warm_up = FitOptions().iterations, FitOptions().warm_up
    print(
        f"{views} views by {frames} frames, {options.gaussians} Gaussians, {total} iterations of which {warm_up} are "
        f"warm-up: estimated from {_FEW} of each and as many pictures of the comparison at the end; the searches for "
        "the object and for the turn are timed whole. The pictures are bytes, with their masks.\n"
    )
    header = ["", "iterations still, ms", "moving, ms", "object, s", "turn, s", "comparison, s", "minutes", "pictures"]
    add = open_table(header)
    fit_something()
    for size in (288, 576):
        given, _ = cloud(options.gaussians, size)
        orbit = Orbit(tuple(360 * view / views for view in range(views)))
        pictures = seen_pictures(given, orbit, size)[:, None].expand(-1, frames, -1, -1, -1)
        for form in Motion:
            took = _Stages()
            with contextlib.suppress(_Stages.EnoughError):
                chosen = replace(options, motion=form, iterations=2 * _FEW)
                fit(pictures, orbit, chosen, on_step=took.step, on_wait=took.wait)
            still, moving, compared = (took.mean(name) for name in ("still", "moving", Task.CHECK))
            # To each search an iteration was added, the first after it.
            start, turn = took.sum(Task.START) - still, took.sum(Task.TURN) - moving
            check = compared * views * frames
            seconds = start + warm_up * still + turn + (total - warm_up) * moving + check
            memory = f"{views * frames * 4 * size**2 / 2**20:.0f} MiB"
            parts = f"{start:.1f}", f"{turn:.1f}", f"{check:.0f}"
            steps = f"{1e3 * still:.0f}", f"{1e3 * moving:.0f}"
            add([f"{size} px, {form.value}", *steps, *parts, f"{seconds / 60:.0f}", memory])
    print()


class _Stages:
    """Processor seconds between what a fit tells; each interval belongs to what it was told that began it."""

    class EnoughError(Exception):
        """More would tell nothing new."""

    def __init__(self) -> None:
        self._found: dict[str, list[float]] = {}
        self._now, self._since = "", time.process_time()

    def step(self, progress: Progress) -> None:
        """After an iteration."""
        self._next("still" if progress.step < _FEW else "moving")

    def wait(self, wait: Wait) -> None:
        """Before a step of a task."""
        self._next(wait.task)
        if wait.task is Task.CHECK and wait.done == _FEW:
            raise self.EnoughError

    def mean(self, name: str) -> float:
        """Of the intervals of this name but the first and the last, which have other things in them."""
        found = self._found[name][1:-1]
        return sum(found) / len(found)

    def sum(self, name: str) -> float:
        """Of all intervals of this name."""
        return sum(self._found[name])

    def _next(self, name: str) -> None:
        now = time.process_time()
        self._found.setdefault(self._now, []).append(now - self._since)
        self._now, self._since = name, now
