"""The shipped workflows as a stranger sees them: what is told of places, from their files alone."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from tools.frontend.arrangement import BARS, FIRST_VIEW, SCREEN, ArrangementError, arranged
from tools.frontend.links import Box, Point, behind, group_box, node_box, reroutes_of, spline, tree_paths
from tools.host.workflow_file import TITLES, load, load_prompt, names

LOADERS = ("LoadImage", "LoadVideo", "LoadDA3Model", "CheckpointLoaderSimple", "ImageOnlyCheckpointLoader")
MORE_LOADERS = ("UNETLoader", "CLIPLoader", "VAELoader", "LoraLoaderModelOnly", "ControlNetLoader")
OUR_LOADERS = ("Stereo_LoadDepthModel",)
# Widgets that two nodes of a workflow must agree on, and the names that some nodes have for them.
SHARED = {"seed", "steps", "cfg", "min_cfg", "sampler_name", "scheduler", "max_disparity", "fps", "width", "height"}
ALIASES = {
    "noise_seed": "seed",
    "guidance_first": "min_cfg",
    "min_guidance": "min_cfg",
    "guidance_last": "cfg",
    "max_guidance": "cfg",
    "multiview_guidance": "cfg",
}
# Where two are meant to differ: the samplers of two parts of a schedule, the guidance of two models, the frame rate
# that a model is told beside the file's, and those of two files; and a file of depth maps has no strength.
APART = {
    "film_to_stereo_diffusion": {"max_disparity"},
    "restart_then_plain": {"sampler_name"},
    "image_to_4d": {"cfg", "fps"},
    "video_to_4d": {"cfg", "fps"},
    "orbit_to_4d": {"cfg", "fps"},
}
EVERYDAY = [name for name, title in TITLES.items() if "Expert" not in title]


def steps_of(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [node for node in workflow["nodes"] if node["type"] != "MarkdownNote"]


@pytest.mark.parametrize("name", names())
def test_no_two_nodes_overlap(name: str) -> None:
    nodes = load(name)["nodes"]
    assert [(a["id"], b["id"]) for a, b in combinations(nodes, 2) if node_box(a).meets(node_box(b))] == []


@pytest.mark.parametrize("name", names())
def test_every_node_stands_in_the_frame_of_one_step_and_no_two_frames_meet(name: str) -> None:
    workflow = load(name)
    frames = [group_box(group) for group in workflow["groups"]]
    assert not [pair for pair in combinations(frames, 2) if pair[0].meets(pair[1])]
    for node in steps_of(workflow):
        assert sum(frame.holds(node_box(node)) for frame in frames) == 1, (node["id"], node["type"])
    for note in (node for node in workflow["nodes"] if node["type"] == "MarkdownNote"):
        assert not any(frame.meets(node_box(note)) for frame in frames)


@pytest.mark.parametrize("name", names())
def test_no_link_runs_behind_a_node_that_it_does_not_touch(name: str) -> None:
    assert [(link, node["id"], node["type"]) for link, node in behind(load(name))] == []


@pytest.mark.parametrize("name", names())
def test_opens_with_its_note_top_left_and_the_first_step_beside_it(name: str) -> None:
    workflow = load(name)
    (note,) = [node for node in workflow["nodes"] if node["type"] == "MarkdownNote"]
    first = group_box(workflow["groups"][0])
    scale, (x, y) = (workflow["extra"]["ds"][key] for key in ("scale", "offset"))
    assert scale >= 0.8 and workflow["extra"][FIRST_VIEW]
    seen = Box(BARS[0] / scale - x, BARS[1] / scale - y, SCREEN[0] / scale - x, SCREEN[1] / scale - y)
    assert seen.grown(1).holds(node_box(note)) and seen.grown(1).holds(first)
    assert all(node_box(note).right < group_box(group).left for group in workflow["groups"])


@pytest.mark.parametrize("name", names())
def test_steps_are_numbered_from_left_to_right(name: str) -> None:
    groups = load(name)["groups"]
    assert [group["title"].split(" - ")[0] for group in groups] == [f"Step {i + 1}" for i in range(len(groups))]
    assert all(a.right < b.left for a, b in zip(map(group_box, groups), map(group_box, groups[1:]), strict=False))


@pytest.mark.parametrize("name", names())
def test_loaders_say_what_they_load(name: str) -> None:
    for node in steps_of(load(name)):
        if node["type"] in LOADERS + MORE_LOADERS + OUR_LOADERS:
            assert node.get("title"), node["type"]


@pytest.mark.parametrize("name", names())
def test_what_two_nodes_must_agree_on_is_set_in_one_place(name: str) -> None:
    prompt = load_prompt(name)
    linked = {
        (str(node["id"]), entry["widget"]["name"])
        for node in load(name)["nodes"]
        for entry in node.get("inputs", ())
        if "widget" in entry and entry["link"] is not None
    }
    owners: dict[str, set[str]] = {}
    for id, node in prompt.items():
        for widget, value in node["inputs"].items():
            shared = ALIASES.get(widget, widget)
            if shared not in SHARED - APART.get(name, set()):
                continue
            if isinstance(value, list):
                owners.setdefault(shared, set()).add(origin(prompt, value[0]))
            # What one of the editor's own nodes sets stands in the prompt as if it had been typed.
            elif (id, widget) not in linked:
                owners.setdefault(shared, set()).add(id)
    assert {widget: ids for widget, ids in owners.items() if len(ids) > 1} == {}


def origin(prompt: dict[str, Any], id: str) -> str:
    """Where a number comes from that was only converted on the way."""
    return origin(prompt, prompt[id]["inputs"]["value"][0]) if prompt[id]["class_type"] == "ComfyNumberConvert" else id


@pytest.mark.parametrize("name", EVERYDAY)
def test_the_app_form_shows_settings_with_labels_in_plain_words(name: str) -> None:
    workflow = load(name)
    nodes = {node["id"]: node for node in workflow["nodes"]}
    form = workflow["extra"]["linearData"]
    assert len(form["inputs"]) <= 5 and form["outputs"]
    for id, widget in form["inputs"]:
        (entry,) = [entry for entry in nodes[int(id)]["inputs"] if entry.get("widget", {}).get("name") == widget]
        assert entry["link"] is None, f"{widget} has no field of its own"
        assert entry["label"][0].isupper() and "_" not in entry["label"]


def node(id: int, inputs: int, x: float, y: float, type: str = "Any") -> dict[str, Any]:
    entries = [{"name": f"in{i}", "type": "*", "link": None} for i in range(inputs)]
    return {
        "id": id,
        "type": type,
        "pos": [x, y],
        "size": [100, 60],
        "inputs": entries,
        "outputs": [{"name": "out", "type": "*", "links": []}],
    }


def workflow(*links: tuple[int, int], steps: int = 1) -> dict[str, Any]:
    """Four nodes; with more steps each in a frame of its own."""
    nodes = [node(id, 2, 1000 * id, 0) for id in range(4)]
    if steps == 1:
        groups = [{"title": "Step 1", "bounding": [-10, -100, 3500, 500]}]
    else:
        groups = [{"title": f"Step {id + 1}", "bounding": [1000 * id - 10, -100, 500, 500]} for id in range(4)]
    made = [[number, origin, 0, target, 0, "*"] for number, (origin, target) in enumerate(links, 1)]
    return {"nodes": nodes, "links": made, "groups": groups, "extra": {"ds": {}, "reroutes": [], "else": 1}}


SIZES = {str(id): (100.0, 60.0) for id in range(4)}


def test_nodes_of_a_step_stand_right_of_what_feeds_them() -> None:
    done = arranged(workflow((0, 1), (1, 2), (0, 3)), SIZES)
    x = {entry["id"]: entry["pos"][0] for entry in done["nodes"]}
    assert x[0] < x[1] == x[3] < x[2]
    assert done["extra"]["else"] == 1 and "reroutes" not in done["extra"]


def test_a_link_past_another_step_takes_a_lane_and_two_share_their_reroutes() -> None:
    done = arranged(workflow((0, 1), (1, 2), (2, 3), (0, 2), (0, 3), steps=4), SIZES)
    assert list(behind(done)) == []
    ways = reroutes_of(done)
    assert set(ways) == {4, 5}
    assert ways[4] == ways[5][: len(ways[4])] and len(ways[5]) > len(ways[4])
    bare = done | {"extra": {}}
    assert {link[0] for link, _ in behind(bare)} == {4, 5}


def test_what_cannot_be_arranged_is_told() -> None:
    with pytest.raises(ArrangementError, match="runs backwards"):
        arranged(workflow((2, 1), steps=4), SIZES)
    astray = workflow((0, 1))
    astray["nodes"][3]["pos"] = [9000, 9000]
    with pytest.raises(ArrangementError, match=r"Any \(3\) is in no group"):
        arranged(astray, SIZES)


def test_the_same_nodes_are_always_placed_alike() -> None:
    once = arranged(workflow((0, 1), (1, 2), (0, 3), (2, 3), steps=4), SIZES)
    assert arranged(once, SIZES) == once


def test_arranging_again_moves_nothing_where_a_step_has_more_than_a_column_holds() -> None:
    sizes = {str(id): (100.0, 250.0 + 10 * id) for id in range(12)}
    nodes = [node(id, 1, 40 * (7 * id % 5), 300 * (5 * id % 12)) for id in range(12)]
    links = [[1, 3, 0, 8, 0, "*"], [2, 3, 0, 9, 0, "*"]]
    groups = [{"title": "Step 1", "bounding": [-100, -100, 1000, 9000]}]
    once = arranged({"nodes": nodes, "links": links, "groups": groups, "extra": {}}, sizes)
    places = {tuple(entry["pos"]) for entry in once["nodes"]}
    assert len(places) == 12 and len({x for x, _ in places}) > 2
    frame, boxes = group_box(once["groups"][0]), [node_box(entry) for entry in once["nodes"]]
    assert all(map(frame.holds, boxes)) and frame.bottom - max(box.bottom for box in boxes) < 50
    assert arranged(once, sizes) == once


def test_links_begin_and_end_at_their_slots_and_pass_their_reroutes() -> None:
    start, corner, end = Point(0, 0), Point(100, 50), Point(300, 0)
    (path,) = tree_paths(start, [([corner], end)])
    assert path[0] == start and corner in path and path[-1] == end
    assert spline(start, start, end, end)[0] == start
