"""Small films for these tests, and what other programs read from files."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from pymediainfo import MediaInfo
from torch import Tensor

UNEVEN = (0, 512, 1024, 2000, 2600, 3000, 5000, 5512)
"""Times of a film whose frames come unevenly, in parts of 12800 of a second."""
BASE = Fraction(1, 12800)


def smooth(count: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Frames (T, H, W, 3) that a codec keeps nearly as they are; another seed is another colour."""
    y, x = torch.meshgrid(torch.linspace(0.4, 0.6, height), torch.linspace(0.3, 0.5, width), indexing="ij")
    frames = [torch.stack([x, y, torch.full_like(x, 0.2 + 0.3 * seed + 0.02 * frame)], -1) for frame in range(count)]
    return torch.stack(frames)


def film(
    path: Path,
    times: Sequence[int] = UNEVEN,
    base: Fraction = BASE,
    sound: str | None = "aac",
    subtitles: str | None = "mov_text",
    late: Fraction = Fraction(0),
    transfer: int = 1,
    matrix: int = 2,
    chapters: Sequence[tuple[int, int, str]] = (),
    font: bytes = b"",
    cover: bytes = b"",
    pixel_aspect: Fraction = Fraction(1),
) -> Path:
    """Write a film of 32x24 with B-frames, a second of sound, and one title; sound and title begin ``late`` seconds on.

    The kind of file is that of the path's name; ``transfer`` and ``matrix`` are how codecs number the curve of its
    brightness and the colours of its planes, ``chapters`` begin and end at milliseconds, and ``cover`` is a JPEG.
    """
    with av.open(str(path), "w", options={"movie_timescale": "12800"} if path.suffix == ".mp4" else {}) as container:
        container.metadata["title"] = "a film"
        container.set_chapters(
            [
                {"id": id, "start": start, "end": end, "time_base": Fraction(1, 1000), "metadata": {"title": title}}
                for id, (start, end, title) in enumerate(chapters)
            ]
        )
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 32, 24, "yuv420p"
        video.codec_context.time_base, video.codec_context.color_trc = base, transfer
        video.codec_context.colorspace, video.codec_context.sample_aspect_ratio = matrix, pixel_aspect
        tone = sound and container.add_stream(sound, rate=48000, layout="stereo")
        titles = subtitles and container.add_mux_stream(subtitles)
        if tone:
            tone.metadata["language"] = "deu"
        if font:
            container.add_attachment("a font.ttf", "font/ttf", font)
        if cover and path.suffix == ".mkv":
            container.add_attachment("cover.jpg", "image/jpeg", cover)
        elif cover:
            add_cover(container, cover)
        for index, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((24, 32, 3), 9 * index, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, base
            container.mux(video.encode(frame))
        if tone:
            wave = np.sin(np.arange(48000) / 20).astype(np.float32)[None].repeat(2, 0) * 0.3
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = 48000, round(late * 48000)
            for part in av.AudioResampler(tone.codec_context.format).resample(frame):
                container.mux(tone.encode(part))
            container.mux(tone.encode(None))
        if titles:
            text = b"hello"
            packet = av.Packet(len(text).to_bytes(2, "big") + text if subtitles == "mov_text" else text)
            packet.pts = packet.dts = 80 + round(late * 1000)
            packet.duration, packet.time_base, packet.stream = 200, Fraction(1, 1000), titles
            container.mux(packet)
        container.mux(video.encode(None))
    return path


def add_cover(container: av.container.OutputContainer, jpeg: bytes) -> None:
    """Put a cover picture into an MP4 file, once all of its streams are there."""
    stream = container.add_mux_stream("mjpeg", width=8, height=8)
    stream.disposition = av.stream.Disposition.attached_pic
    packet = av.Packet(jpeg)
    packet.stream, packet.pts, packet.dts = stream, 0, 0
    container.mux(packet)


def times(path: Path) -> list[Fraction]:
    """When each frame is shown, in seconds."""
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def packets(path: Path, kind: str) -> list[tuple[Fraction, str]]:
    """When each packet of sound or subtitles comes, and its MD5."""
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        return [
            (packet.pts * packet.time_base, hashlib.md5(bytes(packet)).hexdigest())
            for stream in streams[:1]
            for packet in container.demux(stream)
            if packet.dts is not None
        ]


def chapters(path: Path) -> list[tuple[float, float, str]]:
    """When each chapter begins and ends, in seconds, and its title, as ffprobe reads them."""
    said = json.loads(program("ffprobe", "-v", "error", "-show_chapters", "-of", "json", str(path)))["chapters"]
    return [(float(each["start_time"]), float(each["end_time"]), each["tags"]["title"]) for each in said]


def planes(path: Path) -> list[list[np.ndarray]]:
    """The planes of each frame as they are decoded."""
    with av.open(str(path)) as container:
        return [
            [
                np.frombuffer(plane, np.uint16 if "10le" in frame.format.name else np.uint8)
                .reshape(plane.height, -1)[:, : plane.width]
                .copy()
                for plane in frame.planes
            ]
            for frame in container.decode(video=0)
        ]


def pixels(path: Path) -> Tensor:
    """Frames (T, H, W, 3) in [0, 1], by BT.709's own equations; a colour sample counts for all pixels that share it."""
    frames = []
    for y, cb, cr in planes(path):
        scale = 4 if y.dtype == np.uint16 else 1
        cb, cr = (each.repeat(len(y) // len(each), 0).repeat(len(y) // len(each), 1) for each in (cb, cr))
        luma, blue, red = ((y / scale - 16) / 219, (cb / scale - 128) / 224, (cr / scale - 128) / 224)
        red, blue = luma + 1.5748 * red, luma + 1.8556 * blue
        green = (luma - 0.2126 * red - 0.0722 * blue) / 0.7152
        frames.append(torch.from_numpy(np.stack([red, green, blue], -1)))
    return torch.stack(frames)


def program(name: str, *arguments: str) -> str:
    """What another program prints; without it the test is skipped."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return subprocess.run([name, *arguments], capture_output=True, text=True, check=True).stdout


def media_info(path: Path) -> dict[str, list[dict[str, str]]]:
    """What MediaInfo, whose library is among the tests' packages, says of a file's streams, by their kind."""
    found: dict[str, list[dict[str, str]]] = {}
    for track in json.loads(MediaInfo.parse(path, output="JSON"))["media"]["track"]:
        found.setdefault(track["@type"], []).append(track)
    return found


def ffprobe(path: Path, *arguments: str) -> dict[str, Any]:
    """What ffprobe says of a file's picture stream."""
    said = program(
        "ffprobe", "-v", "error", "-select_streams", "v", "-show_streams", "-of", "json", *arguments, str(path)
    )
    return json.loads(said)["streams"][0]
