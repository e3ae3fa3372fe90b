"""Fitting a depth or disparity clip to another grid: another size, or the frames of a video latent."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .checks import expect_shape

# Neighbours of a map that differ by more lie on two surfaces.
_EDGE = 0.03


def resize_nearest(map: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a depth or disparity map without mixing values across its edges.

    Every output pixel takes the value of the input pixel under its centre. Values are kept as they are: disparity
    in columns must still be multiplied by the ratio of the widths.

    Args:
        map: (B, 1, h, w), any floating dtype.
        size: (H, W) of the result.

    Returns:
        (B, 1, H, W), the same dtype; ``map`` itself when it has that size.

    Raises:
        ValueError: the shape does not fit, or a size below 1.
    """
    expect_shape("map", map, "B 1 H W")
    if min(size) < 1:
        raise ValueError(f"size: got {size}. Give rows and columns, 1 or more each.")
    return map if map.shape[-2:] == size else functional.interpolate(map, size=size, mode="nearest-exact")


def resize_keeping_edges(map: Tensor, size: tuple[int, int], soft: bool = False) -> Tensor:
    """Resize a depth map to a larger grid: smooth on surfaces, and sharp at their edges.

    Args:
        map: (B, 1, h, w) in [0, 1], any floating dtype.
        size: (H, W) of the result.
        soft: interpolate at edges, too.

    Returns:
        (B, 1, H, W), the same dtype: interpolated linearly where neighbours are about equal, and their nearest value
        where they are not. To a smaller grid it is ``resize_nearest``.

    Raises:
        ValueError: the shape does not fit, or a size below 1.
    """
    nearest = resize_nearest(map, size)
    if size[0] < map.shape[-2] or size[1] < map.shape[-1]:
        return nearest
    near, far = (functional.max_pool2d(sign * map, 3, stride=1, padding=1) for sign in (1, -1))
    linear = functional.interpolate(map, size=size, mode="bilinear", align_corners=False)
    return linear if soft else torch.where(resize_nearest(near + far, size) > _EDGE, nearest, linear)


def match_frames(depth: Tensor, frames: int) -> Tensor:
    """Fit a depth clip to the number of frames of an image or latent clip.

    An equal count stays as it is, and a single map serves every frame. A causal video autoencoder makes
    T' = (T - 1) / r + 1 latent frames of T, the first of frame 0 alone and each later one of r frames: latent
    frame k takes the map in the middle of frames r (k - 1) + 1 to r k, the earlier of two for even r.

    Args:
        depth: (T, 1, h, w), any dtype.
        frames: the number of frames wanted.

    Returns:
        (frames, 1, h, w); a view of ``depth`` where none has to be picked.

    Raises:
        ValueError: the counts fit in none of these ways.
    """
    expect_shape("depth", depth, "T 1 H W")
    count = depth.shape[0]
    if frames < 1:
        raise ValueError(f"frames: got {frames}. Give 1 or more.")
    if count in (1, frames):
        return depth.expand(frames, -1, -1, -1)
    ratio, rest = divmod(count - 1, frames - 1) if frames > 1 else (0, 1)
    if rest or ratio < 2:
        raise ValueError(
            f"depth: {count} maps do not fit {frames} frames. Give one map for all, one for each frame, or, for a "
            f"video latent of {frames} frames, one for each frame of the video."
        )
    later = torch.arange(frames - 1, device=depth.device) * ratio + (ratio + 1) // 2
    return depth[torch.cat([later.new_zeros(1), later])]
