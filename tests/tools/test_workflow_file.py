"""Workflow files to prompts, on small made-up graphs; the shipped ones are compared with the frontend elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tools.host.workflow_file import BYPASSED, MUTED, WorkflowError, load, missing_models, nodes_of, to_prompt


def describe(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"input": {"required": required, "optional": optional or {}}, "display_name": "Plain Name"}


DYNAMIC = {
    "options": [
        {"key": "none", "inputs": {"required": {}}},
        {"key": "some", "inputs": {"required": {"strength": ["FLOAT", {}]}, "optional": {"mask": ["MASK", {}]}}},
    ]
}
INFO = {
    "Load": describe({"image": [["a.png", "b.png"], {"image_upload": True}], "channel": [["red", "alpha"]]}),
    "Sample": describe({"seed": ["INT", {}], "steps": ["INT", {}], "image": ["IMAGE"]}, {"name": ["STRING", {}]}),
    "Seeded": describe({"index": ["INT", {"control_after_generate": True}], "last": ["BOOLEAN", {}]}),
    "Choice": describe({"mode": ["COMFY_DYNAMICCOMBO_V3", DYNAMIC], "after": ["INT", {}]}),
    "Forced": describe({"text": ["STRING", {"forceInput": True}], "list": ["COMBO", {"options": []}]}),
    "Filter": describe({"image": ["IMAGE"], "mask": ["MASK"]}),
}


def node(identity: int, kind: str, values: Any = None, inputs: Any = (), **more: Any) -> dict[str, Any]:
    slots = [{"name": n, "type": t, "link": link} for n, t, link in inputs]
    return {"id": identity, "type": kind, "inputs": slots, "widgets_values": values, "mode": 0, **more}


def graph(*nodes: dict[str, Any], links: tuple[tuple[int, int, int, str], ...] = ()) -> dict[str, Any]:
    """Links are (id, from node, from output, type)."""
    return {"nodes": list(nodes), "links": [[i, origin, slot, 0, 0, kind] for i, origin, slot, kind in links]}


def inputs_of(*nodes: dict[str, Any], of: int, links: tuple[tuple[int, int, int, str], ...] = ()) -> dict[str, Any]:
    return to_prompt(graph(*nodes, links=links), INFO)[str(of)]["inputs"]


def test_values_come_in_the_order_of_the_widgets_and_the_seeds_control_is_skipped() -> None:
    found = inputs_of(node(1, "Sample", [5, "randomize", 20, "x"], [("image", "IMAGE", None)]), of=1)
    assert found == {"seed": 5, "steps": 20, "name": "x"}
    assert inputs_of(node(1, "Seeded", [3, "fixed", True]), of=1) == {"index": 3, "last": True}


def test_the_upload_button_has_a_value_that_is_skipped() -> None:
    prompt = to_prompt(graph(node(1, "Load", ["b.png", "alpha", "image"])), INFO)
    assert prompt == {
        "1": {"class_type": "Load", "inputs": {"image": "b.png", "channel": "alpha"}, "_meta": {"title": "Plain Name"}}
    }


def test_an_older_file_without_the_last_widget_keeps_the_nodes_default() -> None:
    assert inputs_of(node(1, "Sample", [5, "fixed", 20]), of=1) == {"seed": 5, "steps": 20}


def test_values_by_name_are_taken_by_name() -> None:
    assert inputs_of(node(1, "Sample", {"steps": 3, "seed": 1, "gone": 0}), of=1) == {"seed": 1, "steps": 3}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["none", 7], {"mode": "none", "after": 7}),
        (["some", 0.5, 7], {"mode": "some", "mode.strength": 0.5, "after": 7}),
    ],
)
def test_a_dynamic_choice_brings_its_own_widgets(values: list[Any], expected: dict[str, Any]) -> None:
    assert inputs_of(node(1, "Choice", values), of=1) == expected


def test_a_forced_input_is_no_widget_and_a_list_is_marked_as_a_value() -> None:
    assert inputs_of(node(1, "Forced", [["a", "b"]]), of=1) == {"list": {"__value__": ["a", "b"]}}


def test_links_go_through_reroutes_and_primitives() -> None:
    found = inputs_of(
        node(1, "Load", ["a.png", "red", "image"]),
        node(2, "Reroute", None, [("", "*", 10)]),
        node(3, "PrimitiveNode", [42, "fixed"]),
        node(4, "Sample", [0, "fixed", 1, ""], [("image", "IMAGE", 11), ("steps", "INT", 12)]),
        node(5, "MarkdownNote", ["words"]),
        of=4,
        links=((10, 1, 0, "IMAGE"), (11, 2, 0, "IMAGE"), (12, 3, 0, "INT")),
    )
    assert found == {"seed": 0, "steps": 42, "image": ["1", 0], "name": ""}


def test_a_bypassed_node_passes_on_the_input_of_the_same_type() -> None:
    for wanted, expected in (("IMAGE", ["1", 0]), ("MASK", ["1", 1])):
        nodes = (
            node(1, "Load", ["a.png", "red", "image"]),
            node(2, "Filter", [], [("image", "IMAGE", 10), ("mask", "MASK", 11)], mode=BYPASSED),
            node(4, "Sample", [0, "fixed", 1, ""], [("image", wanted, 12)]),
        )
        prompt = to_prompt(graph(*nodes, links=((10, 1, 0, "IMAGE"), (11, 1, 1, "MASK"), (12, 2, 0, wanted))), INFO)
        assert "2" not in prompt and prompt["4"]["inputs"]["image"] == expected


def test_a_muted_node_leaves_the_input_open() -> None:
    nodes = (
        node(1, "Load", ["a.png", "red", "image"], mode=MUTED),
        node(4, "Sample", [0, "fixed", 1, ""], [("image", "IMAGE", 10)]),
    )
    prompt = to_prompt(graph(*nodes, links=((10, 1, 0, "IMAGE"),)), INFO)
    assert list(prompt) == ["4"] and "image" not in prompt["4"]["inputs"]
    assert nodes_of(prompt, "Sample") == ["4"] and nodes_of(prompt, "Load") == []


def test_an_unknown_node_and_a_subgraph_are_named() -> None:
    with pytest.raises(WorkflowError, match=r"My node \(node 3\): the server has no node of type Elsewhere"):
        to_prompt(graph(node(3, "Elsewhere", title="My node")), INFO)
    group = graph(node(3, "b1f0")) | {"definitions": {"subgraphs": [{"id": "b1f0"}]}}
    with pytest.raises(WorkflowError, match="is a subgraph; unpack it"):
        to_prompt(group, INFO)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not a workflow file"),
        (json.dumps({"1": {"class_type": "Load"}}), "has no list of nodes"),
        (None, "read"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "w.json").write_text(content)
    with pytest.raises(WorkflowError, match=said):
        load(tmp_path / "w.json")


@pytest.mark.parametrize("spec", [[["here.safetensors"], {}], ["COMBO", {"options": ["here.safetensors"]}]])
def test_a_model_that_is_not_there_is_found(spec: Any) -> None:
    info = {"Checkpoint": describe({"name": spec, "strength": ["FLOAT", {}]})}
    models = [{"name": f"{name}.safetensors", "directory": "checkpoints"} for name in ("here", "gone")]
    workflow = graph(node(1, "Checkpoint", properties={"models": models}), node(2, "Note"))
    assert [model["name"] for model in missing_models(workflow, info)] == ["gone.safetensors"]
