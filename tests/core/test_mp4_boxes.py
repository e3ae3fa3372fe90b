"""Boxes put into MP4 files: built here by hand, byte by byte; tests/host/delivery has them read by other programs."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from stereo_core import mp4_boxes
from stereo_core.mp4_boxes import HALF_SPHERE, Bounds, StereoMode, st3d, sv3d, write_tagged

PICTURES, SOUND = [b"picture one", b"picture two"], [b"sound"]
HOLDERS = {b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0, b"stsd": 8, b"avc1": 78, b"av01": 78}


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def track(sample: bytes, offsets: list[int], table: bytes = b"stco") -> bytes:
    form = f">II{len(offsets)}{'Q' if table == b'co64' else 'I'}"
    chunks = box(table, struct.pack(form, 0, len(offsets), *offsets))
    return box(
        b"trak", box(b"mdia", box(b"minf", box(b"stbl", box(b"stsd", struct.pack(">II", 0, 1), sample), chunks)))
    )


def sample(kind: bytes = b"avc1", decoder: bytes = b"avcC") -> bytes:
    return box(kind, bytes(78), box(decoder, b"set-up"), box(b"colr", b"colour"), box(b"pasp", bytes(8)))


def movie(index_first: bool, table: bytes = b"stco", description: bytes | None = None) -> bytes:
    """A file of two tracks, whose data lie in turn in one mdat."""
    data = [PICTURES[0], SOUND[0], PICTURES[1]]
    head, free = box(b"ftyp", b"isom"), box(b"free", b"12345")

    def index(start: int) -> bytes:
        places = [start + sum(map(len, data[:i])) for i in range(3)]
        pictures = track(sample() if description is None else description, [places[0], places[2]], table)
        return box(b"moov", track(box(b"mp4a", bytes(28)), [places[1]], table), pictures)

    length = len(index(0))
    before = len(head) + (length if index_first else 0) + len(free) + 8
    parts = [free, box(b"mdat", *data)]
    return head + b"".join([index(before), *parts] if index_first else [*parts, index(before)])


def tree(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of every box in the file, those within others too; every length must fit."""
    end = len(data) if end is None else end
    while start < end:
        length, kind = struct.unpack_from(">I4s", data, start)
        assert 8 <= length <= end - start
        yield kind, data[start + 8 : start + length]
        if kind in HOLDERS:
            yield from tree(data, start + 8 + HOLDERS[kind], start + length)
        start += length


def chunks(data: bytes) -> list[bytes]:
    """What the tables point to."""
    found = []
    for kind, content in tree(data):
        if kind in (b"stco", b"co64"):
            (count,) = struct.unpack_from(">I", content, 4)
            places = struct.unpack_from(f">{count}{'Q' if kind == b'co64' else 'I'}", content, 8)
            found += [data[place:] for place in places]
    return found


def tagged(tmp_path: Path, data: bytes, boxes: bytes) -> bytes:
    (tmp_path / "a.mp4").write_bytes(data)
    write_tagged(tmp_path / "a.mp4", tmp_path / "b.mp4", boxes)
    return (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize("index_first", [False, True])
@pytest.mark.parametrize("table", [b"stco", b"co64"])
@pytest.mark.parametrize("mode", [StereoMode.LEFT_RIGHT, None])
def test_the_box_is_put_in_and_every_chunk_is_found(
    tmp_path: Path, index_first: bool, table: bytes, mode: StereoMode | None
):
    made = tagged(tmp_path, movie(index_first, table), b"" if mode is None else st3d(mode))
    kinds = [kind for kind, _ in tree(made)]
    assert kinds[:2] == [b"ftyp", b"moov"] and kinds[-2:] == [b"free", b"mdat"], "the index comes first"
    described = kinds[kinds.index(b"avc1") + 1 :][: 4 if mode else 3]
    assert described == [b"avcC", *([b"st3d"] if mode else []), b"colr", b"pasp"]
    assert kinds.count(table) == 2
    for chunk, expected in zip(chunks(made), [SOUND[0], *PICTURES], strict=True):
        assert chunk.startswith(expected)
    assert len(made) == len(movie(index_first, table)) + (13 if mode else 0)


def test_tables_that_get_too_short_become_longer_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As for a file of four gigabytes."""
    monkeypatch.setattr(mp4_boxes, "_LAST_32_BIT", 100)
    made = tagged(tmp_path, movie(True), st3d(StereoMode.TOP_BOTTOM))
    assert [kind for kind, _ in tree(made)].count(b"co64") == 2
    assert [chunk.startswith(data) for chunk, data in zip(chunks(made), [SOUND[0], *PICTURES], strict=True)] == [
        True
    ] * 3


@pytest.mark.parametrize(("mode", "value"), [(StereoMode.TOP_BOTTOM, 1), (StereoMode.LEFT_RIGHT, 2), (4, 4)])
def test_st3d_is_what_the_specification_says(mode: StereoMode, value: int):
    assert st3d(mode) == bytes([0, 0, 0, 13]) + b"st3d" + bytes([0, 0, 0, 0, value])


def test_sv3d_tells_the_half_sphere_in_front():
    made = sv3d(HALF_SPHERE, "Latent Stereo")
    quarter = 2**30
    equi = box(b"equi", bytes(4), struct.pack(">IIII", 0, 0, quarter, quarter))
    svhd, prhd = box(b"svhd", bytes(4), b"Latent Stereo\0"), box(b"prhd", bytes(16))
    assert made == box(b"sv3d", svhd, box(b"proj", prhd, equi))


def test_both_boxes_stand_in_their_order(tmp_path: Path):
    boxes = st3d(StereoMode.LEFT_RIGHT) + sv3d(HALF_SPHERE, "x")
    kinds = [kind for kind, _ in tree(tagged(tmp_path, movie(False, description=sample(b"av01", b"av1C")), boxes))]
    assert kinds[kinds.index(b"av01") + 1 :][:5] == [b"av1C", b"st3d", b"sv3d", b"colr", b"pasp"]


@pytest.mark.parametrize(
    "broken",
    [
        b"no movie at all",
        movie(True)[:-3],
        movie(False)[:20],
        box(b"ftyp", b"isom") + box(b"mdat", b"x"),
        movie(True) + box(b"moof"),
        movie(True, description=box(b"mp4v", bytes(78))),
        b"",
    ],
)
def test_what_is_no_finished_movie_is_refused(tmp_path: Path, broken: bytes):
    with pytest.raises(ValueError, match="MP4|track"):
        tagged(tmp_path, broken, st3d(StereoMode.LEFT_RIGHT))


@pytest.mark.parametrize("bounds", [Bounds(left=0.5, right=0.5), Bounds(top=-0.1)])
def test_nothing_of_the_sphere_is_refused(bounds: Bounds):
    with pytest.raises(ValueError, match="nothing of the sphere"):
        sv3d(bounds, "x")
