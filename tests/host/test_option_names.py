"""A message about a widget that lives on an options node names that node: it is raised by one without that widget."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.host.in_process import pack_schemas
from tools.setup.environment import ROOT

OPTIONS = {path.stem for path in (ROOT / "nodes" / "options").glob("*.py")} - {"__init__"}

NAMED = "<the name of a node>"


@pytest.fixture(scope="module")
def owners(host: dict[str, type]) -> dict[str, set[str]]:
    """The options nodes' names by widget, of widgets that no other node has and whose names are no plain words."""
    found: dict[str, set[str]] = {}
    elsewhere: set[str] = set()
    for id, schema in pack_schemas(host).items():
        module = host[id].__module__.rsplit(".", 1)[-1]
        for value in schema.inputs:
            if module in OPTIONS:
                found.setdefault(value.id, set()).add(schema.display_name)
            else:
                elsewhere.add(value.id)
    widgets = {widget for widget in found if "_" in widget or widget == "preset"}
    return {widget: found[widget] for widget in widgets - elsewhere}


def test_there_are_such_widgets(owners: dict[str, set[str]]):
    assert {"last_warp", "restart_until", "switch_at_step", "preset", "video_alone_from"} <= owners.keys()


def test_messages_name_the_node_that_a_widget_is_on(owners: dict[str, set[str]]):
    nameless = []
    for file in [*(ROOT / "nodes").rglob("*.py"), *(ROOT / "stereo_core").glob("*.py")]:
        if file.stem in OPTIONS:  # ComfyUI names the node that raises
            continue
        for line, text in messages(file):
            for widget in re.findall(r"\w+", text):
                if widget in owners and not any(name in text for name in owners[widget] | {NAMED}):
                    nameless.append(f"{file.name}:{line}: {widget}: {text}")
    assert not nameless, "\n".join(nameless)


def messages(file: Path) -> Iterator[tuple[int, str]]:
    """The fixed words of what a file raises, but for settings that check themselves: their own node makes them."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    checks = {
        inner
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef) and outer.name == "__post_init__"
        for inner in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None and node not in checks:
            yield node.lineno, "".join(words(node.exc, file))


def words(raised: ast.AST, file: Path) -> Iterator[str]:
    """The strings of an expression in their order; a name in capitals stands for the string that it holds."""
    for node in ast.walk(raised):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Name) and node.id.isupper():
            yield str(constants(file).get(node.id, ""))
        elif isinstance(node, ast.Attribute | ast.Name) and "preset" in ast.unparse(node):  # holds a node's name
            yield NAMED


def constants(file: Path) -> dict[str, Any]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
