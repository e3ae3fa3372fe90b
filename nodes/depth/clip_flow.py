"""The motion between the frames of a clip, from the host's optical flow model or without a model."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import torch
from torch import Tensor
from torch.nn import functional

from ...stereo_core.checks import expect_finite
from ...stereo_core.optical_flow import optical_flow
from ...stereo_core.propagation import PairFlow
from ..host import compute_device, each_frame

# RAFT works at an eighth of the size, where its coarsest level needs 16 x 16 points.
_STRIDE, _LEAST = 8, 128
# Bytes that RAFT needs for both directions, for each pair of points of its grid and each pixel; measured: 11 and 1500.
_PAIR_BYTES, _PIXEL_BYTES = 16, 2048


def clip_flows(frames: Tensor, scene_starts: Tensor, resolution: int, flow_model: Any | None) -> list[PairFlow | None]:
    """Find the flow between all neighbouring frames, showing progress on the node.

    Args:
        frames: (T, 3, H, W) in [0, 1].
        scene_starts: (T,) bool, true where a scene starts.
        resolution: longest side in pixels at which the flow is found, at most that of the frames; 0 for theirs.
        flow_model: the ``ModelPatcher`` that the socket OPTICAL_FLOW carries; ``None`` for the classical method.

    Returns:
        T - 1 flows on the CPU; ``None`` at a cut. Between equal frames the flow is exactly 0.

    Raises:
        ValueError: frames, or a result of the model, that are not finite.
    """
    size = _working_size(frames.shape[-2], frames.shape[-1], resolution, flow_model is not None)
    starts = scene_starts.tolist()
    if flow_model is not None:
        rows, columns = size
        points = rows * columns // _STRIDE**2
        needed = _PAIR_BYTES * points**2 + _PIXEL_BYTES * rows * columns
        comfy.model_management.load_models_gpu([flow_model], memory_required=needed)
    flows: list[PairFlow | None] = []
    for index in each_frame(len(frames) - 1):
        pair = frames[index : index + 2]
        expect_finite("image", pair)
        if starts[index + 1]:
            flows.append(None)
        elif torch.equal(pair[0], pair[1]):
            flows.append(PairFlow(*torch.zeros(2, 2, *size)))
        else:
            small = functional.interpolate(pair.float(), size, mode="bilinear", antialias=True)
            found = _classical_flow(small) if flow_model is None else _model_flow(flow_model, small)
            flows.append(PairFlow(*found.cpu()))
    return flows


def _working_size(height: int, width: int, resolution: int, for_model: bool) -> tuple[int, int]:
    scale = min(1.0, resolution / max(height, width)) if resolution else 1.0
    if not for_model:
        return max(1, round(height * scale)), max(1, round(width * scale))
    scale = max(scale, _LEAST / min(height, width))
    rows, columns = (max(_LEAST, round(side * scale / _STRIDE) * _STRIDE) for side in (height, width))
    return rows, columns


def _classical_flow(pair: Tensor) -> Tensor:
    """Return the flow (2, 2, h, w) from each frame of ``pair`` (2, 3, h, w) to the other, by TV-L1."""
    device = compute_device()
    # Older versions of torch have no antialiased resize on MPS, which the pyramid needs.
    pair = pair.cpu() if device.type == "mps" else pair.to(device)
    return optical_flow(pair, pair.flip(0))


def _model_flow(flow_model: Any, pair: Tensor) -> Tensor:
    """Return the flow (2, 2, h, w) from each frame of ``pair`` (2, 3, h, w) to the other, by RAFT."""
    scaled = pair.to(flow_model.load_device) * 2 - 1
    flow = flow_model.model(scaled, scaled.flip(0))[-1].float()
    if not flow.isfinite().all():
        raise ValueError(
            "flow_model gave values that are not finite. Load another file with Load Optical Flow Model, or disconnect "
            "flow_model to find the motion without a model."
        )
    return flow
