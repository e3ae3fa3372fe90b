"""The command that runs the tests: which ones, in how many processes, and with a browser or without."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from tools import test as test_command
from tools.setup.node_packages import NodePackagesError

ALL_CORES = ["-n", "4", "--dist", "loadfile"]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the command starts on a machine of eight cores: "browser packages", then pytest's arguments."""
    made: list[Any] = []

    def run_child(command: list[str], variables: dict[str, str], **_: object) -> int:
        assert command[:3] == [sys.executable, "-m", "pytest"]
        assert ("--dist" in command) == (variables.get("OMP_NUM_THREADS") == "1")
        made.append(command[3:])
        return 5

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(test_command.environment, "enter", lambda _: None)
    monkeypatch.setattr(test_command.environment, "run_child", run_child)
    monkeypatch.setattr(test_command.node_packages, "prepare", lambda: made.append("browser packages"))
    return made


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["browser packages", ALL_CORES]),
        (["core"], [["tests/core", "tests/tools", *ALL_CORES]]),
        (["host", "-x"], [["tests/host", "-m", "not browser", *ALL_CORES, "-x"]]),
        (["browser"], ["browser packages", ["tests/host", "-m", "browser", *ALL_CORES]]),
        (["-k", "core"], ["browser packages", [*ALL_CORES, "-k", "core"]]),
        (["core", "-n", "2"], [["tests/core", "tests/tools", "-n", "2"]]),
        (["core", "--pdb"], [["tests/core", "tests/tools", "--pdb"]]),
        (["core", "-p", "no:xdist"], [["tests/core", "tests/tools", "-p", "no:xdist"]]),
    ],
)
def test_a_lane_is_a_choice_of_tests(
    calls: list[Any], monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: list[Any]
) -> None:
    monkeypatch.setattr(sys, "argv", ["test.py", *arguments])
    assert test_command.main() == 5 and calls == expected


def test_one_core_runs_one_process(calls: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    monkeypatch.setattr(sys, "argv", ["test.py", "core"])
    test_command.main()
    assert calls == [["tests/core", "tests/tools"]]


@pytest.mark.parametrize(
    ("ci", "node", "expected"), [("true", True, 1), ("true", False, 5), ("", True, 5), ("", False, 5)]
)
@pytest.mark.usefixtures("calls")
def test_only_in_ci_a_browser_that_cannot_be_installed_is_an_error(
    monkeypatch: pytest.MonkeyPatch, ci: str, node: bool, expected: int
) -> None:
    def failing() -> None:
        raise NodePackagesError("npm failed")

    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(sys, "argv", ["test.py"])
    monkeypatch.setattr(test_command.node_packages, "prepare", failing)
    monkeypatch.setattr(test_command.node_packages, "has_node", lambda: node)
    assert test_command.main() == expected
