"""Encoders of this PyAV: names, quality, and pictures in the form that they take."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
from torch import Tensor

from ...stereo_core.ycbcr import to_ycbcr

_BT709, _BT2020, _LIMITED = 1, 9, 1  # as codecs number them


class Codec(str, Enum):
    """What a video is encoded in; eight bits unless it says ten."""

    H264 = "h264"
    HEVC = "hevc"
    AV1 = "av1"
    HEVC_10BIT = "hevc_10bit"
    AV1_10BIT = "av1_10bit"
    H264_10BIT = "h264_10bit"


class Quality(str, Enum):
    """How much of the pictures is kept, against the size of the file."""

    BEST = "best"
    HIGH = "high"
    MEDIUM = "medium"
    SMALL = "small"


@dataclass(frozen=True)
class _Encoder:
    """An encoder of libavcodec.

    Attributes:
        crf: by quality, from ``BEST`` to ``SMALL``; each encoder has its own scale.
        options: besides.
        tag: what the pictures' description is called in an MP4 file, where that is not its default.
        full_color: it can keep the colour of every pixel (4:4:4).
        threads: options by which it takes a number of threads, and makes the same file on every machine.
    """

    name: str
    crf: tuple[int, int, int, int]
    options: dict[str, str]
    tag: str | None = None
    full_color: bool = True
    threads: dict[str, str] = field(default_factory=lambda: {"threads": "{}"})


# With the instructions of the processor at hand, AVX-512 among them, libx264 reads memory that it has not written, and
# its files differ from run to run (its core 165, where a width in macroblocks is no multiple of 8).
_H264 = _Encoder(
    "libx264",
    (12, 18, 23, 28),
    {"preset": "medium"},
    threads={"threads": "{}", "x264-params": "cpu-independent=1"},
)
# QuickTime plays HEVC as hvc1 only.
_HEVC = _Encoder(
    "libx265",
    (12, 18, 24, 29),
    {"preset": "medium", "x265-params": "log-level=error"},
    tag="hvc1",
    threads={"x265-params": "pools={0}:frame-threads=3"},
)
_AV1 = _Encoder("libsvtav1", (12, 22, 32, 42), {"preset": "8"}, full_color=False, threads={"svtav1-params": "lp={}"})
_ENCODERS = {
    Codec.H264: _H264,
    Codec.H264_10BIT: _H264,
    Codec.HEVC: _HEVC,
    Codec.HEVC_10BIT: _HEVC,
    Codec.AV1: _AV1,
    Codec.AV1_10BIT: _AV1,
}


@dataclass(frozen=True)
class Encoding:
    """How pictures are encoded.

    Attributes:
        full_color: each pixel has its own colour (4:4:4), where the codec can.
        pixel_aspect: width of a pixel by its height.
        signal: what the stream itself tells televisions (``VideoFormat.signal``); H.264 only.
        transfer: the curve of brightness that the pictures come with, as codecs number it: BT.709's, or one of HDR,
            whose colours are those of BT.2020.
        threads: of the encoder; 0 leaves it to the encoder, whose files then differ from machine to machine.
    """

    codec: Codec
    quality: Quality
    full_color: bool = False
    pixel_aspect: Fraction = Fraction(1)
    signal: int | None = None
    threads: int = 0
    transfer: int = _BT709

    @property
    def bits(self) -> int:
        """Of a sample."""
        return 10 if self.codec.value.endswith("10bit") else 8

    @property
    def wide(self) -> bool:
        """The colours are those of BT.2020."""
        return self.transfer != _BT709

    @property
    def matrix(self) -> int:
        """How samples are made of colours, as codecs number it."""
        return _BT2020 if self.wide else _BT709

    @property
    def subsampled(self) -> bool:
        """Colour has half the width and height of the picture (4:2:0)."""
        return not (self.full_color and _ENCODERS[self.codec].full_color)

    @property
    def pixels(self) -> str:
        """libavutil's name of the pictures' form."""
        return f"yuv{420 if self.subsampled else 444}p{'10le' if self.bits == 10 else ''}"

    def expect_encoder(self, size: tuple[int, int], rate: Fraction = Fraction(24)) -> None:
        """Raise ``ValueError`` unless there is the encoder, and takes pictures of this size (H, W) at this rate."""
        missing = {codec for codec, encoder in _ENCODERS.items() if encoder.name not in av.codecs_available}
        if self.codec in missing:
            there = [codec.value for codec in Codec if codec not in missing]
            raise ValueError(
                f"codec: the PyAV of this ComfyUI has no encoder for {self.codec.value}. "
                + (f"Choose one of {', '.join(there)}." if there else "Install PyAV as ComfyUI's requirements name it.")
            )
        if self.signal is not None and _ENCODERS[self.codec] is not _H264:
            raise ValueError(
                f"tags: container_and_stream is not there for {self.codec.value}, whose encoder writes no such signal. "
                "Set tags to container, or codec to h264."
            )
        try:
            with av.open(BytesIO(), "w", format="mp4") as nothing:
                self.add_stream(nothing, size, rate, 1 / rate).codec_context.open()
        except av.FFmpegError as error:
            raise ValueError(
                f"codec: {self.codec.value} takes no pictures of {size[1]}x{size[0]} at {float(rate):g} frames a "
                "second. Choose another codec, or scale the views."
            ) from error

    def add_stream(
        self, container: av.container.OutputContainer, size: tuple[int, int], rate: Fraction, time_base: Fraction
    ) -> av.VideoStream:
        """Add a stream for pictures of this size (H, W), whose times are counted in ``time_base``."""
        encoder = _ENCODERS[self.codec]
        options = {**encoder.options, "crf": str(encoder.crf[list(Quality).index(self.quality)])}
        if self.signal is not None:
            options["x264-params"] = f"frame-packing={self.signal}"
        if self.threads:
            for name, text in encoder.threads.items():
                options[name] = ":".join(filter(None, (options.get(name), text.format(self.threads))))
        stream = container.add_stream(encoder.name, rate=rate, options=options)
        stream.height, stream.width = size
        stream.pix_fmt = self.pixels
        codec = stream.codec_context
        codec.time_base, codec.sample_aspect_ratio = time_base, self.pixel_aspect
        codec.color_primaries = codec.colorspace = self.matrix  # both have the same number
        codec.color_trc = self.transfer
        codec.color_range = _LIMITED
        if encoder.tag is not None and container.format.name == "mp4":
            codec.codec_tag = encoder.tag
        return stream

    def frame(self, picture: Tensor) -> av.VideoFrame:
        """Return a picture (3, H, W) in [0, 1] as the encoder takes it, in limited range."""
        frame = av.VideoFrame(picture.shape[-1], picture.shape[-2], self.pixels)
        for plane, values in zip(frame.planes, to_ycbcr(picture, self.bits, self.subsampled, self.wide), strict=True):
            samples(plane, self.bits)[:] = values.cpu().numpy()
        return frame


def samples(plane: av.video.plane.VideoPlane, bits: int) -> np.ndarray:
    """Return the samples (H, W) of a frame's plane: uint8 or, for 10 bits, int16."""
    rows = np.frombuffer(plane, np.uint8 if bits == 8 else np.int16).reshape(plane.height, -1)
    return rows[:, : plane.width]
