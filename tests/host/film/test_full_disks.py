"""Disks that are full, and folders that go: what is said, and what is left."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from tests.host.film.films import film
from tests.host.film.test_stereo_video_file import run, video

Pack = Callable[[str], ModuleType]
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no disk that is always full")
SAID = r"^filename_prefix: .*{} cannot be written: No space left on device\. Make room there"


@needs_full
@pytest.mark.parametrize("kind", ["small pictures", "a small file", "how far a scene is"])
def test_a_file_that_finds_no_room_is_told_and_leaves_nothing(pack: Pack, tmp_path: Path, kind: str):
    path = tmp_path / "a"
    pack("nodes.film.whole_files").partial_of(path).symlink_to(FULL)
    with pytest.raises(ValueError, match=SAID.format("a")):
        if kind == "small pictures":
            pack("nodes.film.analysis").write_thumbnails(path, [torch.rand(1, 3, 24, 32)] * 20)
        elif kind == "a small file":
            pack("nodes.film.work_folder").WorkFolder(tmp_path).write("a", b"something")
        else:
            pace = pack("nodes.film.scene_pace").Pace(False)
            list(pace.watch([torch.rand(1, 3, 24, 32)]))
            pace.write(path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("late", "name"), [(0, "manifest.json"), (1, "000000.mp4"), (3, "film_00001_LRF_Full_SBS.mp4")]
)
def test_a_disk_that_tells_late_that_it_is_full_keeps_the_pieces(
    host: dict[str, type], pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: int, name: str
):
    """What has its name is on the disk: a computer that is switched off then loses nothing of it."""
    import folder_paths

    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path / "output"))
    module, calls = pack("nodes.film.whole_files"), []
    fsync = module.os.fsync

    def full(file: int) -> None:
        if len(calls) == late:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        calls.append(file)
        fsync(file)

    source = video(film(tmp_path))
    with monkeypatch.context() as patched, pytest.raises(ValueError, match=rf"{name} cannot be written: No space left"):
        patched.setattr(module.os, "fsync", full)
        run(host, source, source)
    kept = ["manifest.json", "000000.mp4"][: min(late, 2)]
    assert sorted(each.name for each in (tmp_path / "output").rglob("*.*") if each.is_file()) == sorted(kept)
    assert Path(run(host, source, source).args[1]).name == "film_00001_LRF_Full_SBS.mp4"


@needs_full
def test_a_map_that_finds_no_room_is_told(pack: Pack, tmp_path: Path):
    path = tmp_path / "maps.npy"
    path.symlink_to(FULL)
    with pytest.raises(ValueError, match=SAID.format("maps.npy")):
        pack("nodes.film.map_files").write_map(path, 0, 2, torch.zeros(1, 1, 4, 6))


def test_maps_lie_in_a_file_that_grows_with_them(pack: Pack, tmp_path: Path):
    maps, path, files = torch.rand(5, 1, 4, 6), tmp_path / "maps.npy", pack("nodes.film.map_files")
    sizes = []
    for number, each in enumerate(maps):
        files.write_map(path, number, len(maps), each[None])
        sizes.append(path.stat().st_size)
    assert set(np.diff(sizes)) == {4 * 4 * 6}  # room that is not there yet is not promised: writing to it may fail
    assert np.array_equal(np.load(path), maps.numpy()) and files.count_maps(path) == 5
    assert torch.equal(torch.cat([files.read_map(path, number) for number in range(5)]), maps)


def test_a_lock_that_finds_no_room_is_told_and_is_not_left(pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    module = pack("nodes.film.work_folder")
    folder = module.WorkFolder.open(tmp_path, "film", {})

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "owner", full)
    with pytest.raises(ValueError, match=SAID.format("000001.lock")), folder.claim("000001"):
        pass
    assert [each.name for each in folder.path.iterdir()] == ["manifest.json"]


def test_a_name_that_is_too_long_is_told(pack: Pack, tmp_path: Path):
    with pytest.raises(ValueError, match=r"^filename_prefix: .* cannot be written: File name too long\."):
        pack("nodes.film.work_folder").WorkFolder.open(tmp_path, 250 * "a", {})


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no place where no folder can be")
def test_a_place_where_no_folder_can_be_is_told(pack: Pack):
    with pytest.raises(ValueError, match=r"^filename_prefix: /proc/none/film\..* cannot be written: No such file"):
        pack("nodes.film.work_folder").WorkFolder.open(Path("/proc/none"), "film", {})


def test_work_that_another_process_has_finished_is_told(
    host: dict[str, type], pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import folder_paths

    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path / "output"))
    module = pack("nodes.film.work")
    write = module.write_segment

    def finished(path: Path, *given: Any) -> int:
        count = write(path, *given)
        pack("nodes.film.work_folder").WorkFolder(path.parent).remove()
        return count

    monkeypatch.setattr(module, "write_segment", finished)
    source = video(film(tmp_path))
    with pytest.raises(ValueError, match=r"^filename_prefix: film\..*\.segments is gone from"):
        run(host, source, source, segment_seconds=0.2)
    assert not list((tmp_path / "output" / "film").iterdir())


def test_one_who_waits_for_others_can_be_interrupted(pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import comfy.model_management as management

    scenes, folder = pack("nodes.film.film_scenes"), pack("nodes.film.work_folder").WorkFolder.open(tmp_path, "a", {})
    monkeypatch.setattr(scenes.time, "sleep", lambda _: management.interrupt_current_processing())
    plan = pack("nodes.film.film_plan").FilmPlan.read(video(film(tmp_path)))
    with folder.claim("cuts_0000000"), pytest.raises(management.InterruptProcessingException):
        scenes.scenes_of(plan, folder, None)
