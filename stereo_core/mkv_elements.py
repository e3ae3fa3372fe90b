"""What a Matroska file tells players of its views and libavformat does not; set in a finished file, in plain bytes.

A Matroska file is a tree of elements, each an id, a length and a content (EBML, RFC 8794; Matroska, RFC 9559).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from .mp4_boxes import Bounds, equirectangular

_SEGMENT, _TRACKS, _TRACK, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_DISPLAY_WIDTH, _DISPLAY_HEIGHT = 0x54B0, 0x54BA
_SEEK_HEAD, _SEEK, _SEEK_POSITION = 0x114D9B74, 0x4DBB, 0x53AC
_PROJECTION, _PROJECTION_TYPE, _PROJECTION_PRIVATE = 0x7670, 0x7671, 0x7672
_EQUIRECTANGULAR = 1
_CHECKSUM, _VOID = 0xBF, 0xEC


def shape_display(path: Path, pixel_aspect: Fraction) -> None:
    """Set the shape in which a view is shown, in place; so the file does not grow.

    With a StereoMode, DisplayWidth and DisplayHeight are those of one view; libavformat writes half the width or height
    of the file there, as if pixels were square. Of the two the one that is too large for the pixels' shape is lowered.
    Where a file has neither, the stream alone tells that shape.

    Args:
        path: a finished file, whose first picture track is meant.
        pixel_aspect: the width of a pixel by its height.

    Raises:
        ValueError: it is no such file.
        OSError: it cannot be written.
    """
    wide = pixel_aspect > 1
    side, share = (_DISPLAY_HEIGHT, 1 / pixel_aspect) if wide else (_DISPLAY_WIDTH, pixel_aspect)
    with path.open("r+b") as file:
        segment = _find(file, 0, file.seek(0, 2), _SEGMENT)
        tracks = _find(file, segment.content, segment.end, _TRACKS)
        track = _find(file, tracks.content, tracks.end, _TRACK)
        video = _find(file, track.content, track.end, _VIDEO)
        for element in _elements(file, video.content, video.end):
            if element.id == side:
                _write_number(file, element, max(1, round(_number(file, element) * share)))
        _renew_checksum(file, tracks)


def add_projection(path: Path, bounds: Bounds) -> None:
    """Say that each view is an equirectangular picture, in place: the file's index keeps its distance to the pictures.

    libavformat leaves room before the index for what it might find out later. The index begins as much earlier as it
    grows, and the pointers to where it begins follow.

    Args:
        path: a finished file of libavformat's; its first track of pictures is meant.
        bounds: what the picture does not show.

    Raises:
        ValueError: it is no such file, or there is no room.
        OSError: it cannot be written.
    """
    told = _made(_PROJECTION_TYPE, bytes([_EQUIRECTANGULAR])) + _made(_PROJECTION_PRIVATE, equirectangular(bounds))
    with path.open("r+b") as file:
        segment = _find(file, 0, file.seek(0, 2), _SEGMENT)
        tracks = _find(file, segment.content, segment.end, _TRACKS)
        room = _find(file, segment.content, tracks.start, _VOID)
        index = _appended(file, tracks, (_TRACK, _VIDEO), _made(_PROJECTION, told))
        grown = len(index) - (tracks.end - tracks.start)
        left = room.end - room.start - grown
        if left < 2:  # an id and a length
            raise ValueError("The file has no room before its index to tell of the sphere.")
        between = _read(file, room.end, tracks.start)
        _move_earlier(file, segment, (room.end, tracks.start), grown)
        file.seek(room.start)
        file.write(_void(left) + between + index)


class _Element(NamedTuple):
    id: int
    start: int
    content: int
    end: int


def _elements(file: BinaryIO, start: int, end: int) -> Iterator[_Element]:
    while start < end:
        element = _element(file, start, end)
        yield element
        start = element.end


def _find(file: BinaryIO, start: int, end: int, wanted: int) -> _Element:
    """Return the first element with this id."""
    for element in _elements(file, start, end):
        if element.id == wanted:
            return element
    raise ValueError(f"The file is no Matroska file as it is expected here: element {wanted:X} is missing.")


def _element(file: BinaryIO, start: int, end: int) -> _Element:
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
    return _Element(int.from_bytes(head[:size], "big"), start, content, after)


def _width(head: bytes, at: int) -> int:
    """How many bytes a number takes: its first bit that is set says so."""
    if at >= len(head) or not head[at]:
        raise ValueError("The file is no Matroska file, or it is cut off.")
    return 9 - head[at].bit_length()


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def _number(file: BinaryIO, element: _Element) -> int:
    return int.from_bytes(_read(file, element.content, element.end), "big")


def _write_number(file: BinaryIO, element: _Element, value: int) -> None:
    file.seek(element.content)
    file.write(value.to_bytes(element.end - element.content, "big"))


def _made(id: int, content: bytes) -> bytes:
    """Return an element of up to 126 bytes of content."""
    return id.to_bytes((id.bit_length() + 7) // 8, "big") + bytes([0x80 | len(content)]) + content


def _void(size: int) -> bytes:
    """Return an element of that many bytes in all, which says nothing."""
    width = 8 if size > 8 else 1
    length = size - 1 - width
    return bytes([_VOID]) + (length | 1 << 7 * width).to_bytes(width, "big") + bytes(length)


def _appended(file: BinaryIO, element: _Element, way: Sequence[int], content: bytes) -> bytes:
    """Return an element with more content at the end of the one that the ids lead to, and right lengths around it."""
    id = element.id.to_bytes((element.id.bit_length() + 7) // 8, "big")
    if way:
        inner = _find(file, element.content, element.end, way[0])
        body = _read(file, element.content, inner.start)
        body += _appended(file, inner, way[1:], content) + _read(file, inner.end, element.end)
    else:
        body = _read(file, element.content, element.end) + content
    width = element.content - element.start - len(id)
    while len(body) >= (1 << 7 * width) - 1:
        width += 1
    return id + (len(body) | 1 << 7 * width).to_bytes(width, "big") + _checked(body)


def _move_earlier(file: BinaryIO, segment: _Element, moved: tuple[int, int], by: int) -> None:
    """Correct the pointers to the elements that begin between two places, all of which moved."""
    seek_head = _find(file, segment.content, segment.end, _SEEK_HEAD)
    for seek in _elements(file, seek_head.content, seek_head.end):
        if seek.id == _SEEK:
            position = _find(file, seek.content, seek.end, _SEEK_POSITION)
            at = _number(file, position)
            if moved[0] <= segment.content + at <= moved[1]:
                _write_number(file, position, at - by)
    _renew_checksum(file, seek_head)


def _renew_checksum(file: BinaryIO, element: _Element) -> None:
    body = _checked(_read(file, element.content, element.end))
    file.seek(element.content)
    file.write(body)


def _checked(body: bytes) -> bytes:
    """Return an element's body with the checksum that may come first in it up to date (CRC-32, little-endian)."""
    first = _element(BytesIO(body), 0, len(body))
    if first.id != _CHECKSUM:
        return body
    return body[: first.content] + zlib.crc32(body[first.end :]).to_bytes(4, "little") + body[first.end :]
