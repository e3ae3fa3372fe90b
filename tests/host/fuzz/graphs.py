"""Random graphs that the host's validation passes: the right types at every link, every widget in its range."""

from __future__ import annotations

import random
from typing import Any

from tests.host.fuzz.catalogue import Catalogue, Kind, Socket, Widget
from tests.host.fuzz.given import GIVEN, Scene

Graph = dict[str, dict[str, Any]]
"""An API prompt: ``class_type`` and ``inputs`` by node id; a link is [node id, slot]. Nodes come before their users."""

GOALS = ["KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced", "VAEDecode"]
"""The host's nodes at the end of a graph; otherwise one of ours is."""

_DEPTH = 4
_OF_SAMPLING = ("MODEL", "GUIDER", "SAMPLER")
_TEXTS = ["", "0", "1, 2", "-9, -6, -3, 0", "90, 180, 360", "middle.0", "none", "ä, ,", "1e400"]
# Work and memory grow with these, and tiny models are slow beside what they stand for.
_STEPS = ("steps", "inner_steps", "iterations", "most_repeats", "fewest_repeats")
_SIDES = ("width", "height", "resolution", "cell_width", "crop_w", "crop_h")


def links(node: dict[str, Any]) -> dict[str, list[Any]]:
    """A node's inputs that are links."""
    return {name: value for name, value in node["inputs"].items() if isinstance(value, list)}


def above(graph: Graph, key: str) -> set[str]:
    """The ids of all nodes that a node depends on."""
    found: set[str] = set()
    waiting = [key]
    while waiting:
        for one, _ in links(graph[waiting.pop()]).values():
            if one not in found:
                found.add(one)
                waiting.append(one)
    return found


def draw_graph(catalogue: Catalogue, scene: Scene, stream: random.Random) -> Graph:
    """Draw a graph with at least one node of ours in it."""
    ours = [name for name in catalogue.heights(scene.family) if catalogue.kinds[name].ours]
    sampling = [name for name in ours if any(socket.kind in _OF_SAMPLING for socket in catalogue.kinds[name].sockets)]
    while True:
        drawing = _Drawing(catalogue, scene, stream)
        drawing.node(catalogue.kinds[stream.choice(stream.choice([ours, sampling, sampling, GOALS]))], _DEPTH)
        if any(node["class_type"] in ours for node in drawing.graph.values()):
            return drawing.graph


class _Drawing:
    def __init__(self, catalogue: Catalogue, scene: Scene, stream: random.Random) -> None:
        self.catalogue, self.scene, self.stream = catalogue, scene, stream
        self.graph: Graph = {}

    def node(self, kind: Kind, depth: int) -> str:
        """Add a node of a kind and what lies above it; return its id."""
        if kind.name in GIVEN:
            return self._add(kind, GIVEN[kind.name].draw(self.scene, self.stream))
        optional = self.stream.choice([0.0, 0.3, 1.0])
        links = {
            socket.name: self._link(socket, depth)
            for socket in kind.sockets
            if not socket.optional or (self.stream.random() < optional and self._producers(socket))
        }
        return self._add(kind, {**links, **{widget.name: self._value(widget, kind) for widget in kind.widgets}})

    def _add(self, kind: Kind, inputs: dict[str, Any]) -> str:
        node = {"class_type": kind.name, "inputs": inputs}
        same = next((key for key, known in self.graph.items() if kind.name in GIVEN and known == node), None)
        key = same or str(len(self.graph) + 1)
        self.graph[key] = node
        return key

    def _link(self, socket: Socket, depth: int) -> list[Any]:
        stream = self.stream
        producers = self._producers(socket)
        there = [
            [key, slot]
            for key, node in self.graph.items()
            for kind, slot in producers
            if node["class_type"] == kind.name
        ]
        if there and stream.random() < 0.5:
            return list(stream.choice(there))
        given = [(kind, slot) for kind, slot in producers if kind.name in GIVEN]
        if depth <= 0:
            heights = self.catalogue.heights(self.scene.family)
            least = min(heights[kind.name] for kind, _ in producers)
            groups = [[(kind, slot) for kind, slot in producers if heights[kind.name] == least]]
        elif given and stream.random() < (0.75 if self.scene.tame else 0.5):
            groups = [given]
        else:
            ours = [(kind, slot) for kind, slot in producers if kind.ours]
            host = [(kind, slot) for kind, slot in producers if not kind.ours and kind.name not in GIVEN]
            groups = [group for group in (ours, host, host) if group] or [given]
        group = stream.choice(groups)
        name = stream.choice(sorted({kind.name for kind, _ in group}))  # not by the number of its outputs
        kind, slot = stream.choice([(kind, slot) for kind, slot in group if kind.name == name])
        return [self.node(kind, depth - 1), slot]

    def _producers(self, socket: Socket) -> list[tuple[Kind, int]]:
        return self.catalogue.producers(socket.kind, self.scene.family)

    def _value(self, widget: Widget, kind: Kind) -> Any:
        stream, settings, chance = self.stream, widget.settings, self.stream.random()
        if self.scene.tame:
            chance *= 0.7  # the usual values
        if widget.kind == "BOOLEAN":
            return settings.get("default", False) if chance < 0.6 else stream.random() < 0.5
        if widget.kind == "COMBO":
            options, usual = list(settings["options"]), settings.get("default")
            return usual if usual in options and chance < 0.5 else stream.choice(options)
        if widget.kind == "STRING":
            return settings.get("default", "") if chance < 0.6 else stream.choice(_TEXTS)
        if widget.kind == "FLOAT":
            return self._float(settings, chance)
        return self._int(widget, chance, kind.ours)

    def _float(self, settings: dict[str, Any], chance: float) -> float:
        low, high = settings.get("min", -10.0), settings.get("max", 10.0)
        if chance < 0.5 and "default" in settings:
            return float(settings["default"])
        if chance < 0.65:
            return float(self.stream.choice([low, high]))
        step = settings.get("step") or 0.01
        return float(min(high, max(low, round(self.stream.uniform(low, high) / step) * step)))

    def _int(self, widget: Widget, chance: float, ours: bool) -> int:
        stream, settings = self.stream, widget.settings
        low, high, step = settings.get("min", 0), settings.get("max", 2**31), settings.get("step") or 1
        usual = settings.get("default", low)
        if widget.name in _STEPS:
            usual = 3
        elif widget.name in _SIDES:
            usual = 8 * (self.scene.height if widget.name in ("height", "crop_h") else self.scene.width)
        elif usual - low > 16 * step and not settings.get("control_after_generate"):
            usual = low + 4 * step
        if chance < 0.02 and ours and widget.name not in _SIDES:
            return high
        if chance < 0.1:
            found = stream.choice([low, high] if high <= 64 or settings.get("control_after_generate") else [low])
        elif chance < 0.7:
            found = usual
        else:
            found = low + step * stream.randrange(min(8, (high - low) // step + 1))
        return max(low, min(high, found))
