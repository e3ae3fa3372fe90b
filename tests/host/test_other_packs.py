"""Other packs beside this one in a real server: OTHER_PACKS names their folders, as PATH names its own.

OTHER_PACKS=~/ComfyUI-VideoHelperSuite:~/ComfyUI-KJNodes python tools/test.py tests/host/test_other_packs.py

The Python packages that they need must be there. VideoHelperSuite and KJNodes were tried so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.host.server import Server
from tools.host.workflow_file import load_prompt

PACKS = tuple(Path(folder).expanduser() for folder in os.environ.get("OTHER_PACKS", "").split(os.pathsep) if folder)


@pytest.fixture(scope="module")
def together(host_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not PACKS:
        pytest.skip("OTHER_PACKS names no packs")
    with Server(tmp_path_factory.mktemp("together"), host=host_path, cpu=True, packs=PACKS) as running:
        yield running


def test_every_pack_has_its_nodes(together: Server, server: Server):
    nodes, ours = together.object_info(), server.object_info()
    for pack in PACKS:
        assert any(node["python_module"] == f"custom_nodes.{pack.name}" for node in nodes.values()), pack.name
    changed = [id for id in ours if id.startswith("Stereo_") and nodes.get(id) != ours[id]]
    assert not changed, changed


def test_a_shipped_workflow_runs_among_them(together: Server):
    assert len(together.run(load_prompt("image_depth_to_stereo"))) >= 6
