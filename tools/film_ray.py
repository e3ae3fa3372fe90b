"""What ``tools/film.py --ray`` does: hands a film's pieces out to workers on the machines of a Ray cluster."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module, metadata
from itertools import chain
from pathlib import Path
from typing import Any

from tools.film_crew import Crew, Place
from tools.film_worker import Piece, Site
from tools.setup.home import ROOT

_TRIES = 3  # of each piece, before the film is given up
_WAIT = 1.0  # seconds after which to look again
# What workers are asked to do, for messages; pieces have a name of their own.
_TASKS = {"load": "Loading", "plan": "Looking for cuts", "finish": "Writing the film"}
_MODE = "RAY_AUTH_MODE"
_PATHS = ("film", "depth", "model", "output", "folder")


def run(options: argparse.Namespace) -> int:
    """Make the film on a Ray cluster; returns the exit code.

    Raises:
        ValueError: Ray is missing or does not answer, or something does not fit.
    """
    ray = import_ray()
    print("Connecting to Ray ...", flush=True)
    search = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {"env_vars": {"PYTHONPATH": search}}  # workers start in other folders
    try:
        ray.init(options.ray or None, runtime_env=environment, log_to_driver=False, logging_level="ERROR")
    except (RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"--ray {options.ray}: no cluster answers there. Where one asks for a token, set RAY_AUTH_MODE=token.\n"
            f"Ray says: {reason}"
        ) from error
    foreman = Foreman(ray, options)
    try:
        return foreman.make()
    finally:
        foreman.close()
        ray.shutdown()


def import_ray() -> Any:
    """Return Ray.

    Raises:
        ValueError: it is not installed.
    """
    if sys.platform != "win32":  # where ray start leaves word of a cluster; sockets allow no long paths
        os.environ.setdefault("RAY_TMPDIR", "/tmp")
    _use_token()
    try:
        return import_module("ray")
    except ModuleNotFoundError as error:
        raise ValueError(
            f"--ray: Ray is not installed. Install it on each machine; on this one with:\n{sys.executable} -m pip "
            "install ray"
        ) from error


def _use_token() -> None:
    """Show the cluster a token where ``ray start`` asks for it, which Ray does not do where an address is given.

    From 2.59 on ``ray start`` asks for one if it lies on the machine and ``RAY_AUTH_MODE`` says nothing else.
    """
    if _MODE in os.environ or not _has_token():
        return
    try:
        version = metadata.version("ray").split(".")
        if (int(version[0]), int(version[1])) >= (2, 59):
            os.environ[_MODE] = "token"  # read when Ray is imported
    except (metadata.PackageNotFoundError, ValueError, IndexError):
        return


def _has_token() -> bool:
    named = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    return bool(named) or (Path.home() / ".ray" / "auth_token").is_file()


@dataclass(frozen=True)
class Task:
    """What a worker was asked to do.

    Attributes:
        place: of the worker.
        name: of the method.
        piece: its number, if it is about one.
    """

    place: Place
    name: str
    piece: int | None = None


class Foreman:
    """Who hands out pieces to a crew, says what it hears, and has those of dead workers made again."""

    def __init__(self, ray: Any, options: argparse.Namespace) -> None:
        """Nobody is hired yet."""
        words = vars(options)
        paths = {name: Path(os.path.abspath(words[name])) for name in _PATHS if words[name] is not None}
        self._ray, self._options = ray, argparse.Namespace(**{**words, **paths})
        self._crew = Crew(ray, self._options)
        self._running: dict[Any, Task] = {}
        self._failed: Counter[tuple[str, int | None]] = Counter()
        self._pieces: list[Piece] = []
        self._missing: dict[int, float] = {}  # pieces that nobody has, and when to hand them out
        self._start, self._made = 0.0, 0

    def make(self) -> int:
        """Make the film; returns the exit code.

        Raises:
            ValueError: something does not fit, or a piece has failed too often.
        """
        if not list(self._crew.places()):
            raise ValueError("--ray: the cluster has no processor to give. Start Ray without --num-cpus=0.")
        while True:
            if not self._is_finishing():
                for place in self._crew.hire():
                    self._ask(place, "load")
            self._employ()
            if not self._running:
                time.sleep(_WAIT)
                continue
            for done in self._ray.wait(list(self._running), timeout=_WAIT)[0]:
                if self._hear(done, self._running.pop(done)):
                    return 0

    def close(self) -> None:
        """Send all workers home."""
        self._crew.dismiss({task.place for task in self._running.values()})

    def _employ(self) -> None:
        """Give those work who have none."""
        busy = {task.place for task in self._running.values()}
        for place, worker in self._crew.hired.items():
            if place in busy:
                continue
            if not worker.planned:
                self._ask(place, "plan")
            elif self._missing:
                now = time.monotonic()
                piece = next((number for number, since in sorted(self._missing.items()) if since <= now), None)
                if piece is not None:
                    del self._missing[piece]
                    self._ask(place, "make", piece)
            elif all(task.name in ("load", "plan") for task in self._running.values()):
                self._ask(place, "finish")

    def _ask(self, place: Place, name: str, piece: int | None = None) -> None:
        words = () if piece is None else (piece,)
        self._running[getattr(self._crew.hired[place].actor, name).remote(*words)] = Task(place, name, piece)

    def _hear(self, done: Any, task: Task) -> bool:
        """Take what a worker has done; true if it was the last of all."""
        machine = self._crew.hired[task.place].machine
        try:
            result = self._ray.get(done)
        except self._ray.exceptions.RayTaskError as error:
            return self._fail(task, machine, str(error.cause or error), task.name != "load")
        except self._ray.exceptions.RayError:  # it was killed, or its machine is gone
            self._crew.bury(task.place)
            return self._fail(task, machine, _reason_of_death(task), True)
        return getattr(self, f"_heard_{task.name}")(task, result)

    def _heard_load(self, task: Task, site: Site | None) -> bool:
        worker = self._crew.hired[task.place]
        if site is None:
            self._crew.bury(task.place)
            if self._is_finishing():
                return False
            print("The film is there already. Remove it first if it is to be made again.")
            return True
        known = {each.site.folder for each in self._crew.hired.values() if each.site is not None}
        if known - {site.folder}:
            raise ValueError(
                f"--ray: {worker.machine} has another version of this pack or of its packages, and would make another "
                "film. Install the same on all machines."
            )
        worker.site = site
        self._failed.pop((task.name, None), None)
        print(f"A worker on {worker.machine} is ready.", flush=True)
        return False

    def _heard_plan(self, task: Task, pieces: list[Piece]) -> bool:
        worker = self._crew.hired[task.place]
        worker.planned = True
        if not self._pieces:
            self._pieces, self._start = pieces, time.monotonic()
            self._missing = {number: 0.0 for number, piece in enumerate(pieces) if not piece.whole}
            kept = len(pieces) - len(self._missing)
            print(f"{self._frames(pieces)} frames; {kept} of {len(pieces)} pieces are there", end="; ")
            print(f"the work lies in {worker.site.folder}", flush=True)
        return False

    def _heard_make(self, task: Task, is_there: bool) -> bool:
        if not is_there:
            self._missing[task.piece] = time.monotonic() + _WAIT
            return False
        self._made += self._pieces[task.piece].frames
        making = [each.piece for each in self._running.values() if each.name == "make"]
        left = self._frames(self._pieces[number] for number in (*self._missing, *making))
        total, pace = self._frames(self._pieces), self._made / max(1e-6, time.monotonic() - self._start)
        machine = self._crew.hired[task.place].machine
        print(
            f"{self._named(task)} is there, by {machine}: {100 * (1 - left / total):.1f} %, {pace:.1f} frames/s, about "
            f"{timedelta(seconds=round(left / pace))} left",
            flush=True,
        )
        return False

    def _heard_finish(self, task: Task, is_done: bool) -> bool:
        if not is_done:
            print("All pieces are there; another process is just writing the film.")
            return True
        busy = {each.place for each in self._running.values()}
        workers = [worker.actor for place, worker in self._crew.hired.items() if worker.planned and place not in busy]
        remarks = self._ray.get([actor.remarks.remote() for actor in workers])
        print("\n".join((str(self._crew.hired[task.place].site.output), *dict.fromkeys(chain(*remarks)))))
        return True

    def _fail(self, task: Task, machine: str, reason: str, again: bool) -> bool:
        """Have something done again; true where others have done it.

        Raises:
            ValueError: it has failed too often, or will again.
        """
        site = next((each.site for each in self._crew.hired.values() if each.site is not None), None)
        if site is not None and site.output.exists() and site.output.stat().st_size and not site.folder.exists():
            print("Another process has written the film.")
            return True
        what = self._named(task)
        self._failed[task.name, task.piece] += 1
        if not again:
            raise ValueError(f"{what} failed on {machine}: {reason}")
        if self._failed[task.name, task.piece] == _TRIES:
            raise ValueError(
                f"{what} failed {_TRIES} times, at last on {machine}: {reason}\n"
                "What is finished is kept; the same command goes on."
            )
        print(f"{what} failed on {machine} and is done again: {reason}", flush=True)
        if task.piece is not None:
            self._missing[task.piece] = 0.0
        return False

    def _is_finishing(self) -> bool:
        return any(task.name == "finish" for task in self._running.values())

    def _named(self, task: Task) -> str:
        return _TASKS[task.name] if task.piece is None else f"Piece {task.piece} at {self._pieces[task.piece].start}"

    @staticmethod
    def _frames(pieces: Iterable[Piece]) -> int:
        return sum(piece.frames for piece in pieces)


def _reason_of_death(task: Task) -> str:
    if task.name == "load" and os.environ.get(_MODE) == "token":  # where nobody asks for one, Ray lets no worker begin
        return f"the worker died. If ray start said that token authentication is disabled, set {_MODE}=disabled."
    return "the worker died."
