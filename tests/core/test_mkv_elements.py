"""Elements of Matroska files, built here by hand; tests/host/delivery has it read by other programs."""

from __future__ import annotations

import zlib
from fractions import Fraction
from pathlib import Path

import pytest

from stereo_core.mkv_elements import add_projection, shape_display
from stereo_core.mp4_boxes import HALF_SPHERE


def element(id: int, content: bytes, unknown: bool = False, short: bool = False) -> bytes:
    name = id.to_bytes((id.bit_length() + 7) // 8, "big")
    if short:
        return name + bytes([0x80 | len(content)]) + content
    length = b"\x01" + b"\xff" * 7 if unknown else (len(content) | 1 << 56).to_bytes(8, "big")
    return name + length + content


def movie(checksum: bool, width: int = 960, height: int = 1080, unknown: bool = False) -> bytes:
    shape = element(0x54B0, width.to_bytes(2, "big")) + element(0x54BA, height.to_bytes(2, "big"))
    video = element(0xE0, element(0xB0, b"\x07\x80") + element(0x53B8, b"\x01") + shape)
    tracks = element(0xAE, element(0xD7, b"\x01") + video)
    if checksum:
        tracks = element(0xBF, zlib.crc32(tracks).to_bytes(4, "little")) + tracks
    segment = element(0x1549A966, b"info") + element(0x1654AE6B, tracks) + element(0x1F43B675, b"pictures")
    return element(0x1A45DFA3, b"head") + element(0x18538067, segment, unknown)


@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize(
    ("aspect", "shape"),
    [((2, 1), (960, 540)), ((1, 2), (480, 1080)), ((4, 3), (960, 810)), ((8, 9), (853, 1080)), ((1, 1), (960, 1080))],
)
def test_one_side_becomes_smaller_and_nothing_else_changes(
    tmp_path: Path, aspect: tuple[int, int], shape: tuple[int, int], checksum: bool, unknown: bool
):
    file = tmp_path / "a.mkv"
    file.write_bytes(movie(checksum, unknown=unknown))
    shape_display(file, Fraction(*aspect))
    assert file.read_bytes() == movie(checksum, *shape, unknown)


@pytest.mark.parametrize("broken", [b"", b"no movie", movie(True)[:60], element(0x18538067, b"")])
def test_what_has_no_shape_is_refused(tmp_path: Path, broken: bytes):
    (tmp_path / "a.mkv").write_bytes(broken)
    with pytest.raises(ValueError, match="Matroska"):
        shape_display(tmp_path / "a.mkv", Fraction(2))


def indexed(sphere: bool, room: int = 80) -> bytes:
    """A file as libavformat lays it out: where everything begins, room, the index, pictures."""
    equi = b"\0" * 12 + (1 << 30).to_bytes(4, "big") * 2
    told = element(0x7670, b"\x76\x71\x81\x01" + b"\x76\x72\x94" + equi, short=True) if sphere else b""
    tracks = element(
        0xAE, element(0xD7, b"\x01") + element(0xE0, element(0xB0, b"\x40") + told, short=True), short=True
    )
    tracks = element(0xBF, zlib.crc32(tracks).to_bytes(4, "little")) + tracks
    index = element(0x1549A966, b"info") + element(0x1654AE6B, tracks)
    pictures = element(0x1F43B675, b"pictures")
    room -= len(told)
    places = [(0x1549A966, 0), (0x1654AE6B, len(element(0x1549A966, b"info"))), (0x1F43B675, len(index))]

    def seek_head(start: int) -> bytes:
        seeks = b"".join(
            element(0x4DBB, element(0x53AB, id.to_bytes(4, "big")) + element(0x53AC, (start + at).to_bytes(2, "big")))
            for id, at in places
        )
        return element(0x114D9B74, element(0xBF, zlib.crc32(seeks).to_bytes(4, "little")) + seeks)

    void = element(0xEC, bytes(room - 9))
    head = seek_head(len(seek_head(0)) + len(void)) + void
    return element(0x1A45DFA3, b"head") + element(0x18538067, head + index + pictures)


def test_the_index_that_tells_of_the_sphere_begins_earlier_and_nothing_else_moves(tmp_path: Path):
    file = tmp_path / "a.mkv"
    file.write_bytes(indexed(sphere=False))
    add_projection(file, HALF_SPHERE)
    assert file.read_bytes() == indexed(sphere=True)


def test_without_room_for_the_sphere_the_file_stays_as_it_is(tmp_path: Path):
    file, before = tmp_path / "a.mkv", indexed(sphere=False, room=20)
    file.write_bytes(before)
    with pytest.raises(ValueError, match="no room"):
        add_projection(file, HALF_SPHERE)
    assert file.read_bytes() == before
