"""The command for every Python: which ones it finds, and what it says of each."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tools import test as test_command
from tools.setup import interpreters


@pytest.fixture
def pythons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[tuple[int, int], Path]:
    """Stand-ins: 3.10 fails, 3.12 passes, there is none else."""
    found = {(3, 10): tmp_path / "python3.10", (3, 12): tmp_path / "python3.12"}
    monkeypatch.setattr(interpreters, "find_python", found.get)
    return found


def test_each_has_a_set_up_of_its_own_and_the_downloads_of_all(
    home: Path,
    pythons: dict[tuple[int, int], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran: list[str] = []
    monkeypatch.setenv("LATENT_STEREO_READY", "1")
    monkeypatch.setattr(sys, "argv", ["test.py", "--pythons", "-x"])

    def run_child(command: list[str], variables: dict[str, str]) -> int:
        place = Path(variables["LATENT_STEREO_HOME"])
        assert command[1:] == [test_command.__file__, "core", "-x"]
        assert "LATENT_STEREO_READY" not in variables
        assert variables["PIP_CACHE_DIR"] == str(home / "pythons" / "downloads")
        assert [f for f in (home / "pythons").iterdir() if f.name != "downloads"] == []  # one at a time
        place.mkdir()
        ran.append(command[0])
        return 3 if place.name == "3.10" else 0

    monkeypatch.setattr(interpreters, "run_child", run_child)
    assert test_command.main() == 1
    assert ran == [str(python) for python in pythons.values()]
    told = capsys.readouterr().out
    for line in ("Python 3.10  failed (3) in", "Python 3.11  skipped: not found", "Python 3.12  passed in"):
        assert line in told
    assert not (home / "pythons").exists()
    del pythons[3, 10]
    assert test_command.main() == 0
    pythons.clear()
    assert test_command.main() == 1  # nothing was tested


@pytest.mark.usefixtures("home", "pythons")
def test_ctrl_c_stops_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[object] = []
    monkeypatch.setattr(interpreters, "run_child", lambda command, _: ran.append(command) or 130)
    assert interpreters.run_on_all(["test.py"]) == 130 and len(ran) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")
def test_what_only_has_the_name_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stand_in(place: str, script: str) -> Path:
        file = tmp_path / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        return file

    broken = stand_in("bin/python3.9", "exit 127")
    stand_in("bin/python3", "echo 3.8; echo /wrong")
    stand_in("pyenv/versions/3.9.1t/bin/python3", "echo 3.9t; echo /free-threaded")
    assert os.access(broken, os.X_OK)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
    assert interpreters.find_python((3, 9)) is None
    stand_in("uv/cpython-3.9.2-linux/bin/python3", "echo 3.9; echo /right/python")
    assert interpreters.find_python((3, 9)) == Path("/right/python")


def test_this_python_is_found() -> None:
    found = interpreters.find_python(sys.version_info[:2])
    assert found is not None and found.is_file()
