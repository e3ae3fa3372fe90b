"""The shipped workflows and their prompts, without the frontend that makes one of the other."""

from __future__ import annotations

from typing import Any

import pytest

from tools.host.workflow_file import PROMPTS, TITLES, WORKFLOWS, load, load_prompt, missing_models, names, nodes_of
from tools.workflows import api_form, changes, resaved

# What becomes of a node in the frontend alone: it is drawn, or replaced by what it is linked to.
DRAWN_ONLY = {"Note", "MarkdownNote", "Reroute", "PrimitiveNode"}
# Values of widgets that a prompt does not hold: of "control after generate", and of an upload button.
PAGE_ONLY = {"fixed", "increment", "decrement", "randomize", "image"}
MUTED, BYPASSED = 2, 4


def test_every_workflow_has_a_prompt_and_no_prompt_is_left_over() -> None:
    assert sorted(names()) == sorted(file.stem for file in PROMPTS.glob("*.json"))


def test_every_template_has_a_short_name_and_its_file_says_what_it_makes() -> None:
    """The template browser shows the files' names alone, and what is searched for is a word in them."""
    assert sorted(TITLES.values()) == sorted(file.stem for file in WORKFLOWS.glob("*.json"))
    assert list(TITLES.values()) == sorted(TITLES.values())
    titles = " ".join(TITLES.values())
    assert all(word in titles for word in ("3D", "SBS", "anaglyph", "VR", "wiggle", "sound", "stereo"))
    # A name goes through addresses and file systems.
    assert not set(titles) & set('#?%&+\\/:*"<>|')


@pytest.mark.parametrize("name", names())
def test_the_prompt_has_the_nodes_of_the_workflow(name: str) -> None:
    nodes = [node for node in load(name)["nodes"] if node["mode"] not in (MUTED, BYPASSED)]
    expected = {str(node["id"]): node["type"] for node in nodes if node["type"] not in DRAWN_ONLY}
    assert {id: node["class_type"] for id, node in load_prompt(name).items()} == expected


@pytest.mark.parametrize("name", names())
def test_the_prompt_has_the_links_of_the_workflow(name: str) -> None:
    workflow, prompt = load(name), load_prompt(name)
    # What comes from a Primitive is a value in the prompt.
    origins = {link: [str(origin), slot] for link, origin, slot, *_ in workflow["links"] if str(origin) in prompt}
    for node in workflow["nodes"]:
        if str(node["id"]) in prompt:
            linked = {slot["name"]: origins[slot["link"]] for slot in node["inputs"] if slot["link"] in origins}
            inputs = prompt[str(node["id"])]["inputs"]
            assert {key: value for key, value in inputs.items() if isinstance(value, list)} == linked, node["type"]


@pytest.mark.parametrize("name", names())
def test_the_prompt_has_the_values_of_the_workflow(name: str) -> None:
    """In their order; what the workflow has beyond them are values of linked widgets, and of the page."""
    workflow, prompt = load(name), load_prompt(name)
    from_nodes = {link for link, origin, *_ in workflow["links"] if str(origin) in prompt}
    for node in workflow["nodes"]:
        if str(node["id"]) in prompt:
            values = [v for v in prompt[str(node["id"])]["inputs"].values() if not isinstance(v, list)]
            beyond = []
            for value in node.get("widgets_values", []):
                if values and value == values[0]:
                    values.pop(0)
                else:
                    beyond.append(value)
            assert not values, f"{node['type']} has no {values}"
            linked = [slot for slot in node["inputs"] if "widget" in slot and slot["link"] in from_nodes]
            assert len([value for value in beyond if value not in PAGE_ONLY]) == len(linked), (node["type"], beyond)


RESULTS = {
    "Stereo_SaveStereoImage",
    "Stereo_SaveStereoVideo",
    "Stereo_StereoVideoFile",
    "Stereo_SaveFilmWindow",
    "Stereo_StereoComfort",
}
EVERYDAY = [name for name, title in TITLES.items() if "Expert" not in title]


@pytest.mark.parametrize("name", EVERYDAY)
def test_an_everyday_template_is_an_app_too(name: str) -> None:
    """The editor's app form shows these widgets and these results, and no graph."""
    app, prompt = load(name)["extra"]["linearData"], load_prompt(name)
    assert 3 <= len(app["inputs"]) <= 6 and app["outputs"]
    for id, widget in app["inputs"]:
        assert not isinstance(prompt[id]["inputs"][widget], list), "it is set elsewhere"
    assert {prompt[id]["class_type"] for id in app["outputs"]} <= RESULTS


