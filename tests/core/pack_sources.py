"""The project's Python files as the rules see them: parsed once, and who imports whom."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORE = sorted((ROOT / "stereo_core").rglob("*.py"))
NODES = sorted((ROOT / "nodes").rglob("*.py"))
PACK = [ROOT / "__init__.py", *NODES, *CORE]
EVERYTHING = [*PACK, *sorted((ROOT / "tools").rglob("*.py")), *sorted((ROOT / "tests").rglob("*.py"))]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), name(path))


def node_classes(path: Path) -> list[str]:
    return [
        node.name
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("ComfyNode") for base in node.bases)
    ]


# Here nodes lie beside what they are made of.
_WITH_NODES = {ROOT / "nodes" / package for package in ("delivery", "film", "matrix", "splat")}
NODE_FILES = [
    path
    for path in NODES
    if (path.parent in {ROOT / "nodes", ROOT / "nodes" / "options"} and path.stem not in {"__init__", "host"})
    or (path.parent in _WITH_NODES and node_classes(path))
]


def absolute_imports(path: Path) -> Iterator[str]:
    """The top-level package of every absolute import, wherever it stands."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").split(".")[0]


def imports_by_name(path: Path) -> Iterator[str]:
    """What import_module and __import__ are called with; an expression reads as its source."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {"import_module", "__import__"}:
            yield node.args[0].value if isinstance(node.args[0], ast.Constant) else ast.unparse(node.args[0])


def relative_imports(path: Path) -> set[Path]:
    """The files of the project that relative imports reach; one that leads out of it is a path that does not exist."""
    reached = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for alias in node.names:
                reached.add(_file(folder / alias.name) or _file(folder) or folder)
    return reached - {path}


def assert_none(offenders: Iterable[str]) -> None:
    """Fail with a list of what breaks a rule."""
    found = list(offenders)
    assert not found, "\n" + "\n".join(found)


def _file(module: Path) -> Path | None:
    return next((file for file in (module.with_suffix(".py"), module / "__init__.py") if file.is_file()), None)
