"""From a depth IMAGE to the disparity of a latent."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ...stereo_core.frame_matching import match_frames, resize_nearest
from ...stereo_core.geometry import StereoGeometry
from ..host import depth_to_core, for_each


def latent_columns(latent: Sequence[int], depth: Tensor, geometry: StereoGeometry, ratio: int = 1) -> Tensor:
    """Fit a depth map to a latent and turn it into whole latent columns.

    Args:
        latent: the latent's shape, (B, C, H, W) or (B, C, T, H, W).
        depth: IMAGE (N, h, w, C), white near: one map for each picture or frame, or one for all; for a video latent
            also one for each frame of the video it was encoded from.
        geometry: how deep the stereo is.
        ratio: frames of the video to one of its latent, as the model has it; 1 where that is not known.

    Returns:
        (B, 1, H, W) or (B, 1, T, H, W) float32, on the depth map's device.

    Raises:
        ValueError: another aspect, another count, values that are no depth.
    """
    height, width = latent[-2:]
    rows, columns = depth.shape[1:3]
    # One latent row or column either way is the VAE's rounding; more is another shape.
    if abs(rows * width / max(columns, 1) - height) > 1 and abs(columns * height / max(rows, 1) - width) > 1:
        raise ValueError(
            f"depth is {columns}x{rows}, of another shape than the latent of {width} columns and {height} rows. "
            "Make the depth map from the picture that was encoded."
        )
    inverse_depth = resize_nearest(depth_to_core(depth), (height, width))
    if len(latent) == 4:
        return geometry.whole_columns(for_each(inverse_depth, latent[0]), width)
    frames = (latent[2] - 1) * ratio + 1
    if ratio > 1 and len(depth) not in (1, latent[2], frames):
        raise ValueError(
            f"depth holds {len(depth)} maps for a clip of {frames} frames ({latent[2]} in its latent). Give one for "
            "each frame, for example with Depth Estimate from the decoded clip, or one for all."
        )
    clip = geometry.whole_columns(match_frames(inverse_depth, latent[2]), width)
    return clip.movedim(0, 1).unsqueeze(0).expand(latent[0], -1, -1, -1, -1)
