"""The video that a clip was made from: the times of its frames, and what is only copied: sound, subtitles, chapters."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from comfy_api.latest import Input, InputImpl

from .source_streams import SourceStream, is_cover, lasting, opened, read_attachments, read_streams, readable
from .timing import Timing

# What the file itself is about, which is another file now.
_OF_THE_FILE = {"major_brand", "minor_version", "compatible_brands", "encoder"}
_VP8_SHOWN = 1 << 4  # in a frame's first byte (RFC 6386, section 9.1)
# As codecs number them: the curves of brightness PQ and HLG, the usual one, and the colours that go with HDR.
_HDR, _BT709, _BT2020 = (16, 18), 1, 9


@dataclass(frozen=True, slots=True)
class SourceClip:
    """What is known of a source before anything is copied.

    Attributes:
        file: a path, or the file itself in memory; ``None`` for frames that were never in a file.
        timing: of the frames in the source's window, counted from ``origin``; ``None`` where it tells none.
        origin: the time in the file that becomes 0, in seconds.
        windowed: the source is a part of its file.
        streams: of sound and subtitles.
        metadata: title and the like.
        hdr: its pictures have more than standard dynamic range.
        transfer: the curve of brightness that a file of its pictures can have: that of HDR, if its colours are those
            of BT.2020, else BT.709's.
        pixel_aspect: width of a pixel by its height; 1 where frames may have been scaled.
        audio: AUDIO of frames that were never in a file.
        others: bytes of all in the window that is no picture.
        covered: it has a cover picture.
    """

    file: str | io.BytesIO | None
    timing: Timing | None
    origin: Fraction = Fraction(0)
    windowed: bool = False
    streams: tuple[SourceStream, ...] = ()
    metadata: dict[str, str] | None = None
    hdr: bool = False
    audio: dict[str, Any] | None = None
    others: int = 0
    transfer: int = _BT709
    pixel_aspect: Fraction = Fraction(1)
    covered: bool = False

    @classmethod
    def read(cls, source: Input.Video, name: str = "source", size: tuple[int, int] | None = None) -> SourceClip:
        """Look at the packets of a source; nothing is decoded.

        Args:
            source: a video.
            name: of the input, for messages.
            size: (H, W) of the frames that were made from it; of another size than its pictures they were scaled.

        Raises:
            ValueError: it cannot be read, or has no pictures.
        """
        if isinstance(source, InputImpl.VideoFromComponents):
            parts = source.get_components()
            return cls(None, Timing.constant(len(parts.images), parts.frame_rate), audio=parts.audio)
        file = source.get_stream_source()
        with opened(file, name) as container:
            start, duration = source.get_active_trim_window()
            if not container.streams.video:
                raise ValueError(f"{name}: has no pictures. Connect a video.")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise ValueError(f"{name}: its pictures are of an unknown kind. Save it again with another program.")
            base, rate = stream.time_base, stream.average_rate
            hdr = (curve := stream.codec_context.color_trc) in _HDR
            transfer = curve if hdr and stream.codec_context.colorspace == _BT2020 else _BT709
            first = _ticks(start, base)
            end = _ticks(start + duration, base) if duration else None
            packets, others = [], container.size
            for packet in readable(container, stream):
                others -= packet.size
                if packet.pts is not None and not packet.is_discard and _is_shown(packet, stream):
                    packets.append((packet.pts, packet.duration or 0))
            inside = [packet for packet in packets if packet[0] >= first and (end is None or packet[0] < end)]
            timing = Timing.of_packets(inside, base, rate)
            metadata = {name: text for name, text in container.metadata.items() if name.lower() not in _OF_THE_FILE}
            aspect, covered = _pixel_aspect(stream, size), any(map(is_cover, container.streams.video[1:]))
        streams = read_streams(file)
        windowed = len(inside) < len(packets)
        others = max(0, others) * len(inside) // max(1, len(packets))
        told = {"streams": streams, "metadata": metadata, "hdr": hdr, "others": others, "transfer": transfer}
        told |= {"pixel_aspect": aspect, "covered": covered}
        if timing is None:
            return cls(file, None, Fraction(start), windowed, **told)
        beginnings = [timing.starts[0] * base, *(() if windowed else (each.start for each in streams))]
        origin = max(0, min(beginnings) // base)
        return cls(file, timing.earlier(origin), origin * base, windowed, **told)

    def most_bytes(self, until: Fraction | None) -> int:
        """About how many bytes ``copying`` gives, at most."""
        if until is None or self.timing is None:
            return self.others
        return round(self.others * min(1, until / self.timing.end))

    @contextmanager
    def copying(
        self, output: av.container.OutputContainer, wanted: Collection[SourceStream], until: Fraction | None
    ) -> Iterator[Iterator[av.Packet]]:
        """Add streams to a file, and give their packets as they are, but for the time at which they start.

        Chapters come along, and into a Matroska file the cover picture, and the fonts that another one holds for its
        subtitles.

        Args:
            output: the file.
            wanted: some of ``streams``.
            until: seconds after ``origin`` at which what is copied ends; ``None`` for all there is.
        """
        if output.format.name == "matroska":
            for attachment in read_attachments(self.file):
                output.add_attachment(*attachment)
        with opened(self.file) as container:
            copies = {}
            for stream in (container.streams[each.index] for each in wanted):
                copy = copies[stream.index] = output.add_stream_from_template(stream, opaque=True)
                copy.metadata.update(stream.metadata)
                copy.disposition = stream.disposition
            output.set_chapters(list(self._chapters(container, until)))
            yield lasting(self._packets(container, copies, until))

    def _chapters(self, container: av.container.InputContainer, until: Fraction | None) -> Iterator[dict[str, Any]]:
        for chapter in container.chapters():
            base = chapter["time_base"]
            start, end = (chapter[side] - round(self.origin / base) for side in ("start", "end"))
            start, end = max(0, start), end if until is None else min(end, round(until / base))
            if start < end:
                yield {**chapter, "start": start, "end": end}

    def _packets(
        self, container: av.container.InputContainer, copies: dict[int, Any], until: Fraction | None
    ) -> Iterator[av.Packet]:
        if not copies:
            return
        for packet in readable(container, *(container.streams[index] for index in copies)):
            if packet.dts is None:  # marks the end
                continue
            time, base = packet.pts if packet.pts is not None else packet.dts, packet.time_base
            begins, ends = time * base - self.origin, (time + packet.duration) * base - self.origin
            if (self.windowed and ends <= 0) or (until is not None and begins >= until):
                continue
            by = round(self.origin / base)
            packet.dts -= by
            if packet.pts is not None:
                packet.pts -= by
            packet.stream = copies[packet.stream.index]
            yield packet


def _is_shown(packet: av.Packet, stream: av.VideoStream) -> bool:
    """Tell whether a picture comes of a packet: an empty one repeats another, and VP8 has some that are only kept."""
    return packet.size > 0 and (stream.codec_context.name != "vp8" or bool(memoryview(packet)[0] & _VP8_SHOWN))


def _pixel_aspect(stream: av.VideoStream, size: tuple[int, int] | None) -> Fraction:
    """Return the width of a pixel by its height in frames of this size: the stream's, as they are or turned."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    if size == (stream.height, stream.width):
        return aspect
    return 1 / aspect if size == (stream.width, stream.height) else Fraction(1)


def _ticks(time: float, base: Fraction) -> int:
    """As the host counts it where it cuts a video."""
    return int(time / base)
