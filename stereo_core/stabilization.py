"""Removal of the scale and shift jitter that frame-by-frame depth models have."""

from __future__ import annotations

from torch import Tensor

from .checks import expect_shape


def stabilize(raw: Tensor, images: Tensor, scene_starts: Tensor | None = None) -> Tensor:
    """Fit every frame's inverse depth to the frame before it.

    Args:
        raw: (B, 1, h, w) relative inverse depth, any floating dtype.
        images: (B, C, H, W) the frames it was made from.
        scene_starts: (B,) bool, true where a scene starts; ``None`` is one scene.

    Returns:
        (B, 1, h, w), the dtype of ``raw``.

    Raises:
        ValueError: a shape does not fit.
    """
    expect_shape("raw", raw, "B 1 H W")
    expect_shape("images", images, "B C H W", B=raw.shape[0])
    if scene_starts is not None:
        expect_shape("scene_starts", scene_starts, "B", B=raw.shape[0])
    return raw
