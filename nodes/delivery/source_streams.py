"""Streams of sound and subtitles that are copied from one file to another, packet by packet, as they are."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

MUXERS = ("mp4", "matroska")
_COPIED = ("audio", "subtitle")
_SEARCHED = 1000  # packets of sound, for the first one of each stream
# By codec; the names are those by which players know a cover (RFC 9559, section 21.2).
_COVERS = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}


@dataclass(frozen=True, slots=True)
class SourceStream:
    """A stream of sound or subtitles.

    Attributes:
        index: among the file's streams.
        kind: ``audio`` or ``subtitle``.
        codec: libavcodec's name; ``None`` if it knows none.
        time_base: its unit of time, in seconds.
        start: when it begins, in seconds.
        fits: the ``MUXERS`` that write it as it is.
    """

    index: int
    kind: str
    codec: str | None
    time_base: Fraction
    start: Fraction
    fits: frozenset[str] = field(default=frozenset())

    def __str__(self) -> str:
        return f"{'sound' if self.kind == 'audio' else 'subtitles'} ({self.codec or 'of unknown kind'})"


def read_streams(file: str | io.BytesIO) -> tuple[SourceStream, ...]:
    """Return a file's streams of sound and subtitles, and find out which kinds of file can hold each."""
    with opened(file) as container:
        streams = [stream for stream in container.streams if stream.type in _COPIED]
        firsts = _first_packets(container)
        return tuple(_describe(stream, firsts.get(stream.index)) for stream in streams)


def rewound(file: str | io.BytesIO) -> str | io.BytesIO:
    """Return a file to be read from its beginning, also where it was read to its end before."""
    if isinstance(file, io.BytesIO):
        file.seek(0)
    return file


def read_attachments(file: str | io.BytesIO) -> Iterator[tuple[str, str, bytes]]:
    """Give the fonts and cover pictures of a file as Matroska files hold them: name, kind and content."""
    with opened(file) as container:
        for stream in container.streams.attachments:
            if stream.name and stream.mimetype:  # neither may be missing there
                yield stream.name, stream.mimetype, bytes(stream.data)
        for stream in filter(is_cover, container.streams.video):
            name, kind = _COVERS[stream.codec_context.name]
            yield stream.metadata.get("filename", name), kind, bytes(next(container.demux(stream)))


def is_cover(stream: av.VideoStream) -> bool:
    """Tell whether a stream is a picture of the file, not in it."""
    known = stream.codec_context is not None and stream.codec_context.name in _COVERS
    return known and bool(stream.disposition & av.stream.Disposition.attached_pic)


@contextmanager
def opened(file: str | io.BytesIO, name: str = "source") -> Iterator[av.container.InputContainer]:
    """Open a video of an input of that name.

    Raises:
        ValueError: it cannot be opened, or is none.
    """
    try:
        container = av.open(rewound(file), metadata_errors="replace")  # old files are not in UTF-8
    except (av.FFmpegError, OSError) as error:
        title = Path(file).name if isinstance(file, str) else "what is connected"
        raise ValueError(
            f"{name}: {title} cannot be read as a video: {error.strerror}. Choose another file, or save it again with "
            "another program."
        ) from error
    with container:
        yield container


def readable(container: av.container.InputContainer, *streams: Any) -> Iterator[av.Packet]:
    """Give packets up to where a damaged file cannot be read any further.

    Raises:
        OSError: it lies where it cannot be reached.
    """
    try:
        yield from container.demux(*streams)
    except OSError:
        raise
    except (av.FFmpegError, IndexError) as error:  # the latter is PyAV's own, of streams that begin late in a file
        logging.info("%s: %s", container.name, error)


def lasting(packets: Iterable[av.Packet]) -> Iterator[av.Packet]:
    """Give packets that do not say how long they last the length of the one before them in their stream.

    Else the last one lasts for no time in an MP4 file, and players leave it out.
    """
    before: dict[int, tuple[int, int]] = {}
    for packet in packets:
        time, length = before.get(packet.stream.index, (packet.dts, 0))
        length = packet.duration or packet.dts - time or length
        if not packet.duration and packet.stream.type == "audio":
            packet.duration = length
        before[packet.stream.index] = packet.dts, length
        yield packet


def _first_packets(container: av.container.InputContainer) -> dict[int, bytes]:
    """Return the first packet of each stream of sound, but for those that begin very late."""
    sounds, firsts = container.streams.audio, dict[int, bytes]()
    if sounds:
        with suppress(av.FFmpegError):  # where a file is broken, decoding will tell
            for count, packet in enumerate(container.demux(*sounds)):
                if packet.size:
                    firsts.setdefault(packet.stream.index, bytes(packet))
                if len(firsts) == len(sounds) or count == _SEARCHED:
                    break
    return firsts


def _describe(stream: Any, packet: bytes | None) -> SourceStream:
    codec = stream.codec_context and stream.codec_context.name
    fits = frozenset(muxer for muxer in MUXERS if _fits(stream, codec, packet, muxer))
    start = (stream.start_time or 0) * stream.time_base
    return SourceStream(stream.index, stream.type, codec, stream.time_base, start, fits)


def _fits(stream: Any, codec: str | None, packet: bytes | None, muxer: str) -> bool:
    """Tell whether a file of this kind takes the stream.

    Its list of codecs is not all: MP4, for one, wants to know where the channels of PCM are.
    """
    try:
        with av.open(io.BytesIO(), "w", format=muxer) as nothing:
            if codec not in nothing.supported_codecs:
                return False
            if packet is not None:
                copied = av.Packet(packet)
                copied.stream = nothing.add_stream_from_template(stream, opaque=True)
                copied.pts, copied.dts, copied.time_base = 0, 0, stream.time_base
                nothing.mux(copied)
    except (av.FFmpegError, ValueError):
        return False
    return True
