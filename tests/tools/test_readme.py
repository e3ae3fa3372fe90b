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
    folders = [ROOT / "nodes" / name for name in (".", "options", "delivery")]
    files = [file for folder in folders for file in folder.glob("*.py")]
    names = {
        re.search(r'node_id="Stereo_\w+",\s+display_name="(.+)"', file.read_text(encoding="utf-8")) for file in files
    }
    names = {found[1] for found in names if found}
    listed = {name for line in TABLES.splitlines() for name in line.split("|")[1].strip().split(", ")}
    assert len(names) > 30 and names - listed == set()


def test_the_tables_name_every_template_by_its_number():
    numbers = {title.split()[0] for title in workflow_file.TITLES.values()}
    cells = [cell.strip() for cell in TABLES.split("|")]
    named = [set(cell.split(", ")) for cell in cells if re.fullmatch(r"\d\d[a-z]?(, \d\d[a-z]?)*", cell)]
    assert set().union(*named) == numbers


def test_the_first_step_names_the_first_template():
    first = next(iter(workflow_file.TITLES.values())).split(" (")[0]
    assert f"choose *{first}*, and press *Run*" in README


def test_the_commands_name_templates_that_there_are():
    named = re.findall(r"--workflow (\S+)", README)
    assert named and set(named) <= set(workflow_file.names())


def test_the_table_of_models_says_what_each_template_loads_and_from_where():
    rows = [line.split("|") for line in TABLES.splitlines() if "safetensors" in line]
    missing, loaded = [], 0
    for name, title in workflow_file.TITLES.items():
        for model, folder in re.findall(
            r'"name":\s*"([^"]+)",\s*"url":\s*"[^"]+",\s*"directory":\s*"([^"]+)"',
            workflow_file.file_of(name).read_text(encoding="utf-8"),
        ):
            loaded += 1
            of_it = [row for row in rows if title.split()[0] in row[2].strip().split(", ")]
            if not any(f"`{model}`" in row[3] and f"`{folder}`" in row[4] for row in of_it):
                missing.append((title, model, folder))
    assert loaded > 20 and missing == []


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
