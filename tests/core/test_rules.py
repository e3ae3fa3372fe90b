"""The rules of the project that a program can check; each test lists every file that breaks its rule."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from .pack_sources import (
    CORE,
    EVERYTHING,
    NODE_FILES,
    NODES,
    PACK,
    ROOT,
    assert_none,
    name,
    node_classes,
    relative_imports,
    tree,
)

CORE_LINES, NODE_LINES = 300, 200
PRINTING = {"print", "pprint", "sys.stdout.write"}
BROAD = {"Exception", "BaseException"}


def test_there_is_something_to_check():
    assert ROOT / "stereo_core" / "checks.py" in CORE
    assert ROOT / "nodes" / "host.py" in NODES and ROOT / "nodes" / "delivery" / "sbs_combine.py" in NODE_FILES
    assert Path(__file__) in EVERYTHING


def test_a_node_file_holds_one_node_and_bears_its_name():
    """SBSCombine in sbs_combine.py: capitals in a row leave open where an underscore goes, so none counts."""
    named = {path: path.stem.replace("_", "") for path in NODE_FILES}
    assert_none(
        f"{name(path)} holds {node_classes(path) or 'no node'}"
        for path, stem in named.items()
        if [node.lower() for node in node_classes(path)] != [stem]
    )


def test_no_other_file_holds_a_node():
    assert_none(
        f"{name(path)} holds {node_classes(path)}" for path in PACK if path not in NODE_FILES and node_classes(path)
    )


def test_the_list_of_nodes_reaches_every_node():
    listed = relative_imports(ROOT / "nodes" / "__init__.py")
    assert_none(name(path) for path in NODE_FILES if path not in listed)


def test_the_pack_prints_nothing():
    assert_none(
        f"{name(path)}:{node.lineno}"
        for path in PACK
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in PRINTING
    )


def test_exceptions_are_caught_by_name_or_raised_on():
    fuzzer = ROOT / "tests" / "host" / "fuzz" / "running.py"  # judges whatever is raised
    assert_none(
        f"{name(path)}:{node.lineno}"
        for path in EVERYTHING
        if path != fuzzer
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or BROAD & set(ast.unparse(node.type).strip("()").split(", ")))
        and ast.unparse(node.body[-1]) != "raise"
    )


def test_files_stay_small():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in PACK}
    assert_none(
        f"{name(path)}: {count} lines"
        for path, count in lines.items()
        if count > (CORE_LINES if path in CORE else NODE_LINES)
    )


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "--no-cache", "."], ["ruff", "format", "--no-cache", "--check", "."], ["mypy"]],
    ids=["ruff check", "ruff format", "mypy"],
)
def test_the_checkers_find_nothing(command: list[str]):
    if importlib.util.find_spec(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed in this Python")
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
