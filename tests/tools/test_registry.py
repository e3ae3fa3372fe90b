"""What goes to the Comfy Registry, and the publisher's names in it."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tools import registry
from tools.setup.environment import ROOT

DEVELOPMENT = {".ci", ".gitignore", "CONTRIBUTING.md", "tests", "tools"}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A small repository with the pack's folders, a test, a tool, and a file that git does not know."""
    for name in ("__init__.py", "nodes/a.py", "workflows/a.json", "tests/test_a.py", "tools/a.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    for command in (["git", "init", "-q"], ["git", "add", "."]):
        if shutil.which("git") is None:
            pytest.skip("git is not installed")
        subprocess.run(command, cwd=tmp_path, check=True)
    (tmp_path / "nodes" / "secret.txt").write_text("not for others")
    for name in registry.NAMED:
        shutil.copyfile(ROOT / name, tmp_path / name)
    return tmp_path


def test_the_archive_holds_the_pack_and_nothing_else(clone: Path):
    folder, archive = registry.make_archive(clone, clone / "output")
    expected = ["__init__.py", "nodes/a.py", "workflows/a.json"]
    with zipfile.ZipFile(archive) as zipped:
        assert zipped.namelist() == expected
    found = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    assert found == [".comfyignore", *expected]


def test_everything_at_the_top_is_the_packs_or_for_development():
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this is no clone")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {name.split("/")[0] for name in listed.splitlines()}
    assert top - DEVELOPMENT == set(registry.PACK_FILES) & top, "say in tools/host/server.py what users get"


def test_one_command_puts_the_names_in_place_and_may_be_repeated(clone: Path):
    for publisher, repository in (("ann", "ann/latent-stereo"), ("bob", "studio/stereo.nodes")):
        registry.fill_in(clone, publisher, repository)
        project = (clone / "pyproject.toml").read_text(encoding="utf-8")
        assert f'PublisherId = "{publisher}"' in project
        addresses = re.findall(r'"https://(?:raw\.githubusercontent|github)\.com/([^/"]+/[^/"#]+)', project)
        assert len(addresses) == 5 and set(addresses) == {repository}
        assert f"git clone https://github.com/{repository} " in (clone / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--repository", "a/b"], "--repository needs --publisher"),
        (["--publisher", "a b"], "a b is no publisher id"),
        (["--publisher", "a", "--repository", "https://github.com/a/b"], "name it as OWNER/NAME"),
    ],
)
def test_wrong_names_are_told(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        registry.parse(arguments)
    assert said in capsys.readouterr().err


def test_icon_and_banner_have_the_sizes_that_the_registry_takes():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    sizes = {}
    for key in ("Icon", "Banner"):
        path = re.search(rf'^{key} = "https://raw\.githubusercontent\.com/[^/]+/[^/]+/main/(.+)"$', project, re.M)[1]
        with Image.open(ROOT / path) as picture:
            sizes[key] = picture.size
    assert sizes["Icon"][0] <= 800 and sizes["Icon"][1] <= 400
    assert sizes["Banner"][0] * 9 == sizes["Banner"][1] * 21
