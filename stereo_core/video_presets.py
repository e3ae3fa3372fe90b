"""StereoCrafter-Zero's published settings by resolution."""

from __future__ import annotations

from enum import Enum


class VideoPreset(str, Enum):
    """A resolution, height x width, or one's own settings."""

    CUSTOM = "custom"
    LARGE = "576x1024"
    MEDIUM = "320x512"
    SMALL = "256x256"


LAST_WARPS = {
    VideoPreset.LARGE: 34 / 50,
    VideoPreset.MEDIUM: 44 / 50,
    VideoPreset.SMALL: 45 / 50,
}
"""The fraction of the schedule after which the right view is no longer warped.

StereoCrafter-Zero (Shi et al.), section 4.1 and appendix C, in steps of 50.
"""
