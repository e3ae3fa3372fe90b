"""Imports go downwards only, the core knows no host, and the graph of the node layer stays small."""

from __future__ import annotations

import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from .pack_sources import (
    CORE,
    NODE_FILES,
    NODES,
    ROOT,
    absolute_imports,
    assert_none,
    imports_by_name,
    name,
    relative_imports,
)

# What the core may import. lpips is an extra: it is imported where it is used, by name.
CORE_PACKAGES = {"torch", "numpy", "einops", "kornia", "safetensors"} | set(sys.stdlib_module_names)
CORE_EXTRAS = {"gsplat", "lpips"}
# The host's own modules: within the pack they are never meant by an absolute import (nodes is the trap).
PACK_FOLDERS = {"nodes", "stereo_core"}

# The rooms of nodes/ are its files and packages. What each may import beside itself and the core; a node may import
# all of these.
BELOW = {
    "host": set(),
    "attention": {"host"},
    "sampling": {"attention", "host"},
    "depth": {"sampling", "host"},
    "matrix": {"sampling", "attention", "widgets", "host"},
    "widgets": {"host"},
    "options": {"widgets", "sampling"},
    "delivery": {"widgets", "host"},
    "film": {"delivery", "depth", "widgets", "host"},
    "splat": {"delivery", "matrix", "widgets", "host"},
}
MOST_ROOMS, MOST_ARROWS = 36, 100


def room(path: Path) -> str:
    return path.relative_to(ROOT / "nodes").parts[0].removesuffix(".py")


def may_import(path: Path) -> set[str]:
    if path == ROOT / "nodes" / "__init__.py":
        return {room(file) for file in NODE_FILES}
    return (
        set(BELOW) - {"options", "delivery", "film", "splat"}
        if path.parent == ROOT / "nodes"
        else BELOW.get(room(path), set())
    )


def within(folder: str, path: Path) -> set[Path]:
    return {target for target in relative_imports(path) if target.is_relative_to(ROOT / folder)}


def arrows() -> set[tuple[str, str]]:
    pairs = {(room(path), room(target)) for path in NODES for target in within("nodes", path)}
    return {(start, end) for start, end in pairs if start != end}


def test_the_core_imports_its_packages_only():
    imported = [(path, module) for path in CORE for module in absolute_imports(path) if module not in CORE_PACKAGES]
    imported += [(path, module) for path in CORE for module in imports_by_name(path) if module not in CORE_EXTRAS]
    assert_none(f"{name(path)} imports {module}" for path, module in imported)


def test_the_core_reaches_nothing_outside_itself_and_the_nodes_nothing_but_the_core():
    outside = [(path, relative_imports(path) - within("stereo_core", path)) for path in CORE]
    outside += [(path, relative_imports(path) - within("stereo_core", path) - within("nodes", path)) for path in NODES]
    assert_none(f"{name(path)} imports {target}" for path, targets in outside for target in sorted(targets))


def test_the_pack_imports_itself_relatively():
    assert_none(
        f"{name(path)} imports {module}"
        for path in NODES
        for module in absolute_imports(path)
        if module in PACK_FOLDERS
    )


def test_every_room_has_its_place():
    assert_none(
        f"nodes/{place}"
        for place in {room(path) for path in NODES} - set(BELOW) - {room(file) for file in NODE_FILES} - {"__init__"}
    )


def test_the_node_layer_imports_downwards_only():
    """So no node imports another: only the list of nodes imports nodes."""
    assert_none(
        f"{name(path)} imports {name(target)}"
        for path in NODES
        for target in within("nodes", path)
        if room(target) not in may_import(path) | {room(path)}
    )


@pytest.mark.parametrize("folder", sorted(PACK_FOLDERS))
def test_no_imports_go_in_a_circle(folder: str):
    graph = {path: set(within(folder, path)) for path in sorted((ROOT / folder).rglob("*.py"))}
    for path, targets in graph.items():  # a module's package is loaded before it
        packages = {target.parent / "__init__.py" for target in targets if target.parent not in path.parents}
        targets |= packages
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(name(path) for path in reversed(error.args[1])))


def test_the_graph_of_the_node_layer_stays_small():
    rooms, pairs = {room(path) for path in NODES}, [f"{start} -> {end}" for start, end in sorted(arrows())]
    assert len(rooms) <= MOST_ROOMS, "\n" + "\n".join(sorted(rooms))
    assert len(pairs) <= MOST_ARROWS, "\n" + "\n".join(pairs)
