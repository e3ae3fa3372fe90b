"""Random graphs over all families: no unclear error, no NaN out of finite input, nothing changed in place, and plain
runs that are the same to the bit before and after.

RANDOM_GRAPHS says how many, RANDOM_SEED which ones:

    RANDOM_GRAPHS=1000 python tools/test.py tests/host/fuzz
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.host.fuzz.catalogue import Catalogue
from tests.host.fuzz.given import Scene, conditioning, make_files
from tests.host.fuzz.graphs import Graph, draw_graph
from tests.host.fuzz.running import Outcome, run_graph
from tests.host.fuzz.shrinking import shrink
from tests.host.tiny import video
from tests.host.tiny.families import FAMILIES, load, told

GRAPHS = int(os.environ.get("RANDOM_GRAPHS", "200"))
SEED = os.environ.get("RANDOM_SEED", "1")
EACH = -(-GRAPHS // len(FAMILIES))


@pytest.fixture(scope="module")
def catalogue(host: dict[str, type], host_path: Path) -> Catalogue:
    make_files()
    return Catalogue(host, host_path)


def plain(family: str) -> Tensor:
    """The picture of the host's KSampler."""
    import nodes

    shape = video.clip_shape(family)
    positive, negative = (conditioning(family, seed, 1, shape[2:]) for seed in (1, 2))
    latent = {"samples": torch.zeros(shape)}
    run = nodes.KSampler().sample(load(family), 5, 2, 3.0, "euler", "normal", positive, negative, latent)
    return run[0]["samples"]


@pytest.fixture(scope="module")
def plain_before(host: dict[str, type]) -> Callable[[str], Tensor]:  # noqa: ARG001
    return functools.cache(plain)


def models(graph: Graph) -> set[str]:
    return {node["inputs"]["name"] for node in graph.values() if node["class_type"] == "Given_Model"}


def run(graph: Graph, catalogue: Catalogue) -> Outcome:
    """Run a graph; where one of its nodes loads the model again, the host is told what it was told before."""
    for name in models(graph):
        load(name)
    with contextlib.ExitStack() as stack:
        if len(models(graph)) == 1:
            stack.enter_context(told(FAMILIES[models(graph).pop()]))
        return run_graph(graph, catalogue)


@pytest.mark.parametrize("family", FAMILIES)
def test_random_graphs(catalogue: Catalogue, plain_before: Callable[[str], Tensor], family: str, record_property):
    faults: dict[str, str] = {}
    for number in range(EACH):
        stream = random.Random(f"{SEED} {family} {number}")
        scene = Scene.draw(family, stream)
        graph = draw_graph(catalogue, scene, stream)
        before = {name: plain_before(name) for name in models(graph)}
        outcome = run(graph, catalogue)
        record_property("fuzz", outcome.ended)
        if outcome.ended == "fault" and outcome.where not in faults:
            where, said = outcome.where, outcome.said
            least = shrink(
                graph, outcome.node, catalogue, scene, lambda g, where=where: run(g, catalogue).where == where
            )
            faults[where] = f"seed {SEED}, graph {number}: {where}\n  {said}\n  {least}"
        for name, picture in before.items():
            if not torch.equal(plain(name), picture):
                faults[f"plain {name}"] = f"seed {SEED}, graph {number}: another plain run of {name}\n  {graph}"
    assert not faults, "\n".join(["", *faults.values()])
