"""Read workflow files as the frontend saves them and turn them into prompts for the server's API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Info = Mapping[str, Any]  # the server's /object_info
Prompt = dict[str, dict[str, Any]]  # node id: class_type, inputs, _meta

WIDGET_TYPES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COLOR"}
SEEDS = {"seed", "noise_seed"}
DRAWN_ONLY = {"Note", "MarkdownNote"}
MUTED, BYPASSED = 2, 4


class WorkflowError(ValueError):
    """The workflow cannot be turned into a prompt; the message names the node and the cause."""


def load(file: Path) -> dict[str, Any]:
    """Read a workflow file saved by the frontend.

    Raises:
        WorkflowError: not there, not JSON, or not a workflow.
    """
    try:
        workflow = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise WorkflowError(f"{file} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise WorkflowError(f"{file} is not a workflow file: {error}.") from error
    if not isinstance(workflow, dict) or not isinstance(workflow.get("nodes"), list):
        raise WorkflowError(f"{file} is not a workflow saved by the frontend: it has no list of nodes.")
    return workflow


def to_prompt(workflow: Mapping[str, Any], info: Info) -> Prompt:
    """Return the API prompt of a workflow, as the frontend would queue it.

    Args:
        workflow: the saved file; notes, reroutes, primitives, bypassed and muted nodes leave no trace in the prompt.
        info: the server's descriptions of its nodes.

    Raises:
        WorkflowError: a node the server does not know, a subgraph, or widget values that do not fit the node.
    """
    graph = _Graph(workflow)
    prompt: Prompt = {}
    for node in graph.nodes.values():
        kind = node["type"]
        if node.get("mode") in (MUTED, BYPASSED) or kind in DRAWN_ONLY | {"Reroute", "PrimitiveNode"}:
            continue
        if kind in graph.subgraphs:
            raise WorkflowError(f"{_name(node)} is a subgraph; unpack it in the frontend (right click) and save again.")
        if kind not in info:
            raise WorkflowError(f"{_name(node)}: the server has no node of type {kind}.")
        inputs = dict(_widget_values(node, info[kind]))
        for slot in node.get("inputs") or []:
            if slot.get("link") is None:
                continue
            found = graph.source(slot["link"])
            if found is not None:
                inputs[slot["name"]] = found
        title = node.get("title") or info[kind].get("display_name") or kind
        prompt[str(node["id"])] = {"inputs": inputs, "class_type": kind, "_meta": {"title": title}}
    return prompt


class _Graph:
    """Nodes and links of one workflow."""

    def __init__(self, workflow: Mapping[str, Any]) -> None:
        self.nodes = {node["id"]: node for node in workflow["nodes"]}
        self.subgraphs = {s["id"] for s in (workflow.get("definitions") or {}).get("subgraphs") or []}
        self.links: dict[Any, tuple[Any, int, str]] = {}
        for link in workflow.get("links") or []:
            if isinstance(link, dict):
                self.links[link["id"]] = (link["origin_id"], link["origin_slot"], link["type"])
            else:
                self.links[link[0]] = (link[1], link[2], link[5])

    def source(self, link: Any) -> Any:
        """Return [node id, output] that a link comes from, a primitive's value, or None when it comes to nothing."""
        while link is not None:
            origin, slot, kind = self.links[link]
            node = self.nodes[origin]
            if node.get("mode") == MUTED:
                return None
            if node["type"] == "PrimitiveNode":
                return _wrapped(node["widgets_values"][0])
            if node["type"] == "Reroute":
                link = node["inputs"][0].get("link")
            elif node.get("mode") == BYPASSED:
                link = _bypass(node, slot, kind)
            else:
                return [str(origin), slot]
        return None


