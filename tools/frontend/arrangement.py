"""Arrange a workflow: its note first, its steps from left to right, its long links along lanes between the nodes.

The frames of the groups say which node belongs to which step, and where a node stands in its frame says which comes
above which. All else follows from the links: in a step a node stands right of what it is fed by.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from tools.frontend.links import TITLE, Box, Point, chords, group_box, input_places, node_box, output_place, tree_paths

WIDTH, NOTE_WIDTH = 340, 480  # of nodes
ABOVE = 80  # from a node's place to the frame's top: the two titles
ROW_GAP = 64  # between nodes above each other, the lower one's title among it
COLUMN_GAP = 124
FRAME = 26  # around the nodes of a step
TALLEST = 900  # column
LANE_GAP, LANE_STEP = 18, 6
CLEAR = 8  # of links from nodes
SLANT = 60  # of a link past a column, without a lane
SIDE = 9  # between links that turn beside each other
CORNER = 36  # from a node to where its long links turn

# What the editor covers of 1920x1080: its side bar, and its bars above.
SCREEN, BARS = (1920, 1080), (84, 108)
SCALES = (1.0, 0.95, 0.9, 0.85, 0.8)
FIRST_VIEW = "latent_stereo_first_view"  # tells web/template_view.js to open it so

# Room for the picture that these show, and for what ours write above it, as they need it in Nodes 2.0 after a run.
PICTURE = {
    "LoadImage": 60,
    "LoadVideo": 60,
    "PreviewImage": 260,
    "SaveImage": 260,
    "SaveVideo": 240,
    "Stereo_StereoStrength": 300,
    "Stereo_ImageStereoShift": 300,
    "Stereo_SBSCombine": 240,
    "Stereo_SaveStereoImage": 260,
    "Stereo_SaveStereoVideo": 280,
    "Stereo_SaveFilmWindow": 280,
    "Stereo_FilmWindow": 60,
    "Stereo_StereoComfort": 480,
    "Stereo_StereoComposite": 300,
    "Stereo_LatentStereoShift": 300,
    "Stereo_DissolveDepth": 300,
    "Stereo_DepthConditioning": 60,
    "Stereo_StereoKSampler": 300,
    "Stereo_StereoVideoKSampler": 330,
    "Stereo_StereoShiftSampler": 300,
    "Stereo_NoisyRestartSampler": 320,
    "Stereo_IterativeRefineSampler": 320,
    "Stereo_ShiftCoupledViewExpert": 300,
    "Stereo_LeftTrajectory": 70,
    "Stereo_ImageMatrixConditioning": 70,
    "Stereo_SplatReconstruct": 300,
    "Stereo_SplatStereo": 60,
    "Stereo_SplatSave": 60,
    "MarkdownNote": 10,
}

Workflow = dict[str, Any]
Sizes = Mapping[str, tuple[float, float]]


class ArrangementError(Exception):
    """A workflow cannot be arranged as it is."""


def unarranged(workflow: Workflow) -> Workflow:
    """The workflow with nodes as low as they can be, for the frontend to say how tall they must be."""
    nodes = [node | {"size": [_width(node), 40]} for node in workflow["nodes"]]
    return workflow | {"nodes": nodes, "extra": {k: v for k, v in workflow["extra"].items() if k not in _LANES}}


_LANES = ("reroutes", "linkExtensions", "ds")


def arranged(workflow: Workflow, sizes: Sizes) -> Workflow:
    """A workflow with its nodes, frames, reroutes and first view in their places.

    Args:
        workflow: with a frame around the nodes of each step.
        sizes: width and height that each node needs, by its id, without its title.

    Raises:
        ArrangementError: a node is in no frame, links run backwards, or a link finds no way.
    """
    nodes = {node["id"]: dict(node) for node in workflow["nodes"]}
    for node in nodes.values():
        height = sizes[str(node["id"])][1] + PICTURE.get(node["type"], 0)
        node["size"] = [_width(node), 10 * math.ceil(height / 10)]
    steps = _steps(workflow)
    left, top = 0.0, 0.0
    for note in (node for node in nodes.values() if node["type"] == "MarkdownNote"):
        note["pos"] = [0, top]
        top += note["size"][1] + ROW_GAP
        left = NOTE_WIDTH + COLUMN_GAP / 2 + FRAME
    columns: dict[int, int] = {}
    groups = []
    number = 0
    for group, members in zip(workflow["groups"], steps, strict=True):
        bottom, right = 0.0, left
        for column in _columns([nodes[id] for id in members], workflow["links"]):
            right, y = left, 0.0
            for node in column:
                node["pos"] = [left, y]
                columns[node["id"]] = number
                y += node["size"][1] + ROW_GAP
                right = max(right, left + node["size"][0])
            bottom = max(bottom, y - ROW_GAP)
            number += 1
            left = right + COLUMN_GAP
        first = min(nodes[id]["pos"][0] for id in members) - FRAME
        bounding = [first, -ABOVE, right + FRAME - first, bottom + ABOVE + FRAME]
        groups.append(group | {"bounding": bounding})
    placed = workflow | {"nodes": list(nodes.values()), "groups": groups}
    extra = {k: v for k, v in workflow["extra"].items() if k not in _LANES} | _reroutes(placed, columns)
    return placed | {"extra": extra | {"ds": _first_view(placed, extra.get("reroutes", [])), FIRST_VIEW: True}}


def _width(node: Mapping[str, Any]) -> int:
    return NOTE_WIDTH if node["type"] == "MarkdownNote" else WIDTH


def _steps(workflow: Workflow) -> list[list[int]]:
    """The ids of each group's nodes, column by column from top to bottom."""
    members: list[list[tuple[int, float, int]]] = [[] for _ in workflow["groups"]]
    for node in workflow["nodes"]:
        if node["type"] == "MarkdownNote":
            continue
        box = node_box(node)
        middle = Point((box.left + box.right) / 2, (box.top + box.bottom) / 2)
        frames = [i for i, group in enumerate(workflow["groups"]) if group_box(group).has(middle)]
        if not frames:
            raise ArrangementError(f"{node['type']} ({node['id']}) is in no group: put it into its step's frame")
        column = round((box.left - group_box(workflow["groups"][frames[0]]).left - FRAME) / (WIDTH + COLUMN_GAP))
        members[frames[0]].append((column, box.top, node["id"]))
    return [[id for _, _, id in sorted(step)] for step in members]


