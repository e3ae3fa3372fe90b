"""What clips can be encoded in, and how its encoders are asked for a quality."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum


class Codec(str, Enum):
    """What a video is encoded in; eight bits unless it says ten."""

    H264 = "h264"
    HEVC = "hevc"
    AV1 = "av1"
    HEVC_10BIT = "hevc_10bit"
    AV1_10BIT = "av1_10bit"
    H264_10BIT = "h264_10bit"
    H264_NVENC = "h264_nvenc"
    HEVC_NVENC = "hevc_nvenc"
    AV1_NVENC = "av1_nvenc"


class Quality(str, Enum):
    """How much of the pictures is kept, against the size of the file."""

    BEST = "best"
    HIGH = "high"
    MEDIUM = "medium"
    SMALL = "small"


NARROW = 64
"""Pixels."""


@dataclass(frozen=True)
class Encoder:
    """An encoder of libavcodec.

    Attributes:
        crf: by quality, from ``BEST`` to ``SMALL``; each encoder has its own scale.
        options: besides.
        crf_name: of the option that takes it.
        hardware: it is a part of a graphics card.
        tag: what the pictures' description is called in an MP4 file, where that is not its default.
        full_color: it can keep the colour of every pixel (4:4:4).
        threads: options by which it takes a number of threads, and makes the same file on every machine.
        narrow: options for pictures that are less than ``NARROW`` wide.
        thinnest: the least side of pictures whose other side is more than ``NARROW``.
    """

    name: str
    crf: tuple[int, int, int, int]
    options: dict[str, str]
    crf_name: str = "crf"
    hardware: bool = False
    tag: str | None = None
    full_color: bool = True
    threads: dict[str, str] = field(default_factory=lambda: {"threads": "{}"})
    narrow: dict[str, str] = field(default_factory=dict)
    thinnest: int = 1


# With the instructions of the processor at hand, AVX-512 among them, libx264 reads memory that it has not written, and
# its files differ from run to run (its core 165, where a width in macroblocks is no multiple of 8).
_H264 = Encoder(
    "libx264",
    (12, 18, 23, 28),
    {"preset": "medium"},
    threads={"threads": "{}", "x264-params": "cpu-independent=1"},
)
# QuickTime plays HEVC as hvc1 only. In a row of less than four blocks of 16 pixels libx265's cuTree (with AVX2) writes
# beyond its memory, which ends the whole process.
_HEVC = Encoder(
    "libx265",
    (12, 18, 24, 29),
    {"preset": "medium", "x265-params": "log-level=error"},
    tag="hvc1",
    threads={"x265-params": "pools={0}:frame-threads=3"},
    narrow={"x265-params": "cutree=0"},
)
# Of thinner strips SVT-AV1 waits for itself for ever.
_AV1 = Encoder(
    "libsvtav1",
    (12, 22, 32, 42),
    {"preset": "8"},
    full_color=False,
    threads={"svtav1-params": "lp={}"},
    thinnest=32,
)


def _on_card(like: Encoder, name: str) -> Encoder:
    """Return an encoder in NVIDIA's cards. What its file is, the card decides, and no option."""
    options = {"preset": "p5", "tune": "hq", "rc": "vbr", "b": "0"}  # no bit rate but what cq asks for
    return replace(like, name=name, options=options, crf_name="cq", hardware=True, threads={}, narrow={}, thinnest=1)


ENCODERS = {
    Codec.H264: _H264,
    Codec.H264_10BIT: _H264,
    Codec.HEVC: _HEVC,
    Codec.HEVC_10BIT: _HEVC,
    Codec.AV1: _AV1,
    Codec.AV1_10BIT: _AV1,
    Codec.H264_NVENC: _on_card(_H264, "h264_nvenc"),
    Codec.HEVC_NVENC: _on_card(_HEVC, "hevc_nvenc"),
    Codec.AV1_NVENC: _on_card(_AV1, "av1_nvenc"),
}
