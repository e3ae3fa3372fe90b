"""Inputs of the nodes that save video: how two views share a picture, how pictures are encoded, the kind of file."""

from __future__ import annotations

from collections.abc import Sequence

from comfy_api.latest import io

from ...stereo_core.formats import StereoFormat
from ...stereo_core.video_formats import Sphere, Tags
from .video_codecs import Codec, Quality
from .video_file import Container


def format_input(forms: Sequence[StereoFormat | Sphere]) -> io.Combo.Input:
    """``format``, one of these."""
    sphere = " vr180: from Flat Pair to VR180 or Panorama to VR180." if Sphere.VR180 in forms else ""
    return io.Combo.Input(
        "format",
        options=[form.value for form in forms],
        default=StereoFormat.FULL_SBS.value,
        tooltip="full_sbs, full_tb: for headsets and players. half_*: squeezed, for 3D televisions.\n"
        "cross_eyed: for free viewing. anaglyph_*: for coloured glasses.\n"
        "interlaced_*, checkerboard: for passive and DLP screens; never let a player scale those.\n"
        f"rgb_depth: picture and depth map.{sphere}",
    )


def codec_input() -> io.Combo.Input:
    """``codec``."""
    return io.Combo.Input(
        "codec",
        options=Codec,
        default=Codec.H264.value,
        tooltip="h264: played everywhere, up to 4096 pixels wide. hevc: half the size, for headsets and "
        "wide pictures.\nav1: smallest, for new devices. *_10bit: skies and fog without bands; "
        "h264_10bit is played by computers only.\n*_nvenc: encoded by an NVIDIA card, fast.",
    )


def quality_input() -> io.Combo.Input:
    """``quality``."""
    return io.Combo.Input(
        "quality",
        options=Quality,
        default=Quality.HIGH.value,
        tooltip="best: to be worked on further, large. high: no difference to be seen.\n"
        "medium: half the size of high. small: to send to someone.",
    )


def container_input() -> io.Combo.Input:
    """``container``."""
    return io.Combo.Input(
        "container",
        options=Container,
        default=Container.AUTO.value,
        advanced=True,
        tooltip="auto: mp4, or mkv where the source has sound or subtitles that mp4 cannot hold. The "
        "editor opens workflows from mp4 only.",
    )


def tags_input() -> io.Combo.Input:
    """``tags``."""
    return io.Combo.Input(
        "tags",
        options=Tags,
        default=Tags.CONTAINER.value,
        advanced=True,
        tooltip="container: the file says within how its views are packed, besides by its name.\n"
        "container_and_stream: the pictures' stream, too, for 3D televisions; h264 only.\n"
        "none: for programs that show but one view of a tagged file, such as Windows Photos.",
    )
