"""Files that are unlike the others: what is none, what tells no times or others, and what is shown in another shape."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
import torch

from tests.host.delivery.clips import times
from tests.host.film.films import film, turned
from tests.host.film.test_stereo_video_file import run, video

Pack = Callable[[str], ModuleType]
Host = dict[str, type]


@pytest.fixture(autouse=True)
def _output(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001  # it loads the host
    import folder_paths

    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path / "output"))


def plan(pack: Pack, path: Path) -> Any:
    return pack("nodes.film.film_plan").FilmPlan.read(video(path))


def pictures(pack: Pack, path: Path) -> torch.Tensor:
    frames = list(pack("nodes.film.frames").read_frames(str(path), plan(pack, path).times))
    assert not any(frame.lost for frame in frames)
    return torch.cat([frame.picture for frame in frames])


@pytest.mark.parametrize("content", [b"", b"no film at all" * 100])
def test_what_is_no_video_is_told_by_the_name_of_its_input(host: Host, tmp_path: Path, content: bytes):
    broken, whole = tmp_path / "broken.mp4", film(tmp_path)
    broken.write_bytes(content)
    with pytest.raises(ValueError, match=r"^video: broken.mp4 cannot be read as a video: .*\. Choose another file"):
        run(host, video(broken), video(whole))
    with pytest.raises(ValueError, match=r"^depth: broken.mp4 cannot be read"):
        run(host, video(whole), video(broken))
    with pytest.raises(ValueError, match=r"^video: gone.mp4 cannot be read as a video: No such file"):
        run(host, video(tmp_path / "gone.mp4", -1.0), video(whole))


def test_a_file_of_sound_is_told_by_the_name_of_its_input(host: Host, tmp_path: Path):
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 48000, 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with pytest.raises(ValueError, match=r"^depth: has no pictures"):
        run(host, video(film(tmp_path)), video(tmp_path / "sound.mp4"))


def with_more(source: Path, path: Path, others: dict[int, Callable[[bytes], bytes]], beside: bool) -> Path:
    """Copy a film, with other packets in place of some, or before them at the same time."""
    with av.open(str(source)) as given, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(given.streams.video[0], opaque=True)
        for number, packet in enumerate(given.demux(video=0)):
            other = others.get(number)
            packets = [packet] if other is None or beside else []
            if other is not None:
                packets.insert(0, av.Packet(other(bytes(packet))))
                packets[0].pts, packets[0].dts, packets[0].time_base = packet.pts, packet.dts, packet.time_base
            for each in packets:
                if each.dts is not None:
                    each.stream = stream
                    container.mux(each)
    return path


def test_empty_packets_are_no_frames(pack: Pack, tmp_path: Path):
    plain = film(tmp_path, codec="mjpeg", pixels="yuvj420p", suffix=".mov")
    path = with_more(plain, tmp_path / "empty.nut", dict.fromkeys((3, 4, 9), lambda _: b""), beside=False)
    shown = [0, 1, 2, 5, 6, 7, 8, 10, 11]
    found = plan(pack, path).timing
    assert [start * found.time_base for start in found.starts] == [Fraction(frame, 25) for frame in shown]
    assert torch.equal(pictures(pack, path), video(plain).get_components().images.movedim(-1, 1)[shown])


def test_frames_that_are_only_kept_are_not_shown(pack: Pack, tmp_path: Path):
    plain = film(tmp_path, codec="libvpx", suffix=".webm")

    def hidden(data: bytes) -> bytes:
        return bytes([data[0] & ~(1 << 4)]) + data[1:]

    path = with_more(plain, tmp_path / "hidden.webm", {5: hidden}, beside=True)
    with av.open(str(path)) as container:
        assert sum(packet.pts == 200 for packet in container.demux(video=0)) == 2
    assert plan(pack, path).timing == plan(pack, plain).timing
    assert torch.equal(pictures(pack, path), video(path).get_components().images.movedim(-1, 1))


def test_times_that_are_guessed_are_not_taken(pack: Pack, tmp_path: Path):
    with pytest.raises(ValueError, match=r"^video: its file does not say when each frame comes"):
        plan(pack, film(tmp_path, suffix=".avi"))  # H.264 whose frames are stored in another order than they are shown
    assert len(plan(pack, film(tmp_path, codec="mpeg4", suffix=".avi"))) == 12


@pytest.mark.parametrize(("degrees", "aspect"), [(0, Fraction(4, 3)), (90, Fraction(3, 4))])
@pytest.mark.parametrize(("form", "factor"), [("full_sbs", 1), ("half_sbs", 2)])
def test_pixels_that_are_not_square_keep_their_shape(
    host: Host, tmp_path: Path, degrees: int, aspect: Fraction, form: str, factor: int
):
    source = turned(film(tmp_path, aspect=Fraction(4, 3)), degrees)
    _, path = run(host, video(source), video(source), format=form).args
    with av.open(path) as container:
        assert container.streams.video[0].sample_aspect_ratio == factor * aspect


@pytest.mark.parametrize(("begins", "start"), [(0, 5.0), (50, 0.1)])
def test_a_part_without_frames_is_told(host: Host, tmp_path: Path, begins: int, start: float):
    whole = film(tmp_path, suffix=".ts", start=begins)
    with pytest.raises(ValueError, match=r"^video: the part that Trim Video has chosen holds no frames"):
        run(host, video(whole, start, 0.2), video(whole))


def test_a_rate_that_the_encoder_does_not_take_is_told_before_the_work(host: Host, tmp_path: Path):
    source = film(tmp_path, size=(64, 64), rate=Fraction(1000))
    with pytest.raises(ValueError, match=r"^codec: av1 takes no pictures of 128x64 at 1000 frames a second"):
        run(host, video(source), video(source), codec="av1")
    assert not (tmp_path / "output").exists()


def test_titles_that_are_not_in_utf_8_do_not_matter(host: Host, tmp_path: Path):
    source = film(tmp_path, suffix=".mkv", title="a film")
    source.write_bytes(source.read_bytes().replace(b"a film", b"a f\xeelm"))
    _, path = run(host, video(source), video(source)).args
    with av.open(path) as container:
        assert container.metadata["title"] == "a f\ufffdlm"


def test_pictures_of_an_unknown_kind_are_told(pack: Pack, tmp_path: Path):
    source = film(tmp_path)
    source.write_bytes(source.read_bytes().replace(b"avc1", b"nobd").replace(b"avcC", b"nobC"))
    with pytest.raises(ValueError, match=r"^video: its pictures are of an unknown kind"):
        plan(pack, source)


@pytest.mark.parametrize("kind", [av.error.PermissionError, av.error.MemoryError, av.error.ExternalError])
def test_each_decoder_has_its_own_word_for_damage(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[av.FFmpegError]
):
    path = film(tmp_path, codec="mjpeg", pixels="yuvj420p", suffix=".mov")
    module, times = pack("nodes.film.decoding"), plan(pack, path).times

    class Damaged:
        def __init__(self, packet: av.Packet) -> None:
            self.dts, self.size, self.packet = packet.dts, packet.size, packet

        def decode(self) -> list[av.VideoFrame]:
            if self.packet.dts == 3 * 512:
                raise kind(1, "damaged")
            return self.packet.decode()

    monkeypatch.setattr(module, "readable", lambda container, stream: map(Damaged, container.demux(stream)))
    frames = list(pack("nodes.film.frames").read_frames(str(path), times))
    assert [number for number, frame in enumerate(frames) if frame.lost] == [3]


@pytest.mark.parametrize("error", [IndexError("a stream that began late"), av.error.MemoryError(12, "damaged")])
def test_what_can_be_read_of_a_file_is_the_film(pack: Pack, error: Exception):
    class Container:
        name = "film"

        def demux(self, *_: object) -> Any:
            yield "packet"
            raise error

    assert list(pack("nodes.delivery.source_streams").readable(Container())) == ["packet"]


def test_pictures_that_stand_for_hours(host: Host, tmp_path: Path):
    source = film(tmp_path, rate=Fraction(1, 10000), frames=3)
    _, path = run(host, video(source), video(source)).args
    assert times(Path(path)) == times(source) == [0, 10000, 20000]
