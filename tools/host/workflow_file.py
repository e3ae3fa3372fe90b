"""The shipped workflows: as the frontend saves them, and the prompts that it makes of them for the server's API.

`python tools/workflows.py` has the frontend make the prompts; nothing here turns one into the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tools.setup.home import ROOT

Info = Mapping[str, Any]  # the server's /object_info
Prompt = dict[str, dict[str, Any]]  # node id: class_type, inputs, _meta

WORKFLOWS = ROOT / "workflows"
PROMPTS = ROOT / "tools" / "prompts"


def names() -> list[str]:
    """The names of the shipped workflows, in alphabetical order."""
    return sorted(file.stem for file in WORKFLOWS.glob("*.json"))


def load(name: str) -> dict[str, Any]:
    """Read a shipped workflow."""
    workflow: dict[str, Any] = json.loads((WORKFLOWS / f"{name}.json").read_text(encoding="utf-8"))
    return workflow


def load_prompt(name: str) -> Prompt:
    """Read a shipped workflow's API form."""
    prompt: Prompt = json.loads((PROMPTS / f"{name}.json").read_text(encoding="utf-8"))
    return prompt


def missing_models(workflow: Mapping[str, Any], info: Info) -> Iterator[Mapping[str, str]]:
    """Yield the models (name, directory, url) that the workflow's loaders name and the server does not have."""
    for node in workflow["nodes"]:
        sections = info[node["type"]]["input"].values() if node["type"] in info else ()
        choices = {choice for inputs in sections for spec in inputs.values() for choice in _choices(spec)}
        for model in node["properties"].get("models", ()):
            if model["name"] not in choices:
                yield model


def _choices(spec: Any) -> list[Any]:
    if isinstance(spec[0], list):
        return spec[0]
    return list(spec[1].get("options", [])) if spec[0] == "COMBO" else []


def nodes_of(prompt: Prompt, class_type: str) -> list[str]:
    """Return the ids of the prompt's nodes of one type, in the order of the file."""
    return [node for node, entry in prompt.items() if entry["class_type"] == class_type]
