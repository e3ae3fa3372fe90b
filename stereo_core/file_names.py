"""Names of stereo files: headset and desktop players decide by the end of a name how its two views are packed."""

from __future__ import annotations

from enum import Enum

from .formats import StereoFormat


class NameStyle(str, Enum):
    """Whether a file's name tells players how its views are packed."""

    PLAYER = "player"
    PLAIN = "plain"


# Full side by side has three tags, for no player reads them all: LRF is Pigasus', Full_SBS SKYBOX's and iw3's, and both
# contain one of DeoVR's. iw3's player takes LR for half width. What players must show flat has none of their tags, not
# even within a word ("colour" has "ou", "interlaced" has "rl").
_SUFFIXES = {
    StereoFormat.FULL_SBS: "_LRF_Full_SBS",
    StereoFormat.HALF_SBS: "_LR",
    StereoFormat.CROSS_EYED: "_RLF_cross",
    StereoFormat.FULL_TB: "_TBF_fulltb",
    StereoFormat.HALF_TB: "_TB",
    StereoFormat.ANAGLYPH_DUBOIS: "_anaglyph_red-cyan",
    StereoFormat.ANAGLYPH_COLOR: "_anaglyph_red-cyan_color",
    StereoFormat.ANAGLYPH_HALF_COLOR: "_anaglyph_red-cyan_mild-color",
    StereoFormat.ANAGLYPH_GRAY: "_anaglyph_red-cyan_gray",
    StereoFormat.ANAGLYPH_GREEN_MAGENTA: "_anaglyph_green-magenta",
    StereoFormat.ANAGLYPH_AMBER_BLUE: "_anaglyph_amber-blue",
    StereoFormat.INTERLACED_ROWS: "_row-by-row",
    StereoFormat.INTERLACED_COLUMNS: "_column-by-column",
    StereoFormat.CHECKERBOARD: "_checkerboard",
    StereoFormat.RGB_DEPTH: "_RGBD",
    StereoFormat.WIGGLE: "_wiggle",
}

VR180_SUFFIX = "_180x180_3dh_LR"
"""Ends the name of two views side by side, each of which is half a sphere, equirectangular (SKYBOX, DeoVR)."""


def player_suffix(format: StereoFormat) -> str:
    """Return what ends a file's name, before the extension, so that players show a flat screen of this format.

    Formats that players cannot show as stereo get the plain name of what they are. Sources of the tags: SKYBOX's page
    on file names, nunif's README and ``iw3/player/stereo_detector.py``, which reads the longest tag that it finds.
    """
    return _SUFFIXES[StereoFormat(format)]


def file_name(name: str, number: int | None, suffix: str, extension: str) -> str:
    """Return a file's name. ``suffix`` stands last, after the number by which the host keeps names apart.

    Args:
        name: what the user calls it.
        number: 1 or more; ``None`` for a name without one.
        suffix: of :func:`player_suffix`, or nothing.
        extension: ``"png"``, for example.
    """
    counter = "" if number is None else f"_{number:05}"
    # The host takes a number for its own only where a sign follows.
    return f"{name}{counter}{suffix or ('_' if counter else '')}.{extension}"
