"""What a worker of ``tools/film.py --ray`` does, in a process of its own on any machine; see ``film_ray``."""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Site:
    """Where a worker works.

    Attributes:
        owner: what its locks say.
        folder: of the work.
        output: the film.
    """

    owner: str
    folder: Path
    output: Path


@dataclass(frozen=True)
class Piece:
    """A piece of a film.

    Attributes:
        frames: how many it has.
        start: when it begins, for people.
        whole: it is there.
    """

    frames: int
    start: str
    whole: bool


class Silent:
    """Progress that nobody hears of, as ``nodes.film.film_progress`` wants it."""

    def expect(self, frames: int, done: int) -> None:
        """There are so many steps in all, and so many were done before."""

    def step(self, picture: object = None) -> None:
        """One frame more is done."""

    def say(self, text: str) -> None:
        """Tell something in words."""


class Worker:
    """The host, the depth model and a film's work; all but ``load`` and ``plan`` may be called in any order."""

    def __init__(self, options: argparse.Namespace, threads: str | None) -> None:
        """Take the command's words and its OMP_NUM_THREADS, for Ray sets another one."""
        self._options, self._threads = options, threads

    def load(self) -> Site | None:
        """Load everything; returns nothing where the film is there already.

        Raises:
            ValueError: something does not fit, or is not there.
        """
        os.environ.pop("OMP_NUM_THREADS", None)
        if self._threads is not None:
            os.environ["OMP_NUM_THREADS"] = self._threads
        for path in (self._options.film, self._options.depth, self._options.model):
            if path is not None and not path.exists():
                raise ValueError(f"there is no {path} there. Put it where all machines see it.")
        import torch

        from tools import film_run
        from tools.host.in_process import pack_module

        self._base = tempfile.TemporaryDirectory(prefix="latent-stereo-")
        host = film_run.load(Path(self._base.name), self._options)
        with torch.inference_mode():
            film = film_run.read(host, self._options)
            job = film_run.Job.open(film, self._options, Silent())
        if job is None:
            return None
        self._job, self._inference_mode = job, torch.inference_mode
        return Site(pack_module("nodes.film.work_folder").owner(), job.folder.path, job.output)

    def plan(self) -> list[Piece]:
        """Return the film's pieces; all workers together look for its cuts, where these matter."""
        with self._inference_mode():
            plan, work = self._job.film.plan, self._job.work
            return [
                Piece(len(part), plan.time_code(part.start), work.is_whole(range(number, number + 1)))
                for number, part in enumerate(work.parts)
            ]

    def make(self, number: int) -> bool:
        """Make a piece; false where others are making it or its depth."""
        with self._inference_mode():
            return self._job.work.make_piece(number)

    def finish(self) -> bool:
        """Write the film; false where another process is just writing it."""
        return self._job.finish(self._options.keep_segments)

    def remarks(self) -> tuple[str, ...]:
        """Say what there is to say about the film, in whole sentences."""
        remarks: Any = self._job.film.remarks + self._job.work.remarks
        return tuple(remarks)
