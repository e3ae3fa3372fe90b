"""The shape in which players show squeezed views of a Matroska file; set in a finished file, in plain bytes.

A Matroska file is a tree of elements, each an id, a length and a content (EBML, RFC 8794; Matroska, RFC 9559). With a
StereoMode, DisplayWidth and DisplayHeight are those of one view; libavformat writes half the width or height of the
file there, whatever the pixels' shape, and squeezed views would stay squeezed.
"""

from __future__ import annotations

import zlib
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

_SEGMENT, _TRACKS, _TRACK, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_CHECKSUM = 0xBF


class Side(IntEnum):
    """The element that holds one side of the shape."""

    WIDTH = 0x54B0
    HEIGHT = 0x54BA


def halve_display(path: Path, side: Side) -> None:
    """Halve one side of the shape in which a view is shown, in place; so the file does not grow.

    Views squeezed side by side have half the width and the full height there: with half the height, too, their shape
    is right. Of views one above the other it is the width.

    Args:
        path: a finished file, whose first picture track has a StereoMode.
        side: to halve.

    Raises:
        ValueError: it is no such file.
        OSError: it cannot be written.
    """
    with path.open("r+b") as file:
        segment = _find(file, 0, file.seek(0, 2), _SEGMENT)
        tracks = _find(file, *segment, _TRACKS)
        video = _find(file, *_find(file, *tracks, _TRACK), _VIDEO)
        start, end = _find(file, *video, side)
        file.seek(start)
        half = int.from_bytes(file.read(end - start), "big") // 2
        file.seek(start)
        file.write(half.to_bytes(end - start, "big"))
        _renew_checksum(file, *tracks)


def _find(file: BinaryIO, start: int, end: int, wanted: int) -> tuple[int, int]:
    """Return where the content of the first element with this id starts and ends."""
    while start < end:
        id, content, after = _element(file, start, end)
        if id == wanted:
            return content, after
        start = after
    raise ValueError(f"The file is no Matroska file with a shape: element {wanted:X} is missing.")


def _element(file: BinaryIO, start: int, end: int) -> tuple[int, int, int]:
    """Return the id of the element at ``start``, and where its content starts and ends."""
    file.seek(start)
    head = file.read(12)
    size = _width(head, 0)
    length = _width(head, size)
    content = start + size + length
    value = int.from_bytes(head[size : size + length], "big") & ((1 << 7 * length) - 1)
    unknown = value == (1 << 7 * length) - 1  # to the end of what it stands in
    after = end if unknown else content + value
    if after > end:
        raise ValueError("The file is no Matroska file, or it is cut off.")
    return int.from_bytes(head[:size], "big"), content, after


def _width(head: bytes, at: int) -> int:
    """How many bytes a number takes: its first bit that is set says so."""
    if at >= len(head) or not head[at]:
        raise ValueError("The file is no Matroska file, or it is cut off.")
    return 9 - head[at].bit_length()


def _renew_checksum(file: BinaryIO, start: int, end: int) -> None:
    """Compute the checksum anew, which is the first of the elements if there is one (CRC-32, little-endian)."""
    id, content, after = _element(file, start, end)
    if id != _CHECKSUM:
        return
    file.seek(after)
    checksum = zlib.crc32(file.read(end - after))
    file.seek(content)
    file.write(checksum.to_bytes(4, "little"))
