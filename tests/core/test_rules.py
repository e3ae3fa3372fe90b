"""The rules of the project that a program can check."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = sorted((ROOT / "stereo_core").rglob("*.py"))
NODES = sorted((ROOT / "nodes").rglob("*.py"))
PACK = [ROOT / "__init__.py", *NODES, *CORE]
EVERYTHING = [*PACK, *sorted((ROOT / "tools").rglob("*.py")), *sorted((ROOT / "tests").rglob("*.py"))]

# What the core may import. lpips is an extra: it is imported where it is used, by name.
CORE_PACKAGES = {"torch", "numpy", "einops", "kornia", "safetensors"} | set(sys.stdlib_module_names)
CORE_EXTRAS = {"lpips"}
# The host's own modules: within the pack they are never meant by an absolute import (nodes is the trap).
PACK_FOLDERS = {"nodes", "stereo_core"}
CORE_LINES, NODE_LINES = 300, 200


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), name(path))


def absolute_imports(module: ast.Module) -> Iterator[str]:
    """The top-level package of every absolute import, wherever it stands."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").split(".")[0]


def relative_imports(module: ast.Module) -> Iterator[tuple[int, str]]:
    """How far up every relative import goes, and the dotted names it may reach from there."""
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [node.module] if node.module else []
            yield from ((node.level, ".".join([*base, alias.name])) for alias in node.names)


def imports_by_name(module: ast.Module) -> Iterator[str]:
    """What import_module and __import__ are called with; an expression reads as its source."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {"import_module", "__import__"}:
            yield node.args[0].value if isinstance(node.args[0], ast.Constant) else ast.unparse(node.args[0])


def defines_a_node(module: ast.Module) -> bool:
    return any(
        isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("ComfyNode") for base in node.bases)
        for node in ast.walk(module)
    )


def test_there_is_something_to_check():
    assert ROOT / "stereo_core" / "checks.py" in CORE
    assert ROOT / "nodes" / "host.py" in NODES


@pytest.mark.parametrize("path", CORE, ids=name)
def test_the_core_knows_no_host_and_nothing_above_itself(path):
    module = tree(path)
    assert set(absolute_imports(module)) <= CORE_PACKAGES
    assert set(imports_by_name(module)) <= CORE_EXTRAS
    depth = len(path.relative_to(ROOT / "stereo_core").parts)
    assert all(level <= depth for level, _ in relative_imports(module))


@pytest.mark.parametrize("path", NODES, ids=name)
def test_the_pack_imports_itself_relatively(path):
    assert not PACK_FOLDERS & set(absolute_imports(tree(path)))


@pytest.mark.parametrize("path", [path for path in NODES if path.stem != "__init__"], ids=name)
def test_only_the_list_of_nodes_imports_a_module_that_defines_nodes(path):
    """Modules without a node in them, such as host.py, are shared; those with one stand alone."""
    with_nodes = {other.stem for other in NODES if defines_a_node(tree(other))}
    reached = {target.split(".")[0] for level, target in relative_imports(tree(path)) if level == 1}
    assert not reached & with_nodes


def test_the_list_of_nodes_reaches_every_module_that_defines_one():
    with_nodes = {path.stem for path in NODES if defines_a_node(tree(path))}
    reached = {target.split(".")[0] for _, target in relative_imports(tree(ROOT / "nodes" / "__init__.py"))}
    assert with_nodes and with_nodes <= reached


@pytest.mark.parametrize("path", PACK, ids=name)
def test_the_pack_prints_nothing(path):
    calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    assert not [call.lineno for call in calls if ast.unparse(call.func) in {"print", "pprint", "sys.stdout.write"}]


@pytest.mark.parametrize("path", EVERYTHING, ids=name)
def test_exceptions_are_caught_by_name_or_raised_on(path):
    broad = {"Exception", "BaseException"}
    handlers = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ExceptHandler)]
    catch_all = [
        node for node in handlers if node.type is None or broad & set(ast.unparse(node.type).strip("()").split(", "))
    ]
    assert not [node.lineno for node in catch_all if ast.unparse(node.body[-1]) != "raise"]


@pytest.mark.parametrize("path", PACK, ids=name)
def test_files_stay_small(path):
    limit = CORE_LINES if path in CORE else NODE_LINES
    assert len(path.read_text(encoding="utf-8").splitlines()) <= limit


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "--no-cache", "."], ["ruff", "format", "--no-cache", "--check", "."], ["mypy"]],
    ids=["ruff check", "ruff format", "mypy"],
)
def test_the_checkers_find_nothing(command):
    if importlib.util.find_spec(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed in this Python")
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
