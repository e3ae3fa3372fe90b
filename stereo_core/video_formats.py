"""Stereo formats of video: how files tell players of them, and what keeps them intact."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from .file_names import VR180_SUFFIX, player_suffix
from .formats import StereoFormat
from .mp4_boxes import HALF_SPHERE, Bounds, StereoMode


class Sphere(str, Enum):
    """Formats whose views are no flat pictures."""

    VR180 = "vr180"
    """Square equirectangular views of half a sphere, side by side."""


class Tags(str, Enum):
    """Where a file says how its views are packed, besides its name."""

    CONTAINER = "container"
    CONTAINER_AND_STREAM = "container_and_stream"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """What a file of one stereo format says.

    Attributes:
        mp4: the value of its ``st3d`` box; ``None`` where that has none for the format.
        matroska: libavformat's name of its StereoMode (RFC 9559, section 5.1.4.1.28.3), or ``None``.
        signal: the arrangement that an H.264 stream tells of, left view first (H.264, D.2.26, table D-8), or ``None``.
        pixel_aspect: width of a pixel by its height, with which both views have their own shape.
        full_color: half as much colour as pixels (4:2:0) mixes the two views.
        sphere: what each view lacks of the sphere; ``None`` for flat pictures.
    """

    mp4: StereoMode | None = None
    matroska: str | None = None
    signal: int | None = None
    pixel_aspect: Fraction = Fraction(1)
    full_color: bool = False
    sphere: Bounds | None = None


_MIXED = VideoFormat(full_color=True)
_WIDE, _HIGH = Fraction(2, 1), Fraction(1, 2)
# A player that takes a glasses' picture for stereo shows nonsense: anaglyphs have no tag, though Matroska has two.
VIDEO_FORMATS: dict[StereoFormat | Sphere, VideoFormat] = {
    StereoFormat.FULL_SBS: VideoFormat(StereoMode.LEFT_RIGHT, "left_right", 3),
    StereoFormat.HALF_SBS: VideoFormat(StereoMode.LEFT_RIGHT, "left_right", 3, _WIDE),
    StereoFormat.CROSS_EYED: VideoFormat(StereoMode.RIGHT_LEFT, "right_left"),
    StereoFormat.FULL_TB: VideoFormat(StereoMode.TOP_BOTTOM, "top_bottom", 4),
    StereoFormat.HALF_TB: VideoFormat(StereoMode.TOP_BOTTOM, "top_bottom", 4, _HIGH),
    StereoFormat.ANAGLYPH_DUBOIS: _MIXED,
    StereoFormat.ANAGLYPH_COLOR: _MIXED,
    StereoFormat.ANAGLYPH_HALF_COLOR: _MIXED,
    StereoFormat.ANAGLYPH_GRAY: _MIXED,
    StereoFormat.ANAGLYPH_GREEN_MAGENTA: _MIXED,
    StereoFormat.ANAGLYPH_AMBER_BLUE: _MIXED,
    StereoFormat.INTERLACED_ROWS: VideoFormat(None, "row_interleaved_lr", 2, full_color=True),
    StereoFormat.INTERLACED_COLUMNS: VideoFormat(None, "col_interleaved_lr", 1, full_color=True),
    StereoFormat.CHECKERBOARD: VideoFormat(None, "checkerboard_lr", 0, full_color=True),
    StereoFormat.RGB_DEPTH: VideoFormat(),
    Sphere.VR180: VideoFormat(StereoMode.LEFT_RIGHT, "left_right", sphere=HALF_SPHERE),
}
"""Every format but ``wiggle``, whose frames in turn are no clip; and views of a sphere."""


def video_format(name: str) -> StereoFormat | Sphere:
    """Return the format of that name.

    Raises:
        ValueError: there is none.
    """
    return Sphere(name) if name in [sphere.value for sphere in Sphere] else StereoFormat(name)


def packing(form: StereoFormat | Sphere) -> StereoFormat:
    """Return how both views share one picture."""
    return form if isinstance(form, StereoFormat) else StereoFormat.FULL_SBS


def name_suffix(form: StereoFormat | Sphere) -> str:
    """Return what ends a file's name so that players know the format."""
    return player_suffix(form) if isinstance(form, StereoFormat) else VR180_SUFFIX
