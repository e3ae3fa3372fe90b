"""What real films bring: sound, subtitles and chapters, odd times and sizes, damage, and changes while one works."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.host.delivery import clips
from tests.host.film.films import damaged, film, turned
from tests.host.film.test_stereo_video_file import run, video
from tools import film as command
from tools import film_run

Host = dict[str, type]
SIZE = (24, 32)
COUNT = len(clips.UNEVEN)
EVEN = tuple(range(0, 512 * COUNT, 512))


@pytest.fixture
def output(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001  # it loads the host
    import folder_paths

    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path / "output"))
    return tmp_path / "output" / "film"


def maps(folder: Path, frames: int = COUNT, size: tuple[int, int] = SIZE) -> Any:
    """A video of depth maps."""
    return video(film(folder, size=size, frames=frames, name="maps", pixels="yuvj420p", codec="mjpeg", suffix=".mov"))


def made(host: Host, source: Path, **widgets: Any) -> Path:
    """The film that the node makes in pieces of three frames or more."""
    given = {"segment_seconds": 0.1, **widgets}
    return Path(run(host, video(source), maps(source.parent), **given).args[1])


def copied(path: Path) -> list[tuple[str, str | None]]:
    """The streams of a file that are no pictures, and their languages."""
    kinds = ("audio", "subtitle", "attachment")
    with av.open(str(path)) as container:
        return [(each.type, each.metadata.get("language")) for each in container.streams if each.type in kinds]


@pytest.mark.parametrize(
    "kind",
    [
        {"suffix": ".mp4"},
        {"suffix": ".mp4", "times": EVEN},
        {"suffix": ".mp4", "sound": None, "subtitles": None},
        {"suffix": ".mp4", "late": Fraction(1, 5)},
        {"suffix": ".mp4", "transfer": 16},
        {"suffix": ".mkv", "subtitles": "subrip", "font": b"a font"},
        {"suffix": ".mkv", "sound": "flac", "subtitles": None},
    ],
    ids=["uneven", "even", "silent", "late sound", "HDR", "subtitles and a font", "MKV"],
)
def test_all_but_the_pictures_is_copied_and_these_keep_their_times(
    host: Host, output: Path, tmp_path: Path, kind: dict[str, Any]
):
    del output
    chapters = [(0, 200, "one"), (200, 400, "two")]
    kind = {**kind, "chapters": chapters}
    source = clips.film(tmp_path / f"source{kind.pop('suffix')}", **kind)
    path = made(host, source)
    first = clips.times(source)[0]
    error = Fraction(1, 1000) if path.suffix == ".mkv" else 0
    assert all(
        abs(found - expected + first) <= error
        for found, expected in zip(clips.times(path), clips.times(source), strict=True)
    )
    for sort in ("audio", "subtitle"):
        found, expected = clips.packets(path, sort), clips.packets(source, sort)
        assert [digest for _, digest in found] == [digest for _, digest in expected]
        assert all(abs(one - other) <= error for (one, _), (other, _) in zip(found, expected, strict=True))
    assert copied(path) == copied(source)
    assert clips.chapters(path) == clips.chapters(source)
    with av.open(str(path)) as container:
        assert container.metadata["title"] == "a film"


def test_every_sound_track_is_kept(host: Host, output: Path, tmp_path: Path):
    del output
    one = clips.film(tmp_path / "one.mp4", subtitles=None)
    source = tmp_path / "two.mp4"
    with av.open(str(one)) as given, av.open(str(source), "w") as container:
        streams = [given.streams.video[0], given.streams.audio[0]]
        copies = {stream.index: [container.add_stream_from_template(stream, opaque=True)] for stream in streams}
        copies[1].append(container.add_stream_from_template(streams[1], opaque=True))
        for number, stream in enumerate(copies[1]):
            stream.metadata["language"] = ("deu", "fra")[number]
        packets = [packet for packet in given.demux(*streams) if packet.dts is not None]
        for packet in packets:
            for copy in copies[packet.stream.index]:
                packet.stream = copy
                container.mux(packet)
    path = made(host, source)
    assert copied(path) == copied(source) == [("audio", "deu"), ("audio", "fra")]


def test_turned_pictures_stand_upright(host: Host, output: Path, tmp_path: Path):
    del output
    source = turned(film(tmp_path, size=(32, 24), frames=COUNT), 90)
    path = made(host, source)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert (frame.height, frame.width, frame.rotation) == (SIZE[0], 2 * SIZE[1], 0)
    expected = video(source).get_components().images
    assert (clips.pixels(path)[:, :, : SIZE[1]] - expected).abs().mean() < 0.02


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "hevc_10bit"])
@pytest.mark.parametrize("frames", [1, 2, 7])
def test_few_frames_and_ten_bits(host: Host, output: Path, tmp_path: Path, codec: str, frames: int):
    del output
    source = film(tmp_path, size=SIZE, frames=frames, codec="libx265", pixels="yuv420p10le")
    path = Path(run(host, video(source), maps(tmp_path, frames), codec=codec, segment_seconds=0.1).args[1])
    assert clips.times(path) == clips.times(source)
    expected = video(source).get_components().images
    assert (clips.pixels(path)[:, :, : SIZE[1]] - expected).abs().mean() < 0.02


def test_odd_sizes_are_refused_before_the_work(host: Host, output: Path, tmp_path: Path):
    source = film(tmp_path, size=(24, 33), pixels="yuv444p", frames=COUNT)
    with pytest.raises(ValueError, match=r"^video: its pictures are 33x24"):
        made(host, source)
    assert not list(output.glob("*"))


def test_a_part_of_a_film_brings_its_part_of_the_sound(host: Host, output: Path, tmp_path: Path):
    del output
    source = clips.film(tmp_path / "source.mp4", times=EVEN)
    windows = (0.08, 0.2), (2 * 512 / 12800, 0.2)
    path = Path(run(host, video(source, *windows[0]), video(maps(tmp_path).get_stream_source(), *windows[1])).args[1])
    assert clips.times(path) == [Fraction(frame, 25) for frame in range(5)]
    sound, whole = clips.packets(path, "audio"), [digest for _, digest in clips.packets(source, "audio")]
    places = [whole.index(digest) for _, digest in sound]
    assert places == list(range(places[0], places[0] + len(sound)))
    packet = Fraction(1024, 48000)
    assert abs(len(sound) * packet - Fraction(1, 5)) <= 2 * packet
    assert abs((places[0] - 1) * packet - sound[0][0] - Fraction(2, 25)) <= packet  # AAC begins a packet early


def test_a_damaged_frame_leaves_all_others_at_their_times(host: Host, output: Path, tmp_path: Path):
    del output
    source = film(tmp_path, size=SIZE, frames=COUNT, codec="mjpeg", pixels="yuvj420p", suffix=".avi")
    broken = damaged(source, [4])
    path = made(host, broken)
    expected = video(source).get_components().images
    expected[4] = expected[3]
    assert (clips.pixels(path)[:, :, : SIZE[1]] - expected).abs().mean() < 0.02
    assert clips.times(path) == clips.times(source)


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_hdr_stays_hdr_in_ten_bits(host: Host, output: Path, tmp_path: Path, container: str):
    del output
    source = clips.film(tmp_path / "source.mp4", transfer=16, matrix=9)
    path = made(host, source, codec="hevc_10bit", container=container)
    with av.open(str(path)) as whole:
        codec = whole.streams.video[0].codec_context
        assert (codec.color_trc, codec.colorspace, codec.color_primaries, codec.color_range) == (16, 9, 9, 1)


def test_a_source_that_was_changed_between_two_runs_begins_anew(host: Host, tmp_path: Path):
    source, output = film(tmp_path, size=SIZE, frames=60, name="source"), tmp_path / "film.mp4"
    words = [str(source), "--depth", str(source), "--output", str(output), "--rendering", "fast", "--cpu"]
    words += ["--segment-seconds", "1"]
    assert film_run.make(host, command.parse([*words, "--segments", "0:1"])) == 0
    (before,) = tmp_path.glob("*.segments")
    film(tmp_path, size=SIZE, frames=60, name="source", cuts=(3,))
    assert film_run.make(host, command.parse(words)) == 0
    assert list(tmp_path.glob("*.segments")) == [before]  # nobody's work is thrown away
    expected = video(source).get_components().images
    assert (clips.pixels(output)[:, :, : SIZE[1]] - expected).abs().mean() < 0.02
