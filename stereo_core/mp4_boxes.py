"""Boxes that tell a player of an MP4 file how its two views are packed; written into a finished file, in plain bytes.

A file is a row of boxes, each a length, a type of four letters and a content, which may be boxes again (ISO/IEC
14496-12). The tags are those of Google's *Spherical Video V2* (spherical-video-v2-rfc.md of google/spatial-media).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO, NamedTuple

# Boxes between the file and its pictures' description that hold nothing but boxes.
_HOLDERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
# What describes pictures of H.264, HEVC, AV1 and VP9, and the box in it that sets the decoder up.
_SAMPLES = (b"avc1", b"avc3", b"hvc1", b"hev1", b"av01", b"vp09")
_DECODERS = (b"avcC", b"hvcC", b"av1C", b"vpcC")
_SAMPLE_HEADER = 78  # bytes of a picture's description before the boxes in it (VisualSampleEntry)
_LAST_32_BIT = 2**32 - 1
_CHUNK = 1 << 22


class StereoMode(IntEnum):
    """How the two views lie in a picture, as ``st3d`` counts it."""

    MONO = 0
    TOP_BOTTOM = 1
    """The left view on top."""
    LEFT_RIGHT = 2
    RIGHT_LEFT = 4
    """Some players take it for ``LEFT_RIGHT``."""


class Bounds(NamedTuple):
    """What an equirectangular picture lacks of the sphere, at each edge, as a share of the whole in [0, 1)."""

    top: float = 0.0
    bottom: float = 0.0
    left: float = 0.0
    right: float = 0.0


HALF_SPHERE = Bounds(left=0.25, right=0.25)
"""What VR180 shows: the half in front."""


def st3d(mode: StereoMode) -> bytes:
    """Return the box that says how two views lie in a picture (*Stereoscopic 3D Video Box*)."""
    return _full_box(b"st3d", bytes([mode]))


def sv3d(bounds: Bounds, source: str) -> bytes:
    """Return the box that says that each view is an equirectangular picture (*Spherical Video Box*).

    A flat picture must not have it.

    Args:
        bounds: what the picture does not show.
        source: the program that made the file.

    Raises:
        ValueError: nothing of the sphere would be left.
    """
    straight = _full_box(b"prhd", struct.pack(">iii", 0, 0, 0))
    projection = _box(b"proj", straight + _box(b"equi", equirectangular(bounds)))
    return _box(b"sv3d", _full_box(b"svhd", source.encode() + b"\0") + projection)


def equirectangular(bounds: Bounds) -> bytes:
    """Return the content of the box that says what an equirectangular picture shows (*Equirectangular Projection Box*).

    Matroska has the same bytes in an element of its own.

    Raises:
        ValueError: nothing of the sphere would be left.
    """
    if min(bounds) < 0 or bounds.top + bounds.bottom >= 1 or bounds.left + bounds.right >= 1:
        raise ValueError(f"bounds: {tuple(bounds)} leave nothing of the sphere. Give shares of it from 0 to below 1.")
    return bytes(4) + struct.pack(">IIII", *(min(round(share * 2**32), _LAST_32_BIT) for share in bounds))


def write_tagged(source: Path, target: Path, boxes: bytes = b"") -> None:
    """Copy an MP4 file with further boxes in its first picture track, and its index at the front, where it streams.

    The boxes come right after the decoder's set-up: "after non-optional boxes ... and before optional boxes", such as
    ``pasp`` and ``clap``, says the specification. All tracks' data are copied as they are.

    Args:
        source: a finished file that is not fragmented.
        target: another path; what lies there is replaced.
        boxes: what :func:`st3d` and :func:`sv3d` return, one after the other, or nothing.

    Raises:
        ValueError: ``source`` is no such MP4 file.
        OSError: it cannot be read, or ``target`` not be written.
    """
    with source.open("rb") as file:
        top = list(_boxes_of(file))
        index = next((box for box in top if box.kind == b"moov"), None)
        if index is None or any(box.kind == b"moof" for box in top):
            raise ValueError(f"{source.name}: is no finished MP4 file.")
        file.seek(index.start)
        moov = _with_boxes(file.read(index.end - index.start), boxes, source.name)
        first = [box for box in top if box.kind == b"ftyp"]
        others = [box for box in top if box not in (*first, index)]
        moov = _relocated(moov, first, others)
        with target.open("wb") as out:
            for box in first:
                _copy(file, out, box)
            out.write(moov)
            for box in others:
                _copy(file, out, box)


class _Box(NamedTuple):
    kind: bytes
    start: int
    body: int
    end: int


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _full_box(kind: bytes, content: bytes) -> bytes:
    """A box with version and flags, both 0."""
    return _box(kind, bytes(4) + content)


def _boxes_of(file: BinaryIO) -> Iterator[_Box]:
    size = file.seek(0, 2)
    start = 0
    while start < size:
        file.seek(start)
        box = _box_at(file.read(16), start, size)
        yield box
        start = box.end


def _children(data: bytes, start: int, end: int) -> Iterator[_Box]:
    while start < end:
        box = _box_at(data[start : start + 16], start, end)
        yield box
        start = box.end


def _box_at(header: bytes, start: int, end: int) -> _Box:
    if len(header) < 8:
        raise ValueError("The file is no MP4 file, or it is cut off.")
    length, kind = struct.unpack_from(">I4s", header)
    body = 8
    if length == 1 and len(header) == 16:  # the length follows in 64 bits
        length, body = struct.unpack_from(">Q", header, 8)[0], 16
    elif length == 0:  # to the end
        length = end - start
    if length < body or start + length > end:
        raise ValueError("The file is no MP4 file, or it is cut off.")
    return _Box(kind, start, start + body, start + length)


def _with_boxes(moov: bytes, boxes: bytes, name: str) -> bytes:
    """Return the index with the boxes in the description of the first picture track."""
    placed = not boxes

    def descriptions(data: bytes, table: _Box) -> bytes:
        nonlocal placed
        entries = data[table.body : table.body + 8]
        for entry in _children(data, table.body + 8, table.end):
            if placed or entry.kind not in _SAMPLES:
                entries += data[entry.start : entry.end]
                continue
            at = next(
                (box.end for box in _children(data, entry.body + _SAMPLE_HEADER, entry.end) if box.kind in _DECODERS),
                entry.end,
            )
            entries += _box(entry.kind, data[entry.body : at] + boxes + data[at : entry.end])
            placed = True
        return _box(b"stsd", entries)

    made = _rebuilt(moov, {b"stsd": descriptions})
    if not placed:
        raise ValueError(f"{name}: has no track of H.264, HEVC, AV1 or VP9 pictures.")
    return made


def _rebuilt(moov: bytes, edits: dict[bytes, Callable[[bytes, _Box], bytes]]) -> bytes:
    """Return the index with the boxes of some types replaced, and the lengths of those around them corrected."""

    def written(box: _Box) -> bytes:
        if box.kind in edits:
            return edits[box.kind](moov, box)
        if box.kind in _HOLDERS:
            return _box(box.kind, b"".join(map(written, _children(moov, box.body, box.end))))
        return moov[box.start : box.end]

    return b"".join(map(written, _children(moov, 0, len(moov))))


def _relocated(moov: bytes, first: list[_Box], others: list[_Box]) -> bytes:
    """Return the index for a file in which it follows ``first``, and ``others`` follow it.

    The tables of chunks count from the file's start, in 32 bits (``stco``) or, where those are too few, in 64
    (``co64``); the latter makes the index longer, and so moves the chunks again.
    """
    before = sum(box.end - box.start for box in first)
    length, wide = len(moov), False
    while True:
        moves, start = [], before + length
        for box in others:
            moves.append((box.start, box.end, start - box.start))
            start += box.end - box.start
        wide = wide or start > _LAST_32_BIT
        table = _table_writer(moves, wide)
        made = _rebuilt(moov, {b"stco": table, b"co64": table})
        if len(made) == length:
            return made
        length = len(made)


def _table_writer(moves: list[tuple[int, int, int]], wide: bool) -> Callable[[bytes, _Box], bytes]:
    def write(data: bytes, table: _Box) -> bytes:
        (count,) = struct.unpack_from(">I", data, table.body + 4)
        given = "Q" if table.kind == b"co64" else "I"
        offsets = struct.unpack_from(f">{count}{given}", data, table.body + 8)
        moved = [_moved(offset, moves) for offset in offsets]
        kind, form = (b"co64", "Q") if wide or given == "Q" else (b"stco", "I")
        return _full_box(kind, struct.pack(f">I{count}{form}", count, *moved))

    return write


def _moved(offset: int, moves: list[tuple[int, int, int]]) -> int:
    for start, end, by in moves:
        if start <= offset < end:
            return offset + by
    raise ValueError("The file is no finished MP4 file: its index points to where nothing is.")


def _copy(file: BinaryIO, out: BinaryIO, box: _Box) -> None:
    file.seek(box.start)
    left = box.end - box.start
    while left:
        data = file.read(min(left, _CHUNK))
        if not data:
            raise ValueError("The file is cut off.")
        out.write(data)
        left -= len(data)
