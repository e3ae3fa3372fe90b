"""The headless browser's packages: pinned, installed once, and skipped for a stated reason."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.setup import node_packages
from tools.setup.node_packages import NodePackagesError, prepare


@pytest.fixture
def npm(home: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Replace npm by one that makes its folder; its calls."""
    calls: list[Path] = []

    def run(command: list[str], _: object, cwd: Path) -> int:
        assert command[1] == "ci" and "--ignore-scripts" in command and str(home) in command[-1]
        calls.append(cwd)
        (cwd / "node_modules").mkdir()
        return 0

    monkeypatch.setattr(node_packages, "find_npm", lambda: "npm")
    monkeypatch.setattr(node_packages, "run_watched", run)
    return calls


def test_they_are_installed_once(npm: list[Path], home: Path) -> None:
    prepare()
    prepare()
    assert len(npm) == 1 and (home / "frontend" / "node_modules").is_dir()
    assert not (home / "frontend.partial").exists()


def test_a_failed_installation_says_why_and_is_tried_again(
    npm: list[Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = node_packages.run_watched

    def failing(_: list[str], watch: Callable[[str], object], cwd: Path) -> int:
        assert cwd == home / "frontend.partial"
        watch("npm error code ENOTFOUND\n")
        watch("npm error network request to the registry failed\n")
        return 1

    monkeypatch.setattr(node_packages, "run_watched", failing)
    with pytest.raises(NodePackagesError, match="npm could not install .*: network request to the registry failed"):
        prepare()
    assert not list(home.glob("frontend*"))
    monkeypatch.setattr(node_packages, "run_watched", works)
    prepare()
    assert (home / "frontend").is_dir() and npm


@pytest.mark.parametrize(
    ("version", "said"), [("v16.20.0", "Node.js is v16.20.0; the browser needs 18"), ("", "broken")]
)
def test_an_old_node_is_told(monkeypatch: pytest.MonkeyPatch, version: str, said: str) -> None:
    monkeypatch.setattr(node_packages.shutil, "which", lambda name: name)
    answer = subprocess.CompletedProcess([], 0, version, "")
    monkeypatch.setattr(node_packages.subprocess, "run", lambda *_, **__: answer)
    with pytest.raises(NodePackagesError, match=said):
        node_packages.find_npm()


def test_a_machine_without_node_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_packages.shutil, "which", lambda _: None)
    with pytest.raises(NodePackagesError, match="Node.js with npm is not installed"):
        node_packages.find_npm()


def test_the_lock_pins_every_package_by_checksum_and_names_no_server() -> None:
    lock = json.loads((node_packages.SOURCE / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert len(packages) > 10
    for name, entry in packages.items():
        assert entry["integrity"].startswith("sha512-") and "resolved" not in entry, name
