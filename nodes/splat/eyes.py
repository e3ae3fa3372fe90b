"""A scene as both eyes see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import comfy.model_management
import torch
from torch import Tensor

from ...stereo_core.cameras import Camera, StereoBase, is_flat, stereo_base, stereo_pair
from ...stereo_core.splat_scene import SplatScene
from ...stereo_core.splatting import clip_depths, drawing_bytes, render_pair
from ..host import compute_device, each_frame, expect_memory

# Depths are measured in smaller pictures: they say as much, and take less time. Their smaller side keeps a few pixels.
_MEASURED, _NARROWEST = 128, 16
_SOLID = 0.5  # of what covers a pixel: less of it is background, which is far


class StereoClip(NamedTuple):
    """What both eyes see.

    Attributes:
        left: IMAGE (B, H, W, 3).
        right: IMAGE (B, H, W, 3).
        depth: IMAGE (B, H, W, 3) of the left eye, inverse depth from 0 (far, and background) to 1; a flat scene is 1.
        mask: MASK (B, H, W), what the scene covers of the left eye's picture.
        base: of the eyes; a flat scene has no baseline.
    """

    left: Tensor
    right: Tensor
    depth: Tensor
    mask: Tensor
    base: StereoBase


def see_clip(
    scene: SplatScene, cameras: Sequence[Camera], times: Sequence[float], max_disparity: float, convergence: float
) -> StereoClip:
    """Draw a clip, showing progress; stops when the user interrupts.

    Args:
        scene: what is seen.
        cameras: one a frame, of one size and angle.
        times: one a frame, 0 to 1.
        max_disparity: percent of the width, between the nearest and the farthest that the clip shows.
        convergence: the inverse depth that lies on the screen, 0 (far) to 1 (near).

    Raises:
        ValueError: the scene is not in sight, or lies so near that there is no memory to draw it.
    """
    home = {
        "device": comfy.model_management.intermediate_device(),
        "dtype": comfy.model_management.intermediate_dtype(),
    }
    frames, height, width = len(cameras), cameras[0].height, cameras[0].width
    scene = scene.to(compute_device())
    expect_memory(
        "Splat 4D Stereo",
        f"drawing {scene.count} Gaussians from this near at {width}x{height}",
        0,
        drawing_bytes(scene, _interruptible(cameras), times),
        advice="Move the camera farther away, use smaller pictures, or a splat of fewer Gaussians.",
    )
    small = (camera.resized(*_smaller(width, height)) for camera in _interruptible(cameras))
    near, far = clip_depths(scene, small, times)
    base = stereo_base(cameras[0], max_disparity, convergence, near, far)
    left, right, depth = (torch.empty(frames, height, width, 3, **home) for _ in range(3))
    mask = torch.empty(frames, height, width, **home)
    flat = is_flat(near, far)
    for frame in each_frame(frames):
        seen, other = render_pair(scene, stereo_pair(cameras[frame], base), times[frame])
        left[frame], right[frame] = (eye.color.movedim(0, -1).clamp(0, 1) for eye in (seen, other))
        solid = (seen.alpha > _SOLID) & (seen.surface > 0)
        inverse = 1 / seen.surface.clamp(min=near / 2)
        inverse = torch.ones_like(inverse) if flat else (inverse - 1 / far) / (1 / near - 1 / far)
        depth[frame] = torch.where(solid, inverse.clamp(0, 1), 0).movedim(0, -1)
        mask[frame] = seen.alpha[0]
    return StereoClip(left, right, depth, mask, base)


def _interruptible(cameras: Iterable[Camera]) -> Iterator[Camera]:
    for camera in cameras:
        comfy.model_management.throw_exception_if_processing_interrupted()
        yield camera


def _smaller(width: int, height: int) -> tuple[int, int]:
    share = min(1.0, max(_MEASURED / max(width, height), _NARROWEST / min(width, height)))
    return max(1, round(share * width)), max(1, round(share * height))
