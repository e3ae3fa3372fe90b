"""The shape in a Matroska file, built here by hand; tests/host/delivery has it read by other programs."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from stereo_core.mkv_aspect import Side, halve_display


def element(id: int, content: bytes, unknown: bool = False) -> bytes:
    name = id.to_bytes((id.bit_length() + 7) // 8, "big")
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
@pytest.mark.parametrize(("side", "shape"), [(Side.HEIGHT, (960, 540)), (Side.WIDTH, (480, 1080))])
def test_one_side_is_halved_and_nothing_else_changes(
    tmp_path: Path, side: Side, shape: tuple[int, int], checksum: bool, unknown: bool
):
    file = tmp_path / "a.mkv"
    file.write_bytes(movie(checksum, unknown=unknown))
    halve_display(file, side)
    assert file.read_bytes() == movie(checksum, *shape, unknown)


@pytest.mark.parametrize("broken", [b"", b"no movie", movie(True)[:60], element(0x18538067, b"")])
def test_what_has_no_shape_is_refused(tmp_path: Path, broken: bytes):
    (tmp_path / "a.mkv").write_bytes(broken)
    with pytest.raises(ValueError, match="Matroska"):
        halve_display(tmp_path / "a.mkv", Side.WIDTH)
