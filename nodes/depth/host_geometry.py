"""Inverse depth from the host's own depth models, and from the geometry that its nodes make of frames."""

from __future__ import annotations

import copy

import comfy.model_patcher
import torch
from comfy.ldm.moge.model import MoGeModel
from torch import Tensor

from ...stereo_core.depth_range import inverse_depth_from_metric
from ...stereo_core.frame_matching import resize_nearest

# Default of the host's Depth Anything 3 node for the longest side, in pixels.
_DA3_RESOLUTION = 504
# Probability above which Depth Anything 3's own post-processing takes a pixel for sky.
_SKY = 0.3
# Side of a patch of both models, in pixels, and MoGe's finest resolution level.
_PATCH = 14
_MOGE_FINEST = 9


def run_da3(model: comfy.model_patcher.ModelPatcher, frames: Tensor, resolution: int) -> Tensor:
    """Run Depth Anything 3 on (T, 3, H, W) in [0, 1]; inverse depth (T, 1, H, W), 0 for the sky.

    Raises:
        ValueError: a picture too narrow for its patches.
    """
    # Imported here, so that a different version of the host's node cannot keep the rest of the pack from loading.
    from comfy_extras.nodes_depth_anything_3 import DA3Inference

    resolution = resolution or _DA3_RESOLUTION
    height, width = frames.shape[-2:]
    if resolution * min(height, width) < _PATCH / 2 * max(height, width):
        raise ValueError(
            f"image: {width} x {height} is too narrow for Depth Anything 3 at resolution {resolution}. "
            "Raise resolution or crop the picture."
        )
    geometry = DA3Inference.execute(model, frames.movedim(1, -1), resolution, "upper_bound_resize", {"mode": "mono"})
    return _inverse_depth(geometry.args[0])


def run_moge(model: MoGeModel, frames: Tensor, resolution: int) -> Tensor:
    """Run MoGe with as many tokens as make the longest side ``resolution`` pixels, within what it was trained on."""
    if model.load_device.type == "cpu" and model.dtype == torch.float16:
        # There half precision is not resized. The host's layers follow the precision of the picture.
        model = copy.copy(model)
        model.dtype = torch.float32
    if not resolution:
        return _inverse_depth(model.infer(frames, resolution_level=_MOGE_FINEST))
    height, width = frames.shape[-2:]
    tokens = (resolution / _PATCH) ** 2 * min(height, width) / max(height, width)
    fewest, most = model.num_tokens_range
    return _inverse_depth(model.infer(frames, num_tokens=round(min(max(tokens, fewest), most))))


def _inverse_depth(geometry: dict) -> Tensor:
    """Return the inverse depth (T, 1, H, W) of the host's geometry: depth (T, H, W), larger is farther, and sky."""
    if "depth" not in geometry:
        raise ValueError("source: the geometry has no depth. Connect the output of a node that estimates depth.")
    inverse = inverse_depth_from_metric(geometry["depth"].unsqueeze(1))
    if "sky" in geometry:
        inverse = inverse.masked_fill(geometry["sky"].unsqueeze(1) >= _SKY, 0)
    return inverse


def depth_of_geometry(frames: Tensor, geometry: dict) -> Tensor:
    """Return the inverse depth (T, 1, H, W) of frames (T, 3, H, W) from the geometry that was made of them.

    Raises:
        ValueError: geometry of other frames, or without depth.
    """
    inverse = _inverse_depth(geometry).to("cpu", torch.float32)
    if len(inverse) != len(frames):
        raise ValueError(
            f"source: the geometry has {len(inverse)} frames and image has {len(frames)}. "
            "Connect the geometry of the same frames."
        )
    (height, width), (rows, columns) = frames.shape[-2:], inverse.shape[-2:]
    # Models work at multiples of their patches: that much of a side may be missing.
    if abs(rows * width / height - columns) > max(_PATCH, 0.05 * columns):
        raise ValueError(
            f"source: the geometry is {columns}x{rows}, of another shape than image, which is {width}x{height}. "
            "Connect the geometry of the same frames."
        )
    if not inverse.any():
        raise ValueError("source: the geometry holds no valid depth. Make it again from the same frames.")
    return resize_nearest(inverse, (height, width))