def _columns(nodes: list[dict[str, Any]], links: list[list[Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the columns of a step: a node right of those that feed it, a source close to what it feeds."""
    ids = [node["id"] for node in nodes]
    inner = [(link[1], link[3]) for link in links if link[1] in ids and link[3] in ids]
    linked = {id for ends in inner for id in ends}
    level = dict.fromkeys(ids, 0)
    for _ in ids:
        for origin, target in inner:
            level[target] = max(level[target], level[origin] + 1)
    for id in ids:
        fed = [level[target] for origin, target in inner if origin == id]
        if fed and all(target != id for _, target in inner):
            level[id] = min(fed) - 1
    numbers = sorted({level[id] for id in linked})
    columns = [[id for id in ids if id in linked and level[id] == number] for number in numbers] or [[]]
    tall = {node["id"]: node["size"][1] + ROW_GAP for node in nodes}
    alone = sorted(set(ids) - linked, key=lambda id: (id != ids[0], id))
    for id in alone:  # where there is most room, but what stands first stays there
        min(columns[:1] if id == ids[0] else columns, key=lambda column: sum(tall[i] for i in column)).append(id)
    for column in columns:
        kept: list[dict[str, Any]] = []
        for node in (node for node in nodes if node["id"] in column):
            if kept and sum(tall[other["id"]] for other in kept) + node["size"][1] > TALLEST:
                yield kept
                kept = []
            kept.append(node)
        yield kept


def _first_view(workflow: Workflow, reroutes: list[dict[str, Any]]) -> dict[str, Any]:
    """The scale and offset at which a workflow opens: its note and first step, as large as fits."""
    boxes = [*map(node_box, workflow["nodes"]), *map(group_box, workflow["groups"])]
    rows = [reroute["pos"][1] for reroute in reroutes]
    left, top = min(box.left for box in boxes), min([*(box.top for box in boxes), *(row - 12 for row in rows)])
    bottom = max([*(box.bottom for box in boxes), *rows])
    right = group_box(workflow["groups"][0]).right
    room = SCREEN[0] - BARS[0] - 16, SCREEN[1] - BARS[1] - 16
    fitting = [s for s in SCALES if (right - left) * s <= room[0] and (bottom - top) * s <= room[1]]
    scale = fitting[0] if fitting else SCALES[-1]
    return {"scale": scale, "offset": [round(BARS[0] / scale - left, 1), round(BARS[1] / scale - top, 1)]}


class _Lanes:
    """Ways for the links of a workflow whose nodes are placed."""

    def __init__(self, workflow: Workflow, columns: Mapping[int, int]):
        self.nodes = {node["id"]: node for node in workflow["nodes"]}
        self.columns = columns
        self.boxes = {id: node_box(node).grown(CLEAR) for id, node in self.nodes.items()}
        frames = [group_box(group) for group in workflow["groups"]]
        self.titles = [Box(frame.left, frame.top - 10, frame.right, frame.top + ABOVE - TITLE) for frame in frames]
        self.span = min(frame.top for frame in frames), max(box.bottom for box in self.boxes.values())
        self.taken: list[Box] = []

    def ways(self, links: list[list[Any]]) -> list[list[Point]]:
        """Reroutes for links of one output; links that need none have none."""
        links = sorted(links, key=lambda link: self.columns[link[3]])
        plain: list[list[Point]] = [[] for _ in links]
        far = [self.slants(link) or not self.clear([link], [[]]) for link in links]
        if not any(far):
            return plain
        origin, slot = links[0][1:3]
        start = output_place(self.nodes[origin], slot)
        long = [link for link, is_far in zip(links, far, strict=True) if is_far]
        heights = [start.y, *(input_places(self.nodes[link[3]], link[4])[0].y for link in long)]
        top, bottom = self.span
        rows = [top - 60 + LANE_STEP * i for i in range(int((bottom - top + 360) / LANE_STEP))]
        rows.sort(key=lambda y: sum(abs(y - height) for height in heights))
        for corners in (False, True):
            for y in rows:
                found = self.along(start, long, y, corners, SIDE * (slot % 4))
                lane = self.lane(found)
                if any(map(lane.meets, self.taken)) or any(map(lane.meets, self.titles)):
                    continue
                ways = iter(found)
                both = [next(ways) if is_far else [] for is_far in far]
                if self.clear(links, both):
                    self.taken.append(lane)
                    return both
        if len(long) > 1:  # each by itself
            return [self.ways([link])[0] for link in links]
        kind, target = self.nodes[origin]["type"], self.nodes[long[0][3]]["type"]
        raise ArrangementError(f"no way for the link from {kind} ({origin}) to {target} ({long[0][3]})")

    def slants(self, link: list[Any]) -> bool:
        """Whether a link would run askew past a whole column."""
        (_, origin, slot, target, entry, *_) = link
        start, end = output_place(self.nodes[origin], slot), input_places(self.nodes[target], entry)[0]
        return self.columns[target] - self.columns[origin] > 1 and abs(start.y - end.y) > SLANT

    def along(self, start: Point, links: list[list[Any]], y: float, corners: bool, aside: float) -> list[list[Point]]:
        """The reroutes of links that go along a lane at ``y``; with corners also beside their slots.

        Those of a node's several outputs turn ``aside`` of each other.
        """
        first = Point(start.x + 9 + CORNER + aside, y)
        trunk = [Point(start.x + 9 + CORNER / 2, start.y), first] if corners else [first]
        ways = []
        for link in links:
            node = self.nodes[link[3]]
            end = input_places(node, link[4])[0]
            leave = Point(node["pos"][0] - CORNER, y)
            if leave.x > trunk[-1].x:
                trunk = [*trunk, leave]
            ways.append([*trunk, Point(leave.x + CORNER / 2, end.y)] if corners else list(trunk))
        return ways

    def lane(self, ways: list[list[Point]]) -> Box:
        points = [point for way in ways for point in way]
        rows = [point.y for point in points]
        y = max(set(rows), key=rows.count)
        on = [point.x for point in points if point.y == y]
        return Box(min(on) - 4, y - LANE_GAP / 2, max(on) + 4, y + LANE_GAP / 2)

    def clear(self, links: list[list[Any]], ways: list[list[Point]]) -> bool:
        """Whether links so drawn run behind no node that they do not touch."""
        start = output_place(self.nodes[links[0][1]], links[0][2])
        for choice in (0, -1):
            ends = [input_places(self.nodes[link[3]], link[4])[choice] for link in links]
            curves = tree_paths(start, list(zip(ways, ends, strict=True)))
            for link, way, curve in zip(links, ways, curves, strict=True):
                path = curve + chords(way)
                foreign = [box for id, box in self.boxes.items() if id not in (link[1], link[3])]
                if any(box.has(point) for point in path for box in foreign):
                    return False
                # and not behind the nodes at its ends, but for the edge that it comes from
                for id, side in ((link[1], -24), (link[3], 24)):
                    box = self.boxes[id]
                    inside = Box(box.left + max(side, 0), box.top, box.right + min(side, 0), box.bottom)
                    if any(map(inside.has, path)):
                        return False
        return True


def _reroutes(workflow: Workflow, columns: Mapping[int, int]) -> dict[str, Any]:
    """The frontend's form of the ways of all links."""
    lanes = _Lanes(workflow, columns)
    sources: dict[tuple[int, int], list[list[Any]]] = {}
    for link in workflow["links"]:
        origin, target = (lanes.nodes[link[i]] for i in (1, 3))
        if columns[target["id"]] <= columns[origin["id"]]:
            raise ArrangementError(
                f"the link from {origin['type']} ({origin['id']}) to {target['type']} ({target['id']}) "
                "runs backwards: put one of them into another step"
            )
        sources.setdefault((link[1], link[2]), []).append(link)
    reach = {key: max(columns[k[3]] for k in links) - columns[key[0]] for key, links in sources.items()}
    reroutes: list[dict[str, Any]] = []
    extensions = []
    for key in sorted(sources, key=lambda key: (reach[key], columns[key[0]], key)):
        known: dict[tuple[Point, ...], dict[str, Any]] = {}
        links = sorted(sources[key], key=lambda link: columns[link[3]])
        for link, way in zip(links, lanes.ways(links), strict=True):
            parent = None
            for length in range(1, len(way) + 1):
                place = tuple(way[:length])
                if place not in known:
                    known[place] = {"id": len(reroutes) + 1, **({"parentId": parent} if parent else {})}
                    known[place] |= {"pos": [round(v, 1) for v in place[-1]], "linkIds": []}
                    reroutes.append(known[place])
                known[place]["linkIds"].append(link[0])
                parent = known[place]["id"]
            if parent is not None:
                extensions.append({"id": link[0], "parentId": parent})
    return {"reroutes": reroutes, "linkExtensions": sorted(extensions, key=lambda e: e["id"])} if reroutes else {}
