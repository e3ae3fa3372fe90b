"""Pictures of a clip in the form that its encoder takes, and the stream that they go into."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
from torch import Tensor

from ...stereo_core.ycbcr import to_ycbcr
from .svt_av1 import contained
from .video_codecs import ENCODERS, NARROW, Codec, Quality

_BT709, _BT2020, _LIMITED = 1, 9, 1  # as codecs number them


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
        return not (self.full_color and ENCODERS[self.codec].full_color)

    @property
    def pixels(self) -> str:
        """libavutil's name of the pictures' form."""
        return f"yuv{420 if self.subsampled else 444}p{'10le' if self.bits == 10 else ''}"

    def expect_encoder(self, size: tuple[int, int], rate: Fraction = Fraction(24)) -> None:
        """Raise ``ValueError`` unless there is the encoder, and takes pictures of this size (H, W) at this rate."""
        missing = {codec for codec, encoder in ENCODERS.items() if encoder.name not in av.codecs_available}
        if self.codec in missing:
            there = [codec.value for codec in Codec if codec not in missing and not ENCODERS[codec].hardware]
            raise ValueError(
                f"codec: the PyAV of this ComfyUI has no encoder for {self.codec.value}. "
                + (f"Choose one of {', '.join(there)}." if there else "Install PyAV as ComfyUI's requirements name it.")
            )
        if self.signal is not None and ENCODERS[self.codec].name != "libx264":
            raise ValueError(
                f"tags: container_and_stream is not there for {self.codec.value}, whose encoder writes no such signal. "
                "Set tags to container, or codec to h264."
            )
        refused = (
            f"codec: {self.codec.value} takes no pictures of {size[1]}x{size[0]} at {float(rate):g} frames a second. "
            "Choose another codec, or scale the views."
        )
        if min(size) < ENCODERS[self.codec].thinnest and max(size) > NARROW:
            raise ValueError(refused)
        try:
            with av.open(BytesIO(), "w", format="mp4") as nothing:
                self.add_stream(nothing, size, rate, 1 / rate)
        except av.FFmpegError as error:
            if ENCODERS[self.codec].hardware:
                raise ValueError(
                    f"codec: {self.codec.value} needs an NVIDIA card here that encodes pictures of {size[1]}x{size[0]} "
                    f"so, and its driver. Choose {self.codec.value.removesuffix('_nvenc')} to encode on the processor."
                ) from error
            raise ValueError(refused) from error

    def add_stream(
        self, container: av.container.OutputContainer, size: tuple[int, int], rate: Fraction, time_base: Fraction
    ) -> av.VideoStream:
        """Add a stream for pictures of this size (H, W), with its encoder open; times are counted in ``time_base``.

        Raises:
            FFmpegError: the encoder takes no such pictures.
        """
        encoder = ENCODERS[self.codec]
        options = {**encoder.options, encoder.crf_name: str(encoder.crf[list(Quality).index(self.quality)])}
        if self.signal is not None:
            options["x264-params"] = f"frame-packing={self.signal}"
        threads = encoder.threads if self.threads else {}
        narrow = encoder.narrow if size[1] < NARROW else {}
        for name, text in (*threads.items(), *narrow.items()):
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
        with contained():
            codec.open()
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
