"""What the command for films refuses before anything is loaded."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tools import film, film_ray
from tools.setup.environment import READY


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("film.mp4", "maps.mp4"):
        Path(name).write_bytes(b"film")
    Path("folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("film.mp4", "one of the arguments --model --depth is required"),
        ("none.mp4 --depth maps.mp4", "there is no file none.mp4"),
        ("film.mp4 --model none", "there is no file or folder none"),
        ("film.mp4 --depth maps.mp4 --output none/a.mp4", "--output none/a.mp4: there is no folder none"),
        ("film.mp4 --depth maps.mp4 --output folder", "--output folder is a folder"),
        ("film.mp4 --depth maps.mp4 --output film.mp4", "--output film.mp4 is one of the films to be read"),
        ("film.mp4 --depth maps.mp4 --output maps.mp4", "--output maps.mp4 is one of the films to be read"),
        ("film.mp4 --depth maps.mp4 --output a.avi", "--output a.avi: give a name that ends with .mp4 or .mkv"),
        ("film.mp4 --depth maps.mp4 --output a.mkv --container mp4", "--output a.mkv: --container is mp4"),
        ("film.mp4 --depth maps.mp4 --codec divx", "argument --codec: invalid choice: 'divx' (choose from"),
        ("film.mp4 --depth maps.mp4 --max-disparity nan", "argument --max-disparity: give a number from 0 to 30"),
        ("film.mp4 --depth maps.mp4 --convergence 7", "argument --convergence: give a number from 0 to 1"),
        ("film.mp4 --depth maps.mp4 --batch-size 0", "argument --batch-size: give a number from 1 to 256"),
        ("film.mp4 --depth maps.mp4 --segment-seconds nan", "argument --segment-seconds: give a number from 1 to 600"),
        ("film.mp4 --depth maps.mp4 --segments 4", "--segments 4: give FIRST:END"),
        ("film.mp4 --depth maps.mp4 --segments 4:2", "--segments 4:2: give FIRST:END"),
        ("film.mp4 --depth maps.mp4 --ray A:6379 --segments 0:2", "--ray hands out all pieces; leave out --segments"),
        ("--depth maps.mp4 --ray film.mp4", "argument --ray: film.mp4 is no address; give HOST:PORT"),
        ("film.mp4 --depth maps.mp4 --ray A", "argument --ray: A is no address; give HOST:PORT"),
        ("film.mp4 --depth maps.mp4 --workers 2", "--workers is for --ray; leave it out"),
        ("film.mp4 --depth maps.mp4 --ray --workers 0", "argument --workers: give a number from 1 to 1024"),
    ],
)
def test_a_wrong_word_is_told(here: Path, capsys: pytest.CaptureFixture[str], words: str, message: str):  # noqa: ARG001
    with pytest.raises(SystemExit):
        film.parse(words.split())
    assert message in capsys.readouterr().err


def test_right_words_are_read(here: Path):  # noqa: ARG001
    options = film.parse("film.mp4 --depth maps.mp4 --segments 2:5 --output out.mp4".split())
    assert options.segments == range(2, 5) and options.output == Path("out.mp4") and options.max_disparity == 3.0
    assert options.container == "auto"
    assert film.parse("film.mp4 --depth maps.mp4 --output out.mkv".split()).container == "mkv"
    assert options.ray is None and film.parse("film.mp4 --depth maps.mp4 --ray".split()).ray == ""
    options = film.parse("film.mp4 --depth maps.mp4 --ray A:6379 --workers 3".split())
    assert options.ray == "A:6379" and options.workers == 3


def test_without_ray_its_package_is_named_before_anything_is_loaded(
    here: Path,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "tools.film_run", None)
    monkeypatch.setenv(READY, "1")
    monkeypatch.setattr(sys, "argv", "film.py film.mp4 --depth maps.mp4 --ray A:6379".split())
    monkeypatch.setattr(film.environment, "stop_on_signals", lambda: None)
    assert film.main() == 1
    said = capsys.readouterr()
    assert "--ray: Ray is not installed." in said.err and "-m pip install ray" in said.err and not said.out


@pytest.mark.parametrize(
    ("version", "mode", "has_token", "expected"),
    [
        ("2.60.0", None, True, "token"),
        ("3.0.0", None, True, "token"),
        ("2.60.0", None, False, None),
        ("2.60.0", "disabled", True, "disabled"),
        ("2.58.1", None, True, None),
        ("nightly", None, True, None),
    ],
)
def test_a_cluster_is_shown_the_token_that_ray_start_asks_for(
    version: str,
    mode: str | None,
    has_token: bool,
    expected: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    environment = {} if mode is None else {"RAY_AUTH_MODE": mode}
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(film_ray.metadata, "version", lambda _name: version)
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))
    (tmp_path / ".ray").mkdir()
    if has_token:
        (tmp_path / ".ray" / "auth_token").write_text("0" * 64)
    film_ray.import_ray()
    assert environment.get("RAY_AUTH_MODE") == expected


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("filename_prefix: the film needs 1 GiB more.", "--output: the film needs 1 GiB more."),
        ("codec: h264_nvenc needs an NVIDIA card: none.", "--codec: h264_nvenc needs an NVIDIA card: none."),
        ("--ray: Ray is not installed. Type:\npip", "--ray: Ray is not installed. Type:\npip"),
        ("model_name: cannot be read.", "--model: cannot be read."),
        ("depth is 24x24", "depth is 24x24"),
    ],
)
def test_messages_of_the_nodes_name_what_the_command_has(message: str, told: str):
    assert film.in_own_words(message) == told
