"""The real host for these tests: in this process (``host``) and as a running server (``server``).

Two modules are called ``nodes``: the host's file and this pack's folder. The host must come first on
``sys.path`` before anything imports that name; the pack is loaded as the host loads packs, from a copy, so its
``stereo_core`` is another module object than the one of the core tests: never compare classes across them.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.environment import SetupError
from tools.server import PACK_NAME, Server, ServerError, find_host, mirror_pack


@pytest.fixture(scope="session")
def host_path() -> Path:
    """The host's folder; without one the test is skipped."""
    try:
        return find_host()
    except (ServerError, SetupError) as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def host(host_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, type]:
    """Node classes by id, the host's and this pack's, in this process, on the CPU."""
    base = tmp_path_factory.mktemp("in_process")
    pack = base / "custom_nodes" / PACK_NAME
    mirror_pack(pack)

    sys.path.insert(0, str(host_path))
    arguments = sys.argv
    # The host reads its arguments on import: without --cpu it looks for a GPU, without a base directory it
    # writes into its own folder.
    sys.argv = ["main.py", "--cpu", "--base-directory", str(base), "--database-url", "sqlite:///:memory:"]
    try:
        import comfy.options

        comfy.options.enable_args_parsing()
        import nodes
    finally:
        sys.argv = arguments
    assert Path(nodes.__file__).samefile(host_path / "nodes.py"), f"nodes is {nodes.__file__}, not the host's"
    assert asyncio.run(nodes.load_custom_node(str(pack), module_parent="custom_nodes")), "the pack did not load"
    return nodes.NODE_CLASS_MAPPINGS


@pytest.fixture(scope="session")
def server(host_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One running server for the whole session, on the CPU, in its own base directory, with the probe nodes."""
    probes = tuple(sorted(Path(__file__).parent.glob("probe_*")))
    base = tmp_path_factory.mktemp("server")
    settings = base / "user" / "default" / "comfy.settings.json"
    settings.parent.mkdir(parents=True)
    # To a new user the frontend shows its tour, and clears the graph for it just when a test loads one.
    settings.write_text(json.dumps({"Comfy.TutorialCompleted": True}), encoding="utf-8")
    with Server(base, host=host_path, cpu=True, packs=probes) as running:
        yield running
