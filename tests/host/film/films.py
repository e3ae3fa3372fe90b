"""Small films for these tests."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

FRAMES = 12


def picture(index: int, height: int, width: int, scene: int = 0) -> np.ndarray:
    """(H, W, 3) uint8: a block that moves over a slope, in other colours for another scene."""
    y, x = np.mgrid[:height, :width]
    values = np.stack([40 + 2 * x + 60 * (scene % 2), 60 + 3 * y, 120 + 0 * x + 50 * (scene % 3)], -1)
    left = (3 * index) % max(1, width - 8)
    values[height // 4 : height // 2, left : left + 8] = 250 - 60 * (scene % 3)
    return values.clip(0, 255).astype(np.uint8)


def film(
    folder: Path,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    size: tuple[int, int] = (24, 32),
    suffix: str = ".mp4",
    times: Sequence[int] | None = None,
    start: int = 0,
    rate: Fraction = Fraction(25),
    frames: int = FRAMES,
    cuts: Sequence[int] = (),
    name: str = "film",
    aspect: Fraction = Fraction(1),
    title: str = "",
) -> Path:
    """Write a film with B-frames where the codec has them, and a key frame every five.

    Args:
        folder: to write it to.
        codec, pixels, suffix: what it is encoded in, and the kind of file.
        size: (H, W).
        times: of the frames, in units of the rate; ``None`` for one after another.
        start: time of the first.
        rate: frames a second.
        frames: how many, where ``times`` does not tell.
        cuts: frames with which another scene begins.
        name: of the file.
        aspect: width of a pixel by its height.
        title: that the file tells.
    """
    path = folder / f"{name}{suffix}"
    height, width = size
    starts = [start + time for time in (times or range(frames))]
    with av.open(str(path), "w") as container:
        container.metadata.update({"title": title} if title else {})
        options = {"libx264": {"bf": "2"}, "libx265": {"x265-params": "log-level=error:bframes=2"}}.get(codec, {})
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.codec_context.time_base = 1 / rate
        stream.codec_context.gop_size, stream.codec_context.sample_aspect_ratio = 5, aspect
        for index, time in enumerate(starts):
            scene = sum(index >= cut for cut in cuts)
            frame = av.VideoFrame.from_ndarray(picture(index, height, width, scene), format="rgb24")
            frame.pts, frame.time_base = time, 1 / rate
            container.mux(stream.encode(frame))
        for packet in stream.encode(None):
            if len(starts) < 3:  # of so few, libx265 gives times of decoding from memory that nobody wrote
                packet.dts = packet.pts
            container.mux(packet)
    return path


def turned(path: Path, degrees: int) -> Path:
    """Say in an MP4 file that its pictures are to be turned."""
    cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    one = 1 << 16
    matrix = struct.pack(">9i", cosine * one, sine * one, 0, -sine * one, cosine * one, 0, 0, 0, 1 << 30)
    plain = struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    data = path.read_bytes()
    start = data.index(plain, data.index(b"tkhd"))
    other = path.with_name(f"{path.stem}_{degrees}{path.suffix}")
    other.write_bytes(data[:start] + matrix + data[start + len(matrix) :])
    return other


def damaged(path: Path, places: Iterable[int]) -> Path:
    """Put zeros in place of some of a file's pictures."""
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = path.read_bytes()
    for place in places:
        data = data.replace(packets[place], bytes(len(packets[place])))
    other = path.with_name(f"damaged{path.suffix}")
    other.write_bytes(data)
    return other
