"""The workers of ``tools/film.py --ray``: who is hired, on which machine of a Ray cluster, and how they leave."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from typing import Any

from tools.film_worker import Site, Worker

_LEAVE = 10.0  # seconds for workers to end by themselves

Place = tuple[str, int]
"""Of a worker: its node of the cluster, and which of those there it is."""


@dataclass
class Hired:
    """A worker.

    Attributes:
        actor: Ray's handle of it.
        machine: its machine's name.
        site: where it works, once it is loaded.
        planned: it knows the film's pieces.
    """

    actor: Any
    machine: str
    site: Site | None = None
    planned: bool = False


class Crew:
    """All workers.

    Attributes:
        hired: those that are alive, by their places.
    """

    def __init__(self, ray: Any, options: argparse.Namespace) -> None:
        """Nobody is hired yet.

        Args:
            ray: connected to a cluster.
            options: words of the command, which each worker gets.
        """
        self.hired: dict[Place, Hired] = {}
        self._ray, self._options = ray, options
        self._gpus = not options.cpu and ray.cluster_resources().get("GPU", 0) >= 1

    def places(self) -> Iterator[tuple[Place, str]]:
        """Give each place for a worker, and its machine: those of all machines first that are the first there."""
        wanted, kind = self._options.workers, "GPU" if self._gpus else "CPU"
        nodes = [node for node in self._ray.nodes() if node["Alive"]]
        most = 1 if wanted is None and not self._gpus else None
        found = (
            (index, node["NodeID"], node["NodeManagerHostname"])
            for node in nodes
            for index in islice(range(int(node["Resources"].get(kind, 0))), most)
        )
        for index, node, machine in islice(sorted(found), wanted):
            yield (node, index), machine

    def hire(self) -> Iterator[Place]:
        """Start a worker at each place that has none, and give these places."""
        for place, machine in self.places():
            if place in self.hired or len(self.hired) == self._options.workers:
                continue
            affinity = import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
            strategy = affinity(node_id=place[0], soft=False)
            kind = self._ray.remote(num_cpus=1, num_gpus=int(self._gpus), scheduling_strategy=strategy)(Worker)
            self.hired[place] = Hired(kind.remote(self._options, os.environ.get("OMP_NUM_THREADS")), machine)
            yield place

    def bury(self, place: Place) -> None:
        """End a worker surely, and free what it had taken."""
        worker = self.hired.pop(place)
        self._ray.kill(worker.actor)
        if worker.site is None:
            return
        for lock in worker.site.folder.glob("*.lock"):
            with suppress(OSError):  # gone meanwhile
                if lock.read_text(encoding="utf-8") == worker.site.owner:
                    lock.unlink()

    def dismiss(self, busy: set[Place]) -> None:
        """End all workers; locks of those that are still at work go with them.

        Args:
            busy: the places of these.
        """
        idle = [worker for place, worker in self.hired.items() if place not in busy]
        leaving = [worker.actor.__ray_terminate__.remote() for worker in idle]  # which deletes what they have unpacked
        for place in busy:
            self.bury(place)
        if leaving:
            self._ray.wait(leaving, num_returns=len(leaving), timeout=_LEAVE)
