"""A film made by one process, and by several of which one is killed: the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.host.film.films import film
from tools import film as command
from tools import film_run
from tools.setup.environment import READY, ROOT

PIECES = 6


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("source"), frames=25 * PIECES, cuts=(60,))


def words(source: Path, output: Path) -> list[str]:
    settings = ["--screen", "subject", "--rendering", "fast", "--segment-seconds", "1", "--max-disparity", "8"]
    return [str(source), "--depth", str(source), "--output", str(output), "--cpu", *settings]


def start(host_path: Path, source: Path, output: Path, *program: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *(program or ("tools/film.py",)), *words(source, output)],
        cwd=ROOT,
        env={**os.environ, READY: "1", "COMFYUI_PATH": str(host_path), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _stopped_at_work(process: subprocess.Popen[str], output: Path) -> bool:
    """Stop a process where it holds a lock."""
    process.send_signal(signal.SIGSTOP)
    if list(output.parent.glob("*.segments/*.lock")):
        return True
    process.send_signal(signal.SIGCONT)
    return False


def _at_a_piece(output: Path) -> int | None:
    """Return a process that holds the lock of a piece, stopped there."""
    for lock in output.parent.glob("*.segments/00000[0-9].lock"):
        with suppress(OSError, ValueError):  # it is gone, or just being written
            process = json.loads(lock.read_text())["process"]
            os.kill(process, signal.SIGSTOP)
            if lock.exists():
                return process
            os.kill(process, signal.SIGCONT)
    return None


def made_alone(host: dict[str, type], source: Path, folder: Path) -> Path:
    """The film as one process makes it."""
    alone = folder / "alone" / "film.mp4"
    alone.parent.mkdir()
    assert film_run.make(host, command.parse(words(source, alone))) == 0
    return alone


def test_a_killed_process_loses_a_piece_and_others_finish_the_same_film(
    host: dict[str, type], host_path: Path, source: Path, tmp_path: Path
):
    alone, shared = made_alone(host, source, tmp_path), tmp_path / "shared" / "film.mp4"
    shared.parent.mkdir()
    assert [each.name for each in alone.parent.iterdir()] == ["film.mp4"]

    killed = start(host_path, source, shared)
    while not list(shared.parent.glob("*.segments/00000[1-9].mp4")) or not _stopped_at_work(killed, shared):
        assert killed.poll() is None, killed.communicate()[0]
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not shared.exists() and list(shared.parent.glob("*.segments/*.lock"))

    others = [start(host_path, source, shared) for _ in range(2)]
    said = [each.communicate(timeout=300)[0] for each in others]
    assert [each.returncode for each in others] == [0, 0], "\n".join(said)
    assert shared.read_bytes() == alone.read_bytes()
    assert [each.name for each in shared.parent.iterdir()] == ["film.mp4"]


def test_five_processes_of_which_one_is_killed_make_the_same_film(
    host: dict[str, type], host_path: Path, source: Path, tmp_path: Path
):
    alone, shared = made_alone(host, source, tmp_path), tmp_path / "shared" / "film.mp4"
    shared.parent.mkdir()

    crowd = start(host_path, source, shared, "-m", "tests.host.film.crowd", "5")
    while not (victim := _at_a_piece(shared)):
        assert crowd.poll() is None, crowd.communicate()[0]
        time.sleep(0.005)
    os.kill(victim, signal.SIGKILL)
    said = crowd.communicate(timeout=300)[0]
    assert crowd.returncode == 1, said
    assert shared.read_bytes() == alone.read_bytes()
    assert [each.name for each in shared.parent.iterdir()] == ["film.mp4"]


def test_a_process_killed_while_it_wrote_the_film_leaves_nothing_that_stays(
    host: dict[str, type], source: Path, tmp_path: Path
):
    output = tmp_path / "film.mp4"
    output.touch()
    (tmp_path / ".film.4194305.part.mp4").write_bytes(b"half a film")
    assert film_run.make(host, command.parse(words(source, output))) == 0
    assert output.stat().st_size and [each.name for each in tmp_path.iterdir()] == ["film.mp4"]


def test_some_pieces_are_made_and_the_rest_by_another_run(host: dict[str, type], source: Path, tmp_path: Path):
    output = tmp_path / "film.mp4"
    some = command.parse([*words(source, output), "--segments", "1:3"])
    assert film_run.make(host, some) == 0
    (work,) = tmp_path.glob("*.segments")
    assert [each.name for each in sorted(work.glob("*.mp4"))] == ["000001.mp4", "000002.mp4"] and not output.exists()
    with pytest.raises(ValueError, match="--segments: the film's pieces are 0:"):
        film_run.make(host, command.parse([*words(source, output), "--segments", "70:80"]))
    assert film_run.make(host, command.parse(words(source, output))) == 0
    assert output.exists() and not work.exists()
    before = output.stat().st_mtime_ns
    assert film_run.make(host, some) == 0 and output.stat().st_mtime_ns == before
    assert [each.name for each in tmp_path.iterdir()] == ["film.mp4"]
