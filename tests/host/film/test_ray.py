"""A film made on a Ray cluster, one of whose workers is killed: the same bytes as without Ray."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.host.film.films import film
from tools import film as command
from tools import film_run
from tools.setup.environment import READY, ROOT

pytest.importorskip("ray")


def words(source: Path, output: Path) -> list[str]:
    settings = ["--screen", "subject", "--rendering", "fast", "--segment-seconds", "1", "--max-disparity", "8"]
    return [str(source), "--depth", str(source), "--output", str(output), "--cpu", *settings]


def test_a_killed_worker_s_piece_is_made_again(host: dict[str, type], host_path: Path, tmp_path: Path):
    source = film(tmp_path, size=(270, 480), frames=150, cuts=(60,), name="source")
    alone, shared = tmp_path / "alone" / "film.mp4", tmp_path / "shared" / "film.mp4"
    for output in (alone, shared):
        output.parent.mkdir()
    assert film_run.make(host, command.parse(words(source, alone))) == 0

    log = tmp_path / "log"
    with log.open("w") as written:
        running = subprocess.Popen(
            [sys.executable, "tools/film.py", *words(source, shared), "--ray", "--workers", "2"],
            cwd=ROOT,
            env={**os.environ, READY: "1", "COMFYUI_PATH": str(host_path), "OMP_NUM_THREADS": "1"},
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    locks = "*.segments/00000[1-9].lock"
    while not (held := [lock for lock in shared.parent.glob(locks) if lock.stat().st_size]):
        assert running.poll() is None, log.read_text()
        time.sleep(0.005)
    os.kill(json.loads(held[0].read_text())["process"], signal.SIGKILL)
    assert running.wait(timeout=300) == 0, log.read_text()
    assert "and is done again: the worker died." in log.read_text()
    assert shared.read_bytes() == alone.read_bytes()
    assert [each.name for each in shared.parent.iterdir()] == ["film.mp4"]
