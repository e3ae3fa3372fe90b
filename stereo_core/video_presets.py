"""StereoCrafter-Zero's published settings by resolution."""

from __future__ import annotations

from enum import Enum


class VideoPreset(str, Enum):
    """A resolution, height x width, or one's own settings."""

    CUSTOM = "custom"
    LARGE = "576x1024"
    MEDIUM = "320x512"
    SMALL = "256x256"


STEPS = 50
"""What the published step numbers and repeats are counted on."""

# The published step numbers mean what they do by their noise. The model is DynamiCrafter: 1000 training steps of
# scaled-linear betas from 0.00085 to 0.012, rescaled to no signal at the noisiest one, and sampled with trailing
# spacing, which makes step i of 50 the training step 999 - 20 i. tests/core/test_video_presets.py writes it out.

RESTART_END = 18.13
"""Noise to signal after the restart, step 5 of 50: StereoCrafter-Zero (Shi et al.), section 4.1."""

LAST_WARPS = {VideoPreset.LARGE: 0.9394, VideoPreset.MEDIUM: 0.4020, VideoPreset.SMALL: 0.3550}
"""Noise to signal at the last warp: steps 34, 44 and 45 of 50.

StereoCrafter-Zero (Shi et al.), section 4.1 and appendix C.3; 45 is the published code's.
"""


def in_proportion(times: float, steps: int) -> float:
    """Return how often a step is taken where StereoCrafter-Zero takes it ``times`` times, in ``steps`` steps.

    Only what is taken once more shrinks, with the number of steps below that paper's 50: the cost stays about as many
    times a plain run as it is there.
    """
    return 1 + (times - 1) * min(steps / STEPS, 1)
