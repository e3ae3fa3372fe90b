"""A process that is killed while it joins a film leaves nothing that the next one does not clear away."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.host.film.films import film
from tests.host.film.test_stereo_video_file import run, video

Pack = Callable[[str], ModuleType]


class Killed(BaseException):
    """After which nothing is cleared away."""


def test_what_a_killed_process_left_of_the_film_goes(
    host: dict[str, type], pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import folder_paths

    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path / "output"))
    source, output = video(film(tmp_path)), tmp_path / "output" / "film"
    files, unlink = pack("nodes.delivery.video_file").VideoFile, Path.unlink

    def killed(_: Any, path: Path, *__: Any) -> None:
        path.write_bytes(b"half a film")
        path.with_name(f"{path.name}.raw").write_bytes(b"half a film")
        monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(files, "write_packets", killed)
        run(host, source, source)
    monkeypatch.setattr(Path, "unlink", unlink)
    (lock,) = output.glob("*.segments/film.lock")
    lock.write_text(lock.read_text().replace(f'"process": {os.getpid()}', '"process": 4194305'))
    left = sorted(each.name for each in output.iterdir() if each.is_file())
    assert len(left) == 3 and (output / "film_00001_LRF_Full_SBS.mp4").stat().st_size == 0
    path = Path(run(host, source, source).args[1])
    assert [each.name for each in output.iterdir()] == [path.name]
