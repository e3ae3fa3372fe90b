"""Pieces of a film, joined: every picture at its time, whoever made which piece."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.host.delivery.clips import planes, smooth, times

Pack = Callable[[str], ModuleType]
FRAMES, HEIGHT, WIDTH = 24, 32, 64
UNEVEN = tuple(500 * index + 37 * (index * index % 11) for index in range(FRAMES))


def encoding(pack: Pack, codec: str, threads: int = 2) -> Any:
    codecs = pack("nodes.delivery.video_encoding")
    return codecs.Encoding(codecs.Codec(codec), codecs.Quality("high"), threads=threads)


def packed(pack: Pack, pictures: Iterable[Tensor]) -> Iterator[Any]:
    form = pack("stereo_core.formats").StereoFormat.FULL_SBS
    return (pack("nodes.film.left_planes").PackedPicture(picture, form) for picture in pictures)


def uneven(pack: Pack, frames: int = FRAMES) -> Any:
    timing = pack("nodes.delivery.timing").Timing
    return timing(Fraction(1, 12800), UNEVEN[:frames], 512, Fraction(25))


def write_one(pack: Pack, path: Path, pictures: Iterable[Tensor], codec: str = "h264", threads: int = 2) -> int:
    return pack("nodes.film.segments").write_segment(
        path, encoding(pack, codec, threads), Fraction(25), (HEIGHT, WIDTH), packed(pack, pictures)
    )


def write(pack: Pack, folder: Path, codec: str, pictures: Tensor, edges: list[int], threads: int = 2) -> list[Path]:
    made = []
    for first, last in zip(edges, edges[1:], strict=False):
        made.append(folder / f"{first:06}.mp4")
        count = write_one(pack, made[-1], pictures[first:last], codec, threads)
        assert count == last - first == pack("nodes.film.segments").count_pictures(made[-1])
    return made


def join(pack: Pack, path: Path, parts: list[Path], codec: str = "h264") -> Path:
    files, timing = pack("nodes.delivery.video_file"), uneven(pack)
    file = files.VideoFile(files.Container(path.suffix[1:]), encoding(pack, codec), None, timing, {})
    file.write_packets(path, pack("nodes.film.segments").joined(parts, timing))
    return path


@pytest.fixture
def pictures() -> Tensor:
    return smooth(FRAMES, HEIGHT, WIDTH).movedim(-1, 1)


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "hevc_10bit"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_every_picture_comes_at_its_time(pack: Pack, tmp_path: Path, pictures: Tensor, codec: str, suffix: str):
    parts = write(pack, tmp_path, codec, pictures, [0, 9, 12, FRAMES])
    whole = join(pack, tmp_path / f"whole{suffix}", parts, codec)
    expected = [plane for part in parts for plane in planes(part)]
    found = planes(whole)
    assert len(found) == FRAMES
    for one, other in zip(found, expected, strict=True):
        assert all((a == b).all() for a, b in zip(one, other, strict=True))
    told = [Fraction(start, 12800) for start in UNEVEN]
    if suffix == ".mp4":
        assert times(whole) == told
    else:  # whole thousandths of a second
        assert all(abs(time - start) <= Fraction(1, 2000) for time, start in zip(times(whole), told, strict=True))
    with av.open(str(whole)) as container:
        decoded = [packet.dts for packet in container.demux(video=0) if packet.dts is not None]
        assert decoded == sorted(set(decoded))
        if suffix == ".mp4" and codec.startswith("hevc"):
            assert container.streams.video[0].codec_context.codec_tag == "hvc1"


def test_pieces_made_elsewhere_are_the_same_bytes(pack: Pack, tmp_path: Path, pictures: Tensor):
    def digest(folder: str, order: list[tuple[int, int]]) -> str:
        (tmp_path / folder).mkdir()
        for first, last in order:
            write(pack, tmp_path / folder, "h264", pictures, [first, last], threads=3)
        parts = sorted((tmp_path / folder).iterdir())
        return hashlib.sha256(join(pack, tmp_path / f"{folder}.mp4", parts).read_bytes()).hexdigest()

    assert digest("one", [(0, 9), (9, 15), (15, FRAMES)]) == digest("two", [(15, FRAMES), (0, 9), (9, 15)])


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_pieces_of_different_encoders_are_not_joined(pack: Pack, tmp_path: Path, pictures: Tensor, codec: str):
    parts = write(pack, tmp_path, codec, pictures, [0, 9, FRAMES])
    write(pack, tmp_path, f"{codec}_10bit", pictures, [9, FRAMES])
    with pytest.raises(ValueError, match=r"^codec: 000000\.mp4 and 000009\.mp4 in .* come from different encoders"):
        join(pack, tmp_path / "whole.mp4", parts, codec)
    assert not (tmp_path / "whole.mp4").exists()


def test_what_is_interrupted_leaves_nothing(pack: Pack, tmp_path: Path, pictures: Tensor):
    def broken():
        yield from pictures[:10]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_one(pack, tmp_path / "a.mp4", broken())
    assert not list(tmp_path.iterdir())
    (tmp_path / "b.mp4").write_bytes(b"no film")
    assert pack("nodes.film.segments").count_pictures(tmp_path / "b.mp4") == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_a_full_disk_is_told_and_leaves_nothing(pack: Pack, tmp_path: Path, pictures: Tensor):
    pack("nodes.film.whole_files").partial_of(tmp_path / "a.mp4").symlink_to("/dev/full")
    with pytest.raises(ValueError, match=r"^filename_prefix: .*a.mp4 cannot be written: No space left on device\. "):
        write_one(pack, tmp_path / "a.mp4", pictures)
    assert not list(tmp_path.iterdir())


def test_a_picture_of_another_size_is_not_scaled(pack: Pack, tmp_path: Path):
    with pytest.raises(ValueError, match=r"^video: its pictures change their size"):
        write_one(pack, tmp_path / "a.mp4", [torch.rand(3, HEIGHT, WIDTH), torch.rand(3, HEIGHT, WIDTH - 2)])
    assert not list(tmp_path.iterdir())


def test_pieces_end_at_cuts_that_are_near(pack: Pack):
    timing = pack("nodes.delivery.timing").Timing.constant(100, 10)
    parts = pack("nodes.film.film_plan").segments
    assert [(part.start, part.stop) for part in parts(timing, 3.0)] == [(0, 30), (30, 60), (60, 90), (90, 100)]
    cut = parts(timing, 3.0, cuts=[0, 26, 39, 98])
    assert [(part.start, part.stop) for part in cut] == [(0, 26), (26, 56), (56, 86), (86, 100)]
    assert torch.tensor([len(part) for part in parts(timing, 0.1)]).min() >= 3
    assert [len(part) for part in parts(pack("nodes.delivery.timing").Timing.constant(2, 10), 1.0)] == [2]
    assert sum(map(len, parts(uneven(pack), 0.1))) == FRAMES


def test_a_piece_does_not_depend_on_what_memory_held_before(pack: Pack, tmp_path: Path):
    pictures = smooth(FRAMES, 64, 96).movedim(-1, 1)
    pictures[..., 20:40, 30:60] += torch.rand(FRAMES, 3, 20, 30, generator=torch.Generator().manual_seed(0)) * 0.2
    path, made = tmp_path / "piece.mp4", set()
    for value in (0, 85, 170, 255):
        memory = [np.full(1000 * size, value, np.uint8) for size in range(1, 400)]
        del memory
        pack("nodes.film.segments").write_segment(
            path, encoding(pack, "h264", 8), Fraction(25), (64, 96), packed(pack, pictures)
        )
        made.add(path.read_bytes())
    assert len(made) == 1


def test_who_joins_a_film_says_so_at_each_picture(pack: Pack, tmp_path: Path):
    parts, steps = write(pack, tmp_path, "h264", smooth(4, HEIGHT, WIDTH).movedim(-1, 1), [0, 2, 4]), []
    pictures = pack("nodes.film.segments").joined(parts, uneven(pack, 4), lambda: steps.append(1))
    with av.open(io.BytesIO(), "w", format="matroska") as container:
        assert len(list(pictures(container)[1])) == len(steps) == 4
