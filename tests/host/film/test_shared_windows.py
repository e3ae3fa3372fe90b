"""Two machines that work on the windows of one film: what happens where both finish at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.host.film.films import film
from tests.host.film.test_film_windows import FILE, FRAMES, Host, Pack, blocked, output, save, source, window
from tests.host.film.test_stereo_video_file import video
from tests.host.tiny.inputs import defaults

__all__ = ["output", "source"]  # fixtures


@pytest.fixture
def said(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []
    module = pack("nodes.film.save_film_window")
    monkeypatch.setattr(module, "show_text", lambda _, text: texts.append(text))
    return texts


def make_up_to(host: Host, source: Path, number: int) -> None:
    for each in range(number):
        images, chosen, *_ = window(host, source, each)
        save(host, chosen, images.clone)


def meanwhile(pack: Pack, monkeypatch: pytest.MonkeyPatch, name: str, other: Callable[[], Any], after: bool) -> None:
    """Have another machine work just before or after this one's first call of a method of the work."""
    work = pack("nodes.film.window_work").WindowWork
    given = getattr(work, name)

    def method(*args: Any) -> Any:
        monkeypatch.setattr(work, name, given)
        if after:
            given(*args)
            return other()
        other()
        return given(*args)

    monkeypatch.setattr(work, name, method)


def names(output: Path) -> list[str]:
    return [each.name for each in output.iterdir()]


@pytest.mark.parametrize("late", [False, True])
def test_a_window_that_another_machine_has_just_made_stays_as_it_is(
    host: Host, pack: Pack, output: Path, source: Path, monkeypatch: pytest.MonkeyPatch, late: bool
):
    make_up_to(host, source, 1)
    images, chosen, *_ = window(host, source, 1)
    other, made = (lambda: save(host, chosen, images.clone)), []

    def view() -> Tensor:
        if late:
            meanwhile(pack, monkeypatch, "make", lambda: made.append(other()), after=False)
        else:
            made.append(other())
        return 0 * images

    assert all(map(blocked, save(host, chosen, view).args)) and len(made) == 1
    (folder,) = output.iterdir()
    assert torch.equal(kept(folder, 1), images[3:].movedim(-1, 1).half())
    assert not (folder / "000000.npy").exists()


def kept(folder: Path, number: int) -> Tensor:
    return torch.from_numpy(np.load(folder / f"{number:06}.npy"))


@pytest.mark.parametrize("name", ["make", "expect_alike"])
def test_who_comes_second_does_nothing_where_the_film_is_just_finished(
    host: Host,
    pack: Pack,
    output: Path,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: list[str],
    name: str,
):
    make_up_to(host, source, 5)
    images, chosen, *_ = window(host, source, 5)

    def view() -> Tensor:
        meanwhile(pack, monkeypatch, name, lambda: save(host, chosen, images.clone), after=True)
        return images.clone()

    assert all(map(blocked, save(host, chosen, view).args))
    assert "is gone from" in said[-1] and "Another ComfyUI has just finished this film there" in said[-1]
    assert names(output) == ["film_00001_LRF_Full_SBS.mp4"]


def test_who_comes_second_waits_for_nobody_where_the_film_is_just_written(
    host: Host, pack: Pack, output: Path, source: Path, said: list[str]
):
    make_up_to(host, source, 5)
    (folder,) = output.iterdir()
    images, chosen, *_ = window(host, source, 5)
    with pack("nodes.film.work_folder").WorkFolder(folder).claim("film"):
        assert all(map(blocked, save(host, chosen, images.clone).args))
    assert said[-1] == "All 6 windows are done, and another ComfyUI is just writing the film."
    assert not blocked(save(host, chosen, images.clone).args[1])


def test_a_window_of_a_film_that_is_finished_begins_no_other(host: Host, output: Path, source: Path):
    make_up_to(host, source, 5)
    images, chosen, *_ = window(host, source, 5)

    def view() -> Tensor:
        save(host, chosen, images.clone)
        return images.clone()

    with pytest.raises(ValueError, match="window: 5 fades from window 4, .* has just finished this film, there is not"):
        save(host, chosen, view)
    assert names(output) == ["film_00001_LRF_Full_SBS.mp4"]


def test_a_window_fades_in_its_holes_alone_and_they_lose_some_contrast_halfway(
    host: Host, pack: Pack, output: Path, tmp_path: Path
):
    """What the help says of the seam: with depth from a film, and paintings that have nothing in common."""
    del output
    size = (64, 96)
    path, maps = film(tmp_path, size=size, frames=FRAMES), film(tmp_path, size=size, frames=FRAMES, name="maps")
    rights, holes = [], []
    for number in (0, 1):
        images, chosen, *_ = window(host, path, number, length=12, overlap=8)
        depth = host["Stereo_FilmWindow"].execute(video(maps), 0, 1, 0, 0, like=chosen).args[0]
        node = host["Stereo_StereoStrength"]
        strength = node.execute(**{**defaults(node), "depth": depth, "image": images, "max_disparity": 20.0}).args[0]
        painted = torch.rand(images.shape, generator=torch.Generator().manual_seed(number))
        composite = host["Stereo_StereoComposite"].execute(images, strength, painted, 0.0, "none", "fast").args
        rights.append(composite[1])
        holes.append(composite[2] > 0)
    before, after = rights[0][4:], rights[1][:8]
    assert torch.equal(holes[0][4:], holes[1][:8])
    faded, inside = pack("stereo_core.windows").fade(before, after), holes[1][:8]
    assert torch.equal(faded[~inside], after[~inside])
    contrasts = [(frame[hole].std() / 12**-0.5).item() for frame, hole in zip(faded, inside, strict=True)]
    assert 0.66 < min(contrasts[3:5]) and max(contrasts[3:5]) < 0.76
    assert min(contrasts[0], contrasts[-1]) > 0.85


def test_settings_that_are_refused_leave_no_folder(host: Host, output: Path, source: Path):
    node, wrong = host["Stereo_SaveFilmWindow"], {**FILE, "tags": "container_and_stream", "format": "anaglyph_dubois"}
    with pytest.raises(ValueError, match="tags: container_and_stream"):
        node.check_lazy_status(window(host, source, 0)[1], **wrong, right=None)
    assert not output.exists() or names(output) == []
