"""The least graph that still shows a fault."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.host.fuzz.catalogue import Catalogue, fits
from tests.host.fuzz.given import GIVEN, Scene
from tests.host.fuzz.graphs import Graph, above, links

_TRIES = 80


def shrink(graph: Graph, key: str, catalogue: Catalogue, scene: Scene, shows: Callable[[Graph], bool]) -> Graph:
    """Make a graph smaller for as long as ``shows`` says that the fault at the node ``key`` is still there."""
    best, tries = _needed(graph, key), 0
    progress = True
    while progress and tries < _TRIES:
        progress = False
        for smaller in _smaller(best, catalogue, scene):
            smaller = _needed(smaller, key)
            tries += 1
            if tries > _TRIES:
                break
            if smaller != best and shows(smaller):
                best, progress = smaller, True
                break
    return best


def _needed(graph: Graph, key: str) -> Graph:
    kept = above(graph, key) | {key}
    return {one: node for one, node in graph.items() if one in kept}


def _smaller(graph: Graph, catalogue: Catalogue, scene: Scene) -> Iterator[Graph]:
    plain = _Usual()
    for one in reversed(graph):
        node = graph[one]
        kind = catalogue.kinds[node["class_type"]]
        for socket in kind.sockets:
            link = links(node).get(socket.name)
            if link is None:
                continue
            if socket.optional:
                yield _with(graph, one, {name: value for name, value in node["inputs"].items() if name != socket.name})
            if graph[link[0]]["class_type"] in GIVEN:
                continue
            for name, given in GIVEN.items():
                if fits(given.kind, socket.kind):
                    leaf = {"class_type": name, "inputs": given.draw(scene, plain)}
                    yield _with(
                        {f"{one}.{socket.name}": leaf, **graph},
                        one,
                        {**node["inputs"], socket.name: [f"{one}.{socket.name}", 0]},
                    )
        defaults = {
            widget.name: widget.settings["default"]
            for widget in kind.widgets
            if "default" in widget.settings and widget.name not in ("width", "height", "resolution", "steps")
        }
        for name, value in defaults.items():
            if node["inputs"].get(name) != value:
                yield _with(graph, one, {**node["inputs"], name: value})


def _with(graph: Graph, key: str, inputs: dict[str, Any]) -> Graph:
    return {**graph, key: {**graph[key], "inputs": inputs}}


class _Usual(random.Random):
    """Draws what is usual."""

    def random(self) -> float:
        return 1.0

    def choice(self, options: Any) -> Any:
        return options[0]

    def randrange(self, *_: Any) -> int:
        return 0