def _bypass(node: Mapping[str, Any], slot: int, kind: str) -> Any:
    """Return the link of the input that a bypassed node passes on: the same slot, else the first of that type."""
    inputs = node.get("inputs") or []
    for candidate in [*inputs[slot : slot + 1], *inputs]:
        if candidate.get("link") is not None and (candidate["type"] == kind or "*" in (kind, candidate["type"])):
            return candidate["link"]
    return None


def _widget_values(node: Mapping[str, Any], description: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the widgets of a node with their saved values, which stand in the order of the widgets."""
    saved = node.get("widgets_values") or []
    if isinstance(saved, dict):
        yield from ((name, _wrapped(saved[name])) for name, _ in _inputs(description) if name in saved)
        return
    values = iter(saved)
    for group in ("required", "optional"):
        for name, value in _group_values(description, group, values, ""):
            yield name, _wrapped(value)


def _group_values(
    description: Mapping[str, Any], group: str, values: Iterator[Any], prefix: str
) -> Iterator[tuple[str, Any]]:
    for name, spec in (description["input"].get(group) or {}).items():
        kind, options = spec[0], spec[1] if len(spec) > 1 else {}
        if kind == "COMFY_DYNAMICCOMBO_V3":
            yield from _dynamic_values(prefix + name, options, values)
        elif _is_widget(kind, options):
            for value in _take(values):
                yield prefix + name, value
            for _ in range(_control_widgets(name, kind, options)):
                _take(values)
    # The frontend puts the upload button's widget after the required ones.
    uploads = [spec[1] for spec in (description["input"].get(group) or {}).values() if len(spec) > 1]
    if group == "required" and any(u.get(key) for u in uploads for key in ("image_upload", "video_upload")):
        _take(values)


def _dynamic_values(name: str, options: Mapping[str, Any], values: Iterator[Any]) -> Iterator[tuple[str, Any]]:
    for key in _take(values):
        yield name, key
        for option in options["options"]:
            if option["key"] == key:
                for group in ("required", "optional"):
                    yield from _group_values({"input": option["inputs"]}, group, values, f"{name}.")


def _take(values: Iterator[Any]) -> list[Any]:
    """Return the next value in a list, or an empty list: a file older than the widget keeps the node's default."""
    return [value for _, value in zip(range(1), values, strict=False)]


def _inputs(description: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for group in ("required", "optional"):
        yield from (description["input"].get(group) or {}).items()


def _is_widget(kind: Any, options: Mapping[str, Any]) -> bool:
    return (isinstance(kind, list) or kind in WIDGET_TYPES) and not options.get("forceInput")


def _control_widgets(name: str, kind: Any, options: Mapping[str, Any]) -> int:
    """How many values follow for "control after generate": a combo's has a filter beside it."""
    combo = isinstance(kind, list) or kind == "COMBO"
    if options.get("control_after_generate"):
        return 2 if combo else 1
    return int(kind == "INT" and name in SEEDS)


def _wrapped(value: Any) -> Any:
    """Mark a list as a value, for a list in a prompt means a link."""
    return {"__value__": value} if isinstance(value, list) else value


def _name(node: Mapping[str, Any]) -> str:
    return f"{node.get('title') or node['type']} (node {node['id']})"


def missing_models(workflow: Mapping[str, Any], info: Info) -> Iterator[Mapping[str, str]]:
    """Yield the models (name, directory, url) that the workflow's loaders name and the server does not have."""
    for node in workflow["nodes"]:
        description = info.get(node["type"], {"input": {}})
        for model in (node.get("properties") or {}).get("models") or []:
            if not any(model["name"] in _choices(spec) for _, spec in _inputs(description)):
                yield model


def _choices(spec: Any) -> list[Any]:
    if isinstance(spec[0], list):
        return spec[0]
    return list(spec[1].get("options", [])) if spec[0] == "COMBO" else []


def nodes_of(prompt: Prompt, class_type: str) -> list[str]:
    """Return the ids of the prompt's nodes of one type, in the order of the file."""
    return [node for node, entry in prompt.items() if entry["class_type"] == class_type]
