"""What a stereo video file will be, settled before any time is spent; and what there is to say about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ...stereo_core.video_formats import VIDEO_FORMATS, Tags, VideoFormat
from .made_sound import MadeSound
from .source_clip import SourceClip
from .source_streams import SourceStream
from .timing import Timing
from .video_codecs import Codec, Quality
from .video_encoding import Encoding
from .video_file import Container, VideoFile, misfits
from .video_views import Packed

_WIDEST_H264 = 4096
_KEPT_HDR = "HDR as in source. For frames that you have tone-mapped choose a codec of 8 bits."
_LOST_HDR = "source is HDR, and the file is not: it looks pale unless you have tone-mapped it. hevc_10bit keeps HDR."
_BYTES = 0.1  # a pixel, at most, of what is written here as a rule


@dataclass(frozen=True, slots=True)
class FileOptions:
    """What the node's widgets say about the file."""

    codec: Codec
    quality: Quality
    container: Container
    tags: Tags


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """A file, and what there is to say about it.

    Attributes:
        remarks: whole sentences.
    """

    file: VideoFile
    remarks: tuple[str, ...]

    @classmethod
    def make(
        cls,
        views: Packed,
        fps: float,
        options: FileOptions,
        metadata: dict[str, str],
        clip: SourceClip | None = None,
        audio: dict[str, Any] | None = None,
    ) -> VideoPlan:
        """Settle everything.

        Args:
            views: what is shown.
            fps: frames a second, where the source does not tell their times.
            options: of the file.
            metadata: texts by name, besides the source's.
            clip: the source whose times, sound and subtitles are kept.
            audio: AUDIO that takes the place of the source's sound.

        Raises:
            ValueError: something does not fit, or is not there.
        """
        told = VIDEO_FORMATS[views.form]
        encoding = _encoding(told, views, options, clip)
        timing, until, remarks = _timing(len(views), fps, clip)
        encoding.expect_encoder(views.size, timing.encoders)
        made = audio if audio is not None or clip is None else clip.audio
        streams = () if clip is None else clip.streams
        if made is not None:
            streams = tuple(stream for stream in streams if stream.kind != "audio")
        container, kept, about_streams = _container(options.container, streams)
        if clip is not None and clip.covered and container is Container.MP4:
            remarks.append("The source's cover picture is left out; an mkv file keeps it.")
        if clip is not None and clip.hdr:
            remarks.append(_KEPT_HDR if encoding.wide else _LOST_HDR)
        file = VideoFile(
            container,
            encoding,
            None if options.tags is Tags.NONE else told,
            timing,
            {**((clip and clip.metadata) or {}), **metadata},
            clip,
            kept,
            until,
            None if made is None else MadeSound.read(made),
        )
        return cls(file, (*remarks, *about_streams, *_about_players(file, views, told)))

    def most_bytes(self, size: tuple[int, int]) -> int:
        """About how many bytes of the disk are needed for pictures of this size (H, W), at most."""
        pictures = round(_BYTES * size[0] * size[1] * len(self.file.timing))
        return self.file.copies * (pictures + self.file.most_sound)


def _encoding(told: VideoFormat, views: Packed, options: FileOptions, clip: SourceClip | None) -> Encoding:
    aspect = told.pixel_aspect * (1 if clip is None else clip.pixel_aspect)
    encoding = Encoding(options.codec, options.quality, told.full_color, aspect)
    if clip is not None and encoding.bits == 10:  # eight are too few for HDR
        encoding = replace(encoding, transfer=clip.transfer)
    if options.tags is not Tags.CONTAINER_AND_STREAM:
        return encoding
    if told.signal is None:
        raise ValueError(
            f"tags: container_and_stream cannot tell of {views.form.value}. Set tags to container, or choose another "
            "format."
        )
    return replace(encoding, signal=told.signal)


def _timing(frames: int, fps: float, clip: SourceClip | None) -> tuple[Timing, Fraction | None, list[str]]:
    """Return the times, after how many seconds copied sound ends, and what there is to say about it."""
    constant = Timing.constant(frames, fps)
    if clip is None:
        return constant, None, []
    if clip.timing is not None and len(clip.timing) == frames:
        return clip.timing, clip.timing.end if clip.windowed else None, []
    there = "tells no times" if clip.timing is None else f"has {len(clip.timing)} frames"
    seconds = float(constant.end)
    return (
        constant,
        constant.end,
        [f"source {there} and left has {frames}: they come at {fps:g} fps, and sound ends after {seconds:.2f} s."],
    )


def _container(
    wanted: Container, streams: tuple[SourceStream, ...]
) -> tuple[Container, tuple[SourceStream, ...], list[str]]:
    """Return the kind of file, which streams it holds, and what there is to say about it."""
    lost = {kind: misfits(kind, streams) for kind in (Container.MP4, Container.MKV)}
    kind, remarks = wanted, []
    if wanted is Container.AUTO:
        better = len(lost[Container.MKV]) < len(lost[Container.MP4])
        kind = Container.MKV if better else Container.MP4
        if better:
            remarks.append(f"MKV, for MP4 cannot hold the source's {_list(lost[Container.MP4])}.")
    if lost[kind]:
        remarks.append(f"Left out, for {kind.value.upper()} cannot hold it: the source's {_list(lost[kind])}.")
        if any(stream.kind == "audio" for stream in lost[kind]):
            remarks.append(
                "For its sound as AAC give Save Stereo Video the audio of Get Video Components, or convert the source "
                "with another program first."
            )
    return kind, tuple(stream for stream in streams if stream not in lost[kind]), remarks


def _about_players(file: VideoFile, views: Packed, told: VideoFormat) -> list[str]:
    remarks, (_, width) = [], views.size
    if file.encoding.codec in (Codec.H264, Codec.H264_10BIT, Codec.H264_NVENC) and width > _WIDEST_H264:
        remarks.append(
            f"{width} pixels wide: most headsets and televisions play H.264 up to {_WIDEST_H264}. Set codec to hevc."
        )
    if told.full_color:
        remarks.append(
            "Half as much colour as pixels mixes the views of this format: h264 and hevc keep all of it."
            if file.encoding.subsampled
            else "Colour for every pixel (4:4:4), which this format needs: computers play it, few headsets and phones."
        )
    if file.container is Container.MKV:
        remarks.append("The editor shows and opens mp4 files only.")
    return remarks


def _list(streams: list[SourceStream]) -> str:
    return ", ".join(map(str, streams))
