"""The memory that a film takes, from its beginning to its end."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.host.film.films import film
from tools import film as command
from tools import film_run

EARLY, FRAMES = 60, 400
SIZE = (128, 192)


def test_the_end_of_a_film_takes_no_more_memory_than_its_beginning(
    host: dict[str, type], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source = film(tmp_path, size=SIZE, frames=FRAMES)
    process, held, step = psutil.Process(), [], film_run.Lines.step

    def look(lines: film_run.Lines, picture: object = None) -> None:
        held.append(process.memory_info().rss)
        step(lines, picture)

    monkeypatch.setattr(film_run.Lines, "step", look)
    gc.collect()
    with suppress(OSError, AttributeError):  # what other tests have left free would hide what is held
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    words = [str(source), "--depth", str(source), "--rendering", "fast", "--segment-seconds", "8", "--cpu"]
    assert film_run.make(host, command.parse(words)) == 0
    assert len(held) == FRAMES
    one = 3 * 4 * SIZE[0] * SIZE[1]  # a picture as the warp takes it
    assert max(held) - max(held[:EARLY]) < (FRAMES - EARLY) * one / 2
