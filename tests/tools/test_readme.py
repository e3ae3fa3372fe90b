"""What the README and the page of figures name is there, and what is there they name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import bench
from tools.host import workflow_file
from tools.setup.environment import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
FIGURES = ROOT / "tools" / "benchmarks" / "README.md"
TABLES = "\n".join(line for line in README.splitlines() if line.startswith("|"))


def test_the_tables_name_every_node():
    """A node's name is the first display_name of its file; those of its sockets follow."""
    files = [*(ROOT / "nodes").glob("*.py"), *(ROOT / "nodes" / "options").glob("*.py")]
    names = {
        re.search(r'node_id="Stereo_\w+",\s+display_name="(.+)"', file.read_text(encoding="utf-8")) for file in files
    }
    names = {found[1] for found in names if found}
    listed = {name for line in TABLES.splitlines() for name in line.split("|")[1].strip().split(", ")}
    assert len(names) > 30 and names - listed == set()


def test_the_tables_name_every_template_and_no_other():
    named = set(re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+)+)`", TABLES)) - {"geometry_estimation", "diffusion_models"}
    assert named - {"text_encoders", "optical_flow"} == set(workflow_file.names())


def test_the_table_of_models_says_where_each_template_looks_for_them():
    rows = [line for line in TABLES.splitlines() if "safetensors" in line]
    for name in workflow_file.names():
        for model in re.findall(
            r'"name":\s*"([^"]+)",\s*"url":\s*"[^"]+",\s*"directory":\s*"([^"]+)"',
            (ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8"),
        ):
            assert any(f"`{model[0]}`" in row and f"`{model[1]}`" in row for row in rows), (name, model)


@pytest.mark.parametrize("page", [ROOT / "README.md", FIGURES], ids=["README.md", "figures"])
def test_links_pictures_and_commands_lead_somewhere(page: Path):
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if not link.startswith("http")]
    assert [link for link in links if not (page.parent / link).exists()] == []
    commands = re.findall(r"python (tools/\S+\.py)", text)
    assert commands and [command for command in commands if not (ROOT / command).is_file()] == []


def test_every_table_of_figures_is_on_the_page():
    text = FIGURES.read_text(encoding="utf-8")
    assert [table for table in bench.TABLES if f"python tools/bench.py {table}`" not in text] == []
