"""A folder that several processes work in, some of which are killed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

Pack = Callable[[str], ModuleType]


@pytest.fixture
def folders(pack: Pack) -> Any:
    return pack("nodes.film.work_folder").WorkFolder


def lock(folder: Path, name: str, **owner: Any) -> Path:
    path = folder / f"{name}.lock"
    path.write_text(json.dumps({"machine": socket.gethostname(), "process": 1, "since": 0.0, **owner}))
    return path


def test_the_same_film_is_gone_on_with_and_another_one_has_its_own_folder(folders: Any, tmp_path: Path):
    folder = folders.open(tmp_path, "a[film]", {"source": "a", "crf": 18})
    folder.write("000001.mp4", b"whole")
    again = folders.open(tmp_path, "a[film]", {"crf": 18, "source": "a"})
    assert again.file("000001.mp4").read_bytes() == b"whole" and again.others == []
    assert json.loads(again.file("manifest.json").read_text())["crf"] == 18
    other = folders.open(tmp_path, "a[film]", {"source": "a", "crf": 20})
    assert not other.file("000001.mp4").exists() and other.others == [folder.path]
    assert folders.open(tmp_path, "a", {"source": "a", "crf": 22}).others == []
    other.remove()
    assert again.others == [] and again.file("000001.mp4").exists()


def test_a_film_that_has_another_name_each_time_is_gone_on_with(folders: Any, tmp_path: Path):
    folder = folders.open(tmp_path, "film_2026-11-27_20-05", {"source": "a"})
    assert folders.open(tmp_path, "film_2026-11-28_07-30", {"source": "a"}) == folder
    assert folders.open(tmp_path, "film_2026-11-28_07-30", {"source": "b"}) != folder
    assert folders.open(tmp_path / "elsewhere", "film", {"source": "a"}) != folder


def test_processes_of_one_number_on_two_machines_do_not_write_the_same_file(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    files = pack("nodes.film.whole_files")
    mine = files.partial_of(tmp_path / "a")
    monkeypatch.setattr(files.socket, "gethostname", lambda: "elsewhere")
    assert files.partial_of(tmp_path / "a") != mine


def test_work_is_taken_once(folders: Any, tmp_path: Path):
    folder = folders.open(tmp_path, "work", {})
    with folder.claim("000001") as mine:
        assert mine is not None
        mine.touch()
        with folder.claim("000001") as other:
            assert other is None
        with folder.claim("000002") as second:
            assert second is not None
        assert (folder.path / "000001.lock").exists()
    with folder.claim("000001") as free:
        assert free is not None
    assert not list(folder.path.glob("*.lock"))


@pytest.mark.parametrize(
    ("owner", "age", "free"),
    [
        ({"process": 2**22 + 1}, 0, True),  # no such process
        ({"process": os.getpid(), "since": 1.0}, 0, True),  # another process had this number
        ({"machine": "elsewhere"}, 60, False),
        (None, 0, False),  # being written
        (None, 60, True),  # killed while it was written
        ({"machine": "elsewhere"}, 3700, True),
    ],
)
def test_a_lock_of_nobody_is_taken_over(
    folders: Any, tmp_path: Path, owner: dict[str, Any] | None, age: float, free: bool
):
    folder = folders.open(tmp_path, "work", {})
    path = folder.path / "000001.lock"
    path.write_text('{"mach')
    if owner is not None:
        lock(folder.path, "000001", **owner)
    os.utime(path, (time.time() - age,) * 2)
    with folder.claim("000001") as claim:
        assert (claim is not None) == free


@pytest.mark.skipif(sys.platform == "win32", reason="there no process stays as a zombie")
def test_a_lock_of_a_killed_process_whose_parent_has_not_asked_for_it_is_taken_over(folders: Any, tmp_path: Path):
    folder = folders.open(tmp_path, "work", {})
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        said = {"machine": socket.gethostname(), "process": child.pid, "since": psutil.Process(child.pid).create_time()}
        folder.file("000001.lock").write_text(json.dumps(said))
        with folder.claim("000001") as claim:
            assert claim is None
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it is dead, and left as it is
        with folder.claim("000001") as claim:
            assert claim is not None
