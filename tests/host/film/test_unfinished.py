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
from tools import film as command
from tools import film_run

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


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    source = str(film(tmp_path, name="source"))
    return [source, "--depth", source, "--output", str(tmp_path / "film.mp4"), "--rendering", "fast", "--cpu"]


def meanwhile(pack: Pack, monkeypatch: pytest.MonkeyPatch, other: Callable[[], Any]) -> None:
    """Have another process work just before the film is written."""
    work = pack("nodes.film.work").Work
    finish = work.finish

    def after(*given: Any, **named: Any) -> bool:
        monkeypatch.setattr(work, "finish", finish)
        other()
        return finish(*given, **named)

    monkeypatch.setattr(work, "finish", after)


@pytest.mark.parametrize("keep", [[], ["--keep-segments"]])
def test_who_comes_second_finds_the_film_written(
    host: dict[str, type],
    pack: Pack,
    tmp_path: Path,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    keep: list[str],
):
    words, times = [*words, *keep], []
    output = tmp_path / "film.mp4"

    def other() -> None:
        assert film_run.make(host, command.parse(words)) == 0
        times.append(output.stat().st_mtime_ns)

    meanwhile(pack, monkeypatch, other)
    assert film_run.make(host, command.parse(words)) == 0
    assert times == [output.stat().st_mtime_ns] and str(output) in capsys.readouterr().out.splitlines()
    assert bool(list(tmp_path.glob("*.segments"))) == bool(keep)


def test_another_film_of_the_same_name_is_told_and_stays(
    host: dict[str, type], pack: Pack, tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
):
    output = tmp_path / "film.mp4"
    meanwhile(pack, monkeypatch, lambda: film_run.make(host, command.parse([*words, "--format", "half_sbs"])))
    with pytest.raises(ValueError, match=r"another program has just written film\.mp4\. .* choose another name\.$"):
        film_run.make(host, command.parse([*words, "--keep-segments"]))
    before = output.read_bytes()
    other = str(output.with_name("other.mp4"))
    assert (
        list(tmp_path.glob("*.segments/*.mp4")) and film_run.make(host, command.parse([*words, "--output", other])) == 0
    )
    assert output.read_bytes() == before != Path(other).read_bytes() and not list(tmp_path.glob("*.segments"))


def test_a_film_of_a_like_name_is_left_to_who_writes_it(host: dict[str, type], tmp_path: Path, words: list[str]):
    others = [".film.two.4194305.part.mp4", ".film.two.4194305.part.mp4.raw", ".film.4194305.part.mkv"]
    for name in (*others, ".film.4194305.part.mp4", ".film.4194305.part.mp4.raw"):
        (tmp_path / name).write_bytes(b"half a film")
    assert film_run.make(host, command.parse(words)) == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([*others, "film.mp4", "source.mp4"])
