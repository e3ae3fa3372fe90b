"""The command for films has what the nodes have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import av
import pytest

from tests.host.delivery import clips
from tests.host.film.films import FRAMES, film
from tools import film as command
from tools import film_run

Pack = Callable[[str], ModuleType]


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    source = str(film(tmp_path, name="source"))
    return [source, "--depth", source, "--rendering", "fast", "--cpu"]


@pytest.mark.parametrize(("name", "choices"), [("format", command.FORMATS), ("codec", command.CODECS)])
def test_choices_are_those_of_the_nodes(host: dict[str, type], name: str, choices: tuple[str, ...]):
    assert tuple(host["Stereo_StereoVideoFile"].INPUT_TYPES()["required"][name][1]["options"]) == choices


def test_defaults_are_those_of_the_nodes(host: dict[str, type], pack: Pack, words: list[str]):
    del host
    options = command.parse([*words, "--rendering", "best"])
    assert film_run._settings(options) == pack("nodes.film.film_settings").FilmSettings()


def test_every_word_arrives(host: dict[str, type], words: list[str]):
    del host
    views = "--max-disparity 4 --convergence 0.2 --screen subject --rendering detail --exponent 2 --balance 0.5"
    more = "--edge-growth 3 --depth-edges as_given --fill-from clip --resolution 28 --batch-size 2 --percentile 1"
    file = "--format half_tb --codec hevc --quality small --container mkv --tags none --segment-seconds 3"
    options = command.parse([*words, *views.split(), *more.split(), *file.split(), "--no-stabilize", "--invert"])
    told = film_run._settings(options)
    assert told.as_json() == {
        "form": "half_tb",
        "file": {"codec": "hevc", "quality": "small", "container": "mkv", "tags": "none"},
        "depth": {"resolution": 28, "batch_size": 2, "stabilize": False, "percentile": 1.0, "invert": True},
        "shift": {
            "geometry": {"max_disparity": 4.0, "convergence": 0.2, "exponent": 2.0, "screen": "subject"},
            "balance": 0.5,
            "rendering": "detail",
            "edge_growth": 3,
            "edges": "as_given",
            "fill_from": "clip",
        },
        "segment_seconds": 3.0,
    }


def test_a_file_is_what_its_name_says(host: dict[str, type], tmp_path: Path, words: list[str]):
    output = tmp_path / "film.mkv"
    assert film_run.make(host, command.parse([*words, "--output", str(output)])) == 0
    with av.open(str(output)) as container:
        assert "matroska" in container.format.name
        assert len([packet for packet in container.demux(video=0) if packet.size]) == FRAMES


def test_what_does_not_fit_into_the_named_file_is_told_before_the_work(host: dict[str, type], tmp_path: Path):
    source, output = clips.film(tmp_path / "source.mkv", sound="flac", subtitles="ass"), tmp_path / "film.mp4"
    words = [str(source), "--depth", str(source), "--output", str(output), "--rendering", "fast", "--cpu"]
    with pytest.raises(ValueError, match=r"^--output .*film\.mp4: mp4 cannot hold all .* ends with \.mkv, or leave"):
        film_run.make(host, command.parse(words))
    assert [each.name for each in tmp_path.iterdir()] == ["source.mkv"]
    assert film_run.make(host, command.parse([*words, "--container", "mp4"])) == 0
    with av.open(str(output)) as container:
        assert "mp4" in container.format.name and not container.streams.subtitles


def test_without_a_card_its_encoder_is_told_before_the_work(host: dict[str, type], tmp_path: Path, words: list[str]):
    output = tmp_path / "film.mp4"
    given = command.parse([*words, "--output", str(output), "--codec", "hevc_nvenc"])
    try:
        assert film_run.make(host, given) == 0
    except ValueError as error:
        assert str(error).startswith("codec: hevc_nvenc needs an NVIDIA card here")
        assert [each.name for each in tmp_path.iterdir()] == ["source.mp4"]
        return
    assert output.exists()
