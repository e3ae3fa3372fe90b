"""The real host loaded into this process, with this pack, as the host loads packs.

Two modules are called ``nodes``: the host's file and this pack's folder. The host must come first on ``sys.path``
before anything imports that name; the pack is loaded from a copy, so its ``stereo_core`` is another module object
than the one that other code imports: never compare classes across them.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from tools.host.server import PACK_NAME, mirror_pack


def load_host(host: Path, base: Path, cpu: bool = True, more: Sequence[str] = ()) -> dict[str, type]:
    """Import the host, once per process, and load this pack into it.

    Args:
        host: the host's folder, only read.
        base: a folder for the host's input, output and models, and the pack's copy.
        cpu: compute on the CPU; without it the host looks for a GPU.
        more: arguments of the host's command line.

    Returns:
        Node classes by id, the host's and this pack's.
    """
    pack = base / "custom_nodes" / PACK_NAME
    mirror_pack(pack)
    sys.path.insert(0, str(host))
    arguments = sys.argv
    # The host reads its arguments on import: without a base directory it writes into its own folder.
    sys.argv = ["main.py", "--base-directory", str(base), "--database-url", "sqlite:///:memory:"]
    sys.argv += ["--cpu"] if cpu else []
    sys.argv += more
    try:
        import comfy.options

        comfy.options.enable_args_parsing()
        import nodes
    finally:
        sys.argv = arguments
    if not Path(nodes.__file__).samefile(host / "nodes.py"):
        raise RuntimeError(f"The module nodes is {nodes.__file__}, not the host's.")
    if not asyncio.run(nodes.load_custom_node(str(pack), module_parent="custom_nodes")):
        raise RuntimeError("The pack did not load; the host's log says why.")
    return nodes.NODE_CLASS_MAPPINGS


def pack_schemas(nodes: Mapping[str, type]) -> dict[str, Any]:
    """Return the schema of each of this pack's nodes, by id, of the classes that ``load_host`` gives."""
    return {id: node.define_schema() for id, node in nodes.items() if id.startswith("Stereo_")}


def pack_module(name: str) -> ModuleType:
    """Return a module of the loaded pack by its name below the pack, ``nodes.host`` or ``stereo_core.warping``.

    Raises:
        LookupError: the pack is not loaded in this process.
    """
    loaded = next((known for known in sys.modules if known.endswith(f"{PACK_NAME}.nodes")), None)
    if loaded is None:
        raise LookupError("The pack is not loaded in this process. Call load_host first.")
    return importlib.import_module(f"{loaded.removesuffix('nodes')}{name}")
