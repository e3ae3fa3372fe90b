"""DisparityPropagate: steadies the depth of a clip by carrying every frame's map along the motion to the others."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import torch
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.propagation import Averaging, propagate
from ..stereo_core.scenes import find_scene_starts
from .depth.clip_flow import clip_flows
from .host import compute_device, core_to_image, depth_to_core, describe_size, expect_memory, image_to_core

# How far the aspect ratios of a clip and its depth may differ, for sizes that were rounded to what a model accepts.
_SAME_SHAPE = 0.02


class DisparityPropagate(io.ComfyNode):
    """Average every frame's depth with that of its neighbours, carried along the motion."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_DisparityPropagate",
            display_name="Steady Depth along Motion",
            category="stereo/depth",
            description="Steadies the depth of a clip: every frame's map is carried along the motion to the others, "
            "and averaged with theirs.",
            search_aliases=[
                "Disparity Propagate",
                "StereoCrafter-Zero",
                "temporal",
                "flicker",
                "deflicker",
                "depth",
                "optical flow",
                "RAFT",
            ],
            inputs=[
                # First, so that the node hands on the depth when it is bypassed: the host then takes the first IMAGE.
                io.Image.Input(
                    "depth",
                    tooltip="Depth maps of the clip, one for each frame, white is near, any size of the same shape.",
                ),
                io.Image.Input("image", tooltip="The frames of the clip, in which the motion is found."),
                io.Combo.Input(
                    "averaging",
                    options=Averaging,
                    default=Averaging.MEAN.value,
                    tooltip="mean: of all maps that are carried to a frame (StereoCrafter-Zero, D.1).\n"
                    "consistent: weighted by how well forward and backward motion agree on the way, so that hidden "
                    "points do not count. Sharper edges beside moving objects.",
                ),
                io.Int.Input(
                    "reach",
                    default=0,
                    min=0,
                    max=4096,
                    tooltip="Over how many frames, before and after, a map is carried. 0: over the whole scene.\n"
                    "More: steadier. Fewer (2 to 8): sharper, for fast or unclear motion. No map crosses a cut.",
                ),
                io.Int.Input(
                    "resolution",
                    default=480,
                    min=0,
                    max=4096,
                    step=8,
                    tooltip="Longest side, in pixels, at which the motion is found, at most the clip's; 0 is the "
                    "clip's own. Higher: finer, slower. Without a model 480 is a good value; with RAFT 480 to 960.",
                ),
                io.Custom("OPTICAL_FLOW").Input(
                    "flow_model",
                    optional=True,
                    tooltip="From Load Optical Flow Model (RAFT): better on fast motion and thin objects.\n"
                    "Without it the motion is found by TV-L1, a classical method without weights.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="depth",
                    tooltip="The steadied depth maps, white is near, as many and as large as those of depth.",
                )
            ],
        )

    @classmethod
    def execute(
        cls, depth: Tensor, image: Tensor, averaging: str, reach: int, resolution: int, flow_model: Any | None = None
    ) -> io.NodeOutput:
        frames, inverse = image_to_core(image, "image"), depth_to_core(depth)
        _expect_fit(frames, inverse)
        expect_memory("Steady Depth along Motion", describe_size(frames), _bytes(frames, inverse, resolution))
        flows = clip_flows(frames, find_scene_starts(frames), resolution, flow_model)
        interrupt = comfy.model_management.throw_exception_if_processing_interrupted
        steady = propagate(inverse, flows, Averaging(averaging), reach, compute_device(), on_step=interrupt)
        return io.NodeOutput(core_to_image(steady.clamp_(0, 1).expand(-1, 3, -1, -1)))


def _bytes(frames: Tensor, inverse: Tensor, resolution: int) -> int:
    """What is held at once: all flows, two of two channels for each frame, and the maps with their mean, as IMAGE."""
    height, width = frames.shape[-2:]
    scale = min(1.0, resolution / max(height, width)) if resolution else 1.0
    flow = 4 * round(scale * height) * round(scale * width) * torch.float32.itemsize
    return len(frames) * flow + 5 * inverse.nbytes


def _expect_fit(frames: Tensor, inverse: Tensor) -> None:
    if len(inverse) != len(frames):
        raise ValueError(
            f"depth holds {len(inverse)} maps for {len(frames)} frames of image. Give one for each frame, for example "
            "from Depth Estimate."
        )
    height, width = frames.shape[-2:]
    rows, columns = inverse.shape[-2:]
    if abs(rows * width / (columns * height) - 1) > _SAME_SHAPE:
        raise ValueError(
            f"depth is {columns}x{rows} and image is {width}x{height}, another shape. Make the depth maps from these "
            "frames, or scale them to the same shape with Upscale Image."
        )
