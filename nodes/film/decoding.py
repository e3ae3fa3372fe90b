"""What a video file gives its decoder, and what it tells of its pictures."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import islice

import av

from ..delivery.source_streams import opened, readable

_GUESSES = {"mpeg": 2}  # the key frame after a jump from which on times are told: those before are guessed, some wrong
_TIMELESS = {"avi"}  # times are guessed where frames are stored in another order than that in which they are shown
_LOOKED_AT = 50  # frames, for such an order


def decoded(file: str | io.BytesIO, start: int | None, earlier: int, name: str) -> Iterator[av.VideoFrame]:
    """Give all frames from the key frame on that is so many seconds before a time; ``None`` for the file's start."""
    with opened(file, name) as container:
        stream, guesses = container.streams.video[0], 0
        if start is not None:
            with suppress(av.FFmpegError):  # nothing comes so early
                container.seek(start - int(earlier / stream.time_base), stream=stream)
            guesses = _GUESSES.get(container.format.name, 0)
        for packet in readable(container, stream):
            if packet.dts is not None and not packet.size:  # a decoder would take it for the end
                continue
            try:
                frames = packet.decode()
            except av.FFmpegError:  # each decoder has its own
                logging.info("%s: a packet is damaged", name)
                continue
            for frame in frames:
                guesses -= frame.key_frame
                if guesses <= 0 and frame.pts is not None:
                    yield frame


def tells_times(file: str | io.BytesIO) -> bool:
    """Tell whether frames of a film come at the times that its file tells, going by the first ones."""
    with opened(file) as container:
        if container.format.name not in _TIMELESS:
            return True
    times = [frame.pts for frame in islice(decoded(file, None, 0, "video"), _LOOKED_AT)]
    return all(one < other for one, other in zip(times, times[1:], strict=False))


def pixel_aspect(file: str | io.BytesIO, degrees: int) -> Fraction:
    """Return the width of a pixel by its height, once pictures are turned by so many degrees."""
    with opened(file) as container:
        aspect = container.streams.video[0].sample_aspect_ratio or Fraction(1)
    return 1 / aspect if degrees % 180 else aspect
