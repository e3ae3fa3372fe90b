"""Pieces of a film: pictures encoded by themselves, and joined without touching them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av

from ..delivery.timing import Timing
from ..delivery.video_encoding import Encoding
from ..delivery.video_file import FEWEST_REORDERED, Pictures
from .left_planes import PackedPicture
from .whole_files import flush, partial_of, writing


def write_segment(
    path: Path, encoding: Encoding, rate: Fraction, size: tuple[int, int], pictures: Iterable[PackedPicture]
) -> int:
    """Encode pictures into a file of their own, which is there once it is whole.

    Times are numbers of frames: when each is really shown, the whole film tells.

    Args:
        path: of the file.
        encoding: with a number of threads, without which two machines make different files.
        rate: frames a second, by which encoders share out their bits.
        size: (H, W) of the pictures.
        pictures: of that size; one is held at a time.

    Returns:
        How many pictures it holds.

    Raises:
        ValueError: a picture has another size, or the file cannot be written.
    """
    partial = partial_of(path)
    count = 0
    with ExitStack() as stack:
        stack.callback(partial.unlink, missing_ok=True)
        with writing(path):
            output = stack.enter_context(av.open(str(partial), "w", format="mp4"))
            stream = encoding.add_stream(output, size, rate, 1 / rate)
        for count, picture in enumerate(pictures, 1):
            if picture.picture.shape[-2:] != size:  # the encoder would scale it
                raise ValueError("video: its pictures change their size. Convert it to one size first.")
            frame = picture.frame(encoding)
            frame.pts, frame.time_base = count - 1, 1 / rate
            with writing(path):
                output.mux(stream.encode(frame))
        with writing(path):
            for packet in stream.encode(None):
                if count < FEWEST_REORDERED:
                    packet.dts = packet.pts
                output.mux(packet)
            output.close()
            flush(partial)
            partial.replace(path)
    return count


def count_pictures(path: Path) -> int:
    """Return how many pictures a piece holds; 0 if it is damaged."""
    try:
        with av.open(str(path)) as container:
            return container.streams.video[0].frames
    except (av.FFmpegError, IndexError):
        return 0


def joined(paths: Sequence[Path], timing: Timing, step: Callable[[], None] = lambda: None) -> Pictures:
    """Return what adds the pictures of pieces to a file, packet by packet, for ``VideoFile.write_packets``.

    Args:
        paths: of the pieces, in the order of the film.
        timing: of all pictures.
        step: called for each picture.

    Raises:
        ValueError: an encoder of another kind made some of them, as another graphics card has one.
    """
    _expect_one_encoder(paths)

    def adding(output: av.container.OutputContainer) -> tuple[av.VideoStream, Iterator[av.Packet]]:
        with av.open(str(paths[0])) as container:
            stream = output.add_stream_from_template(container.streams.video[0], opaque=True)
            if output.format.name == "mp4":  # libavformat's own for HEVC is one that QuickTime does not play
                stream.codec_context.codec_tag = container.streams.video[0].codec_context.codec_tag
        stream.time_base = timing.time_base
        return stream, _stepping(_packets(paths, timing, stream), step)

    return adding


def _expect_one_encoder(paths: Sequence[Path]) -> None:
    heads: dict[bytes, str] = {}  # what a decoder is told before the first picture; a file has one for all
    for path in paths:
        with av.open(str(path)) as container:
            heads.setdefault(bytes(container.streams.video[0].codec_context.extradata or b""), path.name)
    if len(heads) > 1:
        one, other, *_ = heads.values()
        raise ValueError(
            f"codec: {one} and {other} in {paths[0].parent} come from different encoders, such as two kinds of "
            "graphics card, and cannot be joined. Delete all that are like one of them, and have these made again "
            "where the others were."
        )


def _stepping(packets: Iterable[av.Packet], step: Callable[[], None]) -> Iterator[av.Packet]:
    for packet in packets:
        step()
        yield packet


def _packets(paths: Sequence[Path], timing: Timing, stream: av.VideoStream) -> Iterator[av.Packet]:
    """Give the packets in the order in which they are decoded.

    A picture may be decoded so many frames before it is shown; times of decoding are counted back from the times at
    which pictures are shown, so that they rise across the seams, too.
    """
    counts, early = zip(*map(_count_and_lead, paths), strict=True)
    lead, starts = max(early), timing.starts
    step = max(1, (starts[-1] - starts[0]) // max(1, len(starts) - 1))
    durations = timing.durations
    decoded = 0
    for path, first in zip(paths, accumulate(counts[:-1], initial=0), strict=True):
        with av.open(str(path)) as container:
            unit = 1 / container.streams.video[0].average_rate
            for packet in container.demux(video=0):
                if packet.dts is None:  # marks the end
                    continue
                shown = first + round(packet.pts * packet.time_base / unit)
                before = lead - decoded
                packet.dts = starts[0] - before * step if before > 0 else starts[decoded - lead]
                packet.pts = starts[shown]
                packet.duration, packet.time_base, packet.stream = durations[packet.pts], timing.time_base, stream
                decoded += 1
                yield packet


def _count_and_lead(path: Path) -> tuple[int, int]:
    """Return how many pictures a piece holds, and by how many frames the first one is decoded before it is shown."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        first = next(container.demux(stream))
        return stream.frames, round((first.pts - first.dts) * first.time_base * stream.average_rate)
