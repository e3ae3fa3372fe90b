"""Where ComfyUI's frontend draws nodes, slots and links of a saved workflow (its classic canvas, links as splines)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

Node = Mapping[str, Any]
Workflow = Mapping[str, Any]

TITLE = 30  # the height of a node's title, above its place
ROW = 20  # of slots
FIRST = 14  # the middle of the first row of slots
CURVE = 0.25  # of a link's length, how far its ends go straight on
MOST_CURVE = 80  # of that, at a reroute
POINTS = 24  # in which a stretch of a link is tried


class Point(NamedTuple):
    x: float
    y: float

    def to(self, other: Point) -> float:
        return math.dist(self, other)

    def angle(self, other: Point) -> float:
        return math.atan2(other.y - self.y, other.x - self.x)

    def moved(self, length: float, angle: float) -> Point:
        return Point(self.x + length * math.cos(angle), self.y + length * math.sin(angle))


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def grown(self, by: float) -> Box:
        return Box(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def holds(self, other: Box) -> bool:
        x = self.left <= other.left and other.right <= self.right
        return x and self.top <= other.top and other.bottom <= self.bottom

    def meets(self, other: Box) -> bool:
        x = self.left < other.right and other.left < self.right
        return x and self.top < other.bottom and other.top < self.bottom

    def has(self, point: Point) -> bool:
        return self.left < point.x < self.right and self.top < point.y < self.bottom


def node_box(node: Node) -> Box:
    """A node with its title."""
    (x, y), (width, height) = node["pos"], node["size"]
    return Box(x, y - TITLE, x + width, y + height)


def group_box(group: Mapping[str, Any]) -> Box:
    x, y, width, height = group["bounding"]
    return Box(x, y, x + width, y + height)


def output_place(node: Node, slot: int) -> Point:
    return Point(node["pos"][0] + node["size"][0] - 9, node["pos"][1] + FIRST + ROW * slot)


def input_places(node: Node, slot: int) -> list[Point]:
    """Where an input is; a widget's can be at any of its node's widgets, so their first and last place are given."""
    plain = [entry for entry in node["inputs"] if "widget" not in entry]
    (x, y), entry = node["pos"], node["inputs"][slot]
    if "widget" not in entry:
        return [Point(x + 10, y + FIRST + ROW * plain.index(entry))]
    rows = max(len(plain), len(node["outputs"]))
    return [Point(x + 10, y + FIRST + ROW * rows), Point(x + 10, y + node["size"][1] - FIRST)]


def spline(start: Point, leave: Point, arrive: Point, end: Point) -> list[Point]:
    """A cubic Bezier curve."""
    places = []
    for step in range(POINTS + 1):
        t = step / POINTS
        shares = (1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3
        points = (start, leave, arrive, end)
        x, y = (sum(s * p[axis] for s, p in zip(shares, points, strict=True)) for axis in (0, 1))
        places.append(Point(x, y))
    return places


def chords(reroutes: Sequence[Point]) -> list[Point]:
    """Straight lines from reroute to reroute: links may sag less than their curves tell, or be set to be straight."""
    return [Point(*at) for a, b in pairwise(reroutes) for at in spline(a, a, b, b)]


def tree_paths(start: Point, ways: Sequence[tuple[Sequence[Point], Point]]) -> list[list[Point]]:
    """How links from one output are drawn: the reroutes that two of them share are equal points.

    Args:
        start: the output.
        ways: for each link its reroutes, and its input.
    """
    following: dict[Point, list[Point]] = {}
    for reroutes, end in ways:
        for here, further in pairwise([*reroutes, end]):
            following.setdefault(here, []).append(further)
    paths = []
    for reroutes, end in ways:
        path: list[Point] = []
        previous, leave = start, start.moved(CURVE * start.to(reroutes[0] if reroutes else end), 0)
        for here, further in pairwise([*reroutes, end]):
            ahead = sum(here.angle(point) for point in following[here]) / len(following[here])
            coming = previous.angle(here)
            turn = (coming - ahead) / 2
            direction = coming - (turn + math.pi if abs(turn) > math.pi / 2 else turn)
            path += spline(previous, leave, here.moved(-_bounded(previous.to(here)), direction), here)
            leave = here.moved(_bounded(here.to(further)), direction)
            previous = here
        path += spline(previous, leave, end.moved(-CURVE * previous.to(end), 0), end)
        paths.append(path)
    return paths


def _bounded(length: float) -> float:
    return min(MOST_CURVE, CURVE * length)


def reroutes_of(workflow: Workflow) -> dict[int, list[Point]]:
    """The reroutes of each link, from its output on."""
    extra = workflow.get("extra", {})
    known = {reroute["id"]: reroute for reroute in extra.get("reroutes", ())}
    found = {}
    for extension in extra.get("linkExtensions", ()):
        way, parent = [], extension.get("parentId")
        while parent is not None:
            way.append(Point(*known[parent]["pos"]))
            parent = known[parent].get("parentId")
        found[extension["id"]] = way[::-1]
    return found


def drawn_links(workflow: Workflow) -> Iterator[tuple[list[Any], list[Point]]]:
    """Yield every link with the points that it is drawn through; one to a widget twice."""
    nodes = {node["id"]: node for node in workflow["nodes"]}
    reroutes = reroutes_of(workflow)
    sources: dict[tuple[int, int], list[list[Any]]] = {}
    for link in workflow["links"]:
        sources.setdefault((link[1], link[2]), []).append(link)
    for (origin, slot), links in sources.items():
        start = output_place(nodes[origin], slot)
        for choice in (0, -1):
            ways = [(reroutes.get(k[0], []), input_places(nodes[k[3]], k[4])[choice]) for k in links]
            for link, way, path in zip(links, ways, tree_paths(start, ways), strict=True):
                yield link, path + chords(way[0])


def behind(workflow: Workflow, margin: float = 0) -> Iterator[tuple[list[Any], Node]]:
    """Yield links that run behind a node which they do not touch, with that node."""
    boxes = [(node, node_box(node).grown(margin)) for node in workflow["nodes"]]
    for link, path in drawn_links(workflow):
        for node, box in boxes:
            if node["id"] not in (link[1], link[3]) and any(map(box.has, path)):
                yield link, node