@pytest.mark.parametrize("name", names())
def test_the_note_says_where_to_begin_and_for_what_glasses(name: str) -> None:
    (note,) = [node for node in load(name)["nodes"] if node["type"] == "MarkdownNote"]
    title, _, first, *rest = note["widgets_values"][0].splitlines()
    assert title.startswith("# ") and first.startswith("## ") and rest
    assert ("Expert" in TITLES[name]) == title.startswith("# Expert: ")
    assert "SBS" in note["widgets_values"][0]
    # The newer renderer draws code in notes so dark that it cannot be read.
    assert "`" not in note["widgets_values"][0]


def describe(kind: Any, *options: Any) -> dict[str, Any]:
    return {"input": {"required": {"strength": ["FLOAT", {}]}, "optional": {"name": [kind, *options]}}}


@pytest.mark.parametrize("spec", [[["here.safetensors"], {}], ["COMBO", {"options": ["here.safetensors"]}]])
def test_a_model_that_is_not_there_is_found(spec: Any) -> None:
    models = [{"name": f"{name}.safetensors", "directory": "checkpoints"} for name in ("here", "gone")]
    workflow = {
        "nodes": [
            {"type": "Checkpoint", "properties": {"models": models}},
            {"type": "Note", "properties": {}},
        ]
    }
    missing = missing_models(workflow, {"Checkpoint": describe(*spec)})
    assert [model["name"] for model in missing] == ["gone.safetensors"]


def test_nodes_are_found_by_their_type() -> None:
    prompt = {"4": {"class_type": "Load"}, "1": {"class_type": "Save"}, "2": {"class_type": "Load"}}
    assert nodes_of(prompt, "Load") == ["4", "2"] and nodes_of(prompt, "Other") == []


ARRANGED = {
    "id": "one",
    "nodes": [{"id": 1, "pos": [3, 4], "size": [300, 90], "color": "#432", "widgets_values": [1]}],
    "groups": [{"title": "Step 1", "bounding": [0, 0, 9, 9]}],
    "extra": {"ds": {"scale": 0.5, "offset": [1, 2]}},
}


def test_saving_keeps_what_was_arranged_and_takes_the_rest_from_the_frontend() -> None:
    moved = {"id": 1, "pos": [0, 0], "size": [300, 260], "color": "#432", "widgets_values": [1, "new"], "inputs": []}
    saved = {"id": "two", "nodes": [moved], "groups": [], "extra": {"ds": {"scale": 1.0}, "frontendVersion": "9"}}
    node = {**ARRANGED["nodes"][0], "widgets_values": [1, "new"], "inputs": []}
    assert resaved(ARRANGED, saved) == {**ARRANGED, "nodes": [node]}


def test_saving_again_changes_nothing_where_the_frontend_writes_an_empty_list() -> None:
    shipped = {**ARRANGED, "nodes": [{"id": 1, "pos": [3, 4], "size": [300, 90]}]}
    saved = {**shipped, "nodes": [{**shipped["nodes"][0], "widgets_values": []}]}
    assert resaved(shipped, saved) == shipped


def test_what_only_the_page_has_is_not_in_the_api_form() -> None:
    inputs = {"strength": 1, "name": ["2", 0], "name.more": 2, "preview": ""}
    prompt = {"1": {"inputs": inputs, "class_type": "Load", "_meta": {"title": "Load"}}}
    kept = {"strength": 1, "name": ["2", 0], "name.more": 2}
    assert api_form(prompt, {"Load": describe("COMBO")}) == {"1": {**prompt["1"], "inputs": kept}}


def test_changes_are_told_by_their_place() -> None:
    old = {"nodes": [{"size": [1, 2], "widgets_values": [1.0, "a"]}, "last"], "past": 1}
    new = {"nodes": [{"size": [1, 3], "widgets_values": [1.0, "a", 2]}], "come": None}
    assert list(changes(old, new)) == [
        "nodes[0].size[1]: 2 -> 3",
        "nodes[0].widgets_values[2]: new: 2",
        "nodes[1]: gone: last",
        "past: gone: 1",
        "come: new: None",
    ]
    assert list(changes(old, old)) == []
