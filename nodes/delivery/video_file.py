"""A stereo video file: pictures encoded one by one, sound and subtitles beside them, and the tags of the whole."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path

import av
from torch import Tensor

from ...stereo_core.mkv_elements import add_projection, shape_display
from ...stereo_core.mp4_boxes import st3d, sv3d, write_tagged
from ...stereo_core.video_formats import VideoFormat
from .made_sound import MadeSound
from .source_clip import SourceClip
from .source_streams import SourceStream
from .timing import Timing
from .video_encoding import Encoding

_MOST_TIMESCALE = 10**7
_PROGRAM = "Latent Stereo"
# Fewer frames than these are encoded in the order in which they are shown. Then x265 leaves the time of decoding to
# chance, and files are refused or broken now and then.
FEWEST_REORDERED = 3


class Container(str, Enum):
    """The kind of file."""

    AUTO = "auto"
    MP4 = "mp4"
    MKV = "mkv"


Pictures = Callable[[av.container.OutputContainer], tuple[av.VideoStream, Iterator[av.Packet]]]
_MUXERS = {Container.MP4: "mp4", Container.MKV: "matroska"}


def misfits(container: Container, streams: Collection[SourceStream]) -> list[SourceStream]:
    """Return those of a source's streams that a kind of file cannot hold as they are."""
    return [stream for stream in streams if _MUXERS[container] not in stream.fits]


@dataclass(frozen=True, slots=True)
class VideoFile:
    """All that a file is made of, but for its pictures.

    Attributes:
        container: not ``AUTO``.
        encoding: of the pictures.
        tags: that the container carries, or ``None`` for none but the shape of the pictures.
        timing: of the pictures.
        metadata: texts by name.
        source: whose ``streams`` are copied, until ``until`` seconds.
        sound: to be encoded.
    """

    container: Container
    encoding: Encoding
    tags: VideoFormat | None
    timing: Timing
    metadata: dict[str, str]
    source: SourceClip | None = None
    streams: tuple[SourceStream, ...] = ()
    until: Fraction | None = None
    sound: MadeSound | None = None

    def write(self, path: Path, pictures: Iterable[Tensor], size: tuple[int, int]) -> None:
        """Write it.

        Args:
            path: of the file; nobody sees it before it is whole.
            pictures: (3, H, W) each in [0, 1], as many as there are times; one is held at a time.
            size: (H, W) of each.

        Raises:
            OSError: the file cannot be written.
        """

        def encoding(output: av.container.OutputContainer) -> tuple[av.VideoStream, Iterator[av.Packet]]:
            stream = self.encoding.add_stream(output, size, self.timing.rate, self.timing.time_base)
            return stream, self._encoded(stream, pictures)

        self.write_packets(path, encoding)

    def write_packets(self, path: Path, pictures: Pictures) -> None:
        """Write it from pictures that are encoded.

        Args:
            path: of the file; nobody sees it before it is whole.
            pictures: adds their stream to a file, and returns it with its packets: as many as there are times, which
                they have, and in the order in which they are decoded.

        Raises:
            OSError: the file cannot be written.
        """
        raw = path.with_name(f"{path.name}.raw") if self.container is Container.MP4 else path
        try:
            with ExitStack() as stack:
                output = av.open(str(raw), "w", format=_MUXERS[self.container], options=self._options())
                stack.enter_context(output)
                output.metadata.update(self.metadata)
                for packet in self._packets(output, stack, pictures):
                    output.mux(packet)
            self._tag(raw, path)
        finally:
            if raw != path:
                raw.unlink(missing_ok=True)

    @property
    def most_sound(self) -> int:
        """About how many bytes sound, subtitles and what belongs to them take, at most."""
        copied = 0 if self.source is None or not self.streams else self.source.most_bytes(self.until)
        return copied + (0 if self.sound is None else self.sound.most_bytes(self.timing.end))

    @property
    def copies(self) -> int:
        """How often the disk holds it while it is written."""
        return 2 if self.container is Container.MP4 else 1  # the second has its index at the front

    def _options(self) -> dict[str, str]:
        if self.container is not Container.MP4:
            return {}
        options = {"movflags": "use_metadata_tags"}  # else libavformat drops names that it does not know
        # Where a stream begins late, the file says so in units of its own; a thousandth of a second is too coarse.
        late = self.timing.starts[0] > 0 or any(stream.start > self._origin for stream in self.streams)
        unit = math.lcm(self.timing.time_base.denominator, *(stream.time_base.denominator for stream in self.streams))
        if late:
            options["movie_timescale"] = str(unit if unit <= _MOST_TIMESCALE else self.timing.time_base.denominator)
        return options

    @property
    def _origin(self) -> Fraction:
        return Fraction(0) if self.source is None else self.source.origin

    def _packets(
        self,
        output: av.container.OutputContainer,
        stack: ExitStack,
        pictures: Pictures,
    ) -> Iterator[av.Packet]:
        """Add all streams, and give their packets in the order in which players read them."""
        stream, packets = pictures(output)
        if self.tags is not None and self.tags.matroska and self.container is Container.MKV:
            stream.metadata["stereo_mode"] = self.tags.matroska
        sources = [packets]
        if self.sound is not None:
            sources.append(self.sound.encoding(output, self.timing.end))
        if self.source is not None and self.source.file is not None:
            sources.append(stack.enter_context(self.source.copying(output, self.streams, self.until)))
        return heapq.merge(*sources, key=lambda packet: packet.dts * packet.time_base)

    def _encoded(self, stream: av.VideoStream, pictures: Iterable[Tensor]) -> Iterator[av.Packet]:
        durations = self.timing.durations

        def timed(packets: Iterable[av.Packet]) -> Iterator[av.Packet]:
            for packet in packets:
                packet.duration = durations[packet.pts]
                if len(durations) < FEWEST_REORDERED:
                    packet.dts = packet.pts
                yield packet

        for start, picture in zip(self.timing.starts, pictures, strict=True):
            frame = self.encoding.frame(picture)
            frame.pts, frame.time_base = start, self.timing.time_base
            yield from timed(stream.encode(frame))
        yield from timed(stream.encode(None))

    def _tag(self, raw: Path, path: Path) -> None:
        if self.container is Container.MP4:
            write_tagged(raw, path, b"" if self.tags is None else self._boxes(self.tags))
        elif self.tags is not None and self.tags.sphere is not None:
            add_projection(path, self.tags.sphere)
        elif self.tags is not None and self.tags.matroska and self.encoding.pixel_aspect != 1:
            shape_display(path, self.encoding.pixel_aspect)

    @staticmethod
    def _boxes(told: VideoFormat) -> bytes:
        stereo = b"" if told.mp4 is None else st3d(told.mp4)
        return stereo if told.sphere is None else stereo + sv3d(told.sphere, _PROGRAM)
