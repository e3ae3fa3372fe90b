"""StereoCrafter-Zero's published settings by resolution."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class VideoPreset(str, Enum):
    """A resolution, height x width, or one's own settings."""

    CUSTOM = "custom"
    LARGE = "576x1024"
    MEDIUM = "320x512"
    SMALL = "256x256"


class VideoSettings(NamedTuple):
    """What depends on the resolution.

    Attributes:
        last_warp: share of the schedule after which the right view is no longer warped, 0 to 1.
        dissolve: recommended strength of dissolving the depth map, as a share of the schedule, 0 for none.
    """

    last_warp: float
    dissolve: float


PUBLISHED = {
    VideoPreset.LARGE: VideoSettings(34 / 50, 45 / 50),
    VideoPreset.MEDIUM: VideoSettings(44 / 50, 40 / 50),
    VideoPreset.SMALL: VideoSettings(45 / 50, 0.0),
}
"""StereoCrafter-Zero (Shi et al.), section 4.1 and appendix C, in steps of 50."""
