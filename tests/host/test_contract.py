"""What saved workflows rely on: ids, input names and order, option values, output order.

A change here breaks workflows that people have saved. New inputs and options go last; write them down with
UPDATE_CONTRACT=1 in the environment.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tools.host.server import Server
from tools.host.workflow_file import FROZEN
from tools.setup.environment import ROOT

CONTRACT = Path(__file__).parent / "schema_contract.json"
# Of each published version, by which nobody can change what was promised and write that down as well.
PUBLISHED = sorted(FROZEN.glob("*/schema_contract.json"))
HELP = ROOT / "web" / "docs"


@pytest.fixture(scope="module")
def ours(server: Server) -> dict[str, Any]:
    """This pack's nodes as the server describes them to the frontend."""
    return {id: info for id, info in server.object_info().items() if info["python_module"].endswith("latent-stereo")}


def inputs(info: dict[str, Any]) -> list[tuple[str, str, Any, dict[str, Any]]]:
    """(section, id, type, options) of each input, in the order in which workflows store them."""
    return [
        (section, name, spec[0], spec[1] if len(spec) > 1 else {})
        for section in ("required", "optional")
        for name, spec in info["input"].get(section, {}).items()
    ]


def describe(info: dict[str, Any]) -> dict[str, Any]:
    return {
        "inputs": [[section, name, kind] for section, name, kind, _ in inputs(info)],
        "options": {
            name: options["options"]
            for _, name, kind, options in inputs(info)
            if kind == "COMBO" and not name.endswith(("model_name", "folder"))  # those list files and folders
        },
        "outputs": [[name, kind] for name, kind in zip(info["output_name"], info["output"], strict=True)],
        "controls": [name for _, name, _, options in inputs(info) if options.get("control_after_generate")],
    }


def begins_with(longer: list[Any], shorter: list[Any]) -> bool:
    return longer[: len(shorter)] == shorter


def test_saved_workflows_keep_opening(ours: dict[str, Any]):
    today = {id: describe(info) for id, info in sorted(ours.items())}
    if os.environ.get("UPDATE_CONTRACT"):
        CONTRACT.write_text(json.dumps(today, indent=1) + "\n", encoding="utf-8")
    promised = json.loads(CONTRACT.read_text(encoding="utf-8"))
    assert promised.keys() == today.keys(), "a node came or went: run once with UPDATE_CONTRACT=1 if it came"
    expect_kept(promised, today)


@pytest.mark.parametrize("contract", PUBLISHED, ids=[file.parent.name for file in PUBLISHED])
def test_what_a_version_promised_is_kept(ours: dict[str, Any], contract: Path):
    expect_kept(json.loads(contract.read_text(encoding="utf-8")), {id: describe(info) for id, info in ours.items()})


def expect_kept(promised: dict[str, Any], today: dict[str, Any]) -> None:
    for id, then in promised.items():
        assert id in today, f"{id}: the node is gone"
        now = today[id]
        for section in ("required", "optional"):
            was, remains = ([entry for entry in side["inputs"] if entry[0] == section] for side in (then, now))
            assert begins_with(remains, was), f"{id}: inputs moved or changed"
            assert section == "optional" or remains == was, f"{id}: a new required input fails saved prompts"
        assert begins_with(now["outputs"], then["outputs"]), f"{id}: outputs moved or changed"
        assert now["controls"] == then["controls"], f"{id}: control_after_generate came or went"
        for name, values in then["options"].items():
            assert begins_with(now["options"][name], values), f"{id}: options of {name} moved or changed"


def test_every_node_explains_itself(ours: dict[str, Any]):
    assert ours
    for id, info in ours.items():
        assert id.startswith("Stereo_") and info["category"].split("/")[0] == "stereo", id
        assert info["description"].endswith(".") and info["search_aliases"], id
        assert not (info["display_name"].startswith("Stereo_") or "_" in info["display_name"]), id
        for _, name, _, options in inputs(info):
            assert options.get("tooltip"), f"{id}.{name} has no tooltip"


def test_every_node_has_a_help_page(ours: dict[str, Any], server: Server):
    for id in ours:
        page = (HELP / f"{id}.md").read_text(encoding="utf-8")
        status, served = server.request(f"/extensions/latent-stereo/docs/{id}.md")
        assert status == 200 and served.decode() == page.replace("\r\n", "\n"), (
            f"{id}: the host does not serve its page"
        )
    assert {page.stem for page in HELP.glob("*.md")} == ours.keys()


def test_the_host_offers_the_workflows_as_templates(server: Server):
    names = {file.stem for file in (ROOT / "workflows").glob("*.json")}
    assert set(server.get("/workflow_templates")["latent-stereo"]) == names
    for name in names:
        status, body = server.request(f"/api/workflow_templates/latent-stereo/{quote(name)}.json")
        assert status == 200 and json.loads(body)["nodes"]
        status, picture = server.request(f"/api/workflow_templates/latent-stereo/{quote(name)}.jpg")
        assert status == 200 and picture[:2] == b"\xff\xd8"


def test_no_node_shows_more_than_eight_widgets(ours: dict[str, Any]):
    """In the classic canvas nothing is folded in."""
    rows = {}
    for id, info in ours.items():
        values = [
            (kind, options)
            for _, _, kind, options in inputs(info)
            if kind in {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
        ]
        rows[id] = len(values) + sum("control_after_generate" in options for _, options in values)
    assert max(rows.values()) <= 8, {id: count for id, count in rows.items() if count > 8}
