"""Raw inverse depth of a clip from a network of this pack or of the host, or from geometry that the host made."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import comfy.model_management
import comfy.model_patcher
import comfy.utils
import torch
from comfy.ldm.moge.model import MoGeModel
from torch import Tensor, nn

from ...stereo_core.depth_range import inverse_depth_from_metric
from ...stereo_core.frame_matching import resize_nearest
from .depthcrafter import DepthCrafterModel
from .networks import DepthModel
from .video_networks import VideoDepthModel

Source = DepthModel | VideoDepthModel | DepthCrafterModel | MoGeModel | comfy.model_patcher.ModelPatcher | dict

# Default of the host's Depth Anything 3 node for the longest side, in pixels.
_DA3_RESOLUTION = 504
# Probability above which Depth Anything 3's own post-processing takes a pixel for sky.
_SKY = 0.3
# Side of a patch of both models, in pixels, and MoGe's finest resolution level.
_PATCH = 14
_MOGE_FINEST = 9


def raw_inverse_depth(frames: Tensor, source: Source, resolution: int, batch_size: int, cuts: Tensor) -> Tensor:
    """Estimate the inverse depth of a clip, or take it from geometry, in the source's own scale.

    Args:
        frames: (T, 3, H, W) in [0, 1].
        source: a model, or the geometry that a node of the host made of these frames.
        resolution: longest side in pixels at which a model runs; 0 for its own.
        batch_size: frames in one call of a model.
        cuts: (T,) bool, true where a scene starts, which a model that is made for clips takes for a clip of its own.

    Returns:
        (T, 1, h, w) float32 on the CPU, larger is nearer, 0 at infinity; of the size that the source works at.

    Raises:
        ValueError: geometry of another number of frames, or a source of another kind.
    """
    if isinstance(source, dict):
        return _geometry(frames, source)
    if is_steady(source):
        return _clip(frames, source, resolution, batch_size, cuts)
    infer, network = _model(source, resolution)
    # A frame that repeats the one before, as held and still frames do, is not computed again.
    new = [t for t in range(len(frames)) if t == 0 or not torch.equal(frames[t], frames[t - 1])]
    progress = comfy.utils.ProgressBar(len(new))
    chunks = []
    with _interruptible(network):
        for start in range(0, len(new), batch_size):
            comfy.model_management.throw_exception_if_processing_interrupted()
            chunk = new[start : start + batch_size]
            chunks.append(infer(frames[chunk].float()).to("cpu", torch.float32))
            progress.update(len(chunk))
    computed = torch.cat(chunks)
    if len(new) == len(frames):
        return computed
    repeats = torch.tensor([*new[1:], len(frames)]) - torch.tensor(new)
    return computed.repeat_interleave(repeats, dim=0)


def is_steady(source: Source) -> bool:
    """Tell whether a source is made for clips, so that its depth holds still without help."""
    return isinstance(source, VideoDepthModel | DepthCrafterModel)


def memory_needed(frames: Tensor, source: Source, resolution: int, batch_size: int) -> tuple[int, int]:
    """Return the bytes that the depth of a clip takes, and those that its network needs besides.

    The first holds the maps at the size of the source, three times while they are put together, and the pictures made
    of them. The second is 0 on a graphics card, where the host makes room and running out ends no more than the run;
    and for the host's networks, which say nothing of it.

    Args:
        frames, source, resolution, batch_size: as for ``raw_inverse_depth``.
    """
    count, _, height, width = frames.shape
    size, working = height * width, 0
    if isinstance(source, DepthModel):
        size = math.prod(source.map_size(height, width, resolution))
        if source.patcher.load_device.type == "cpu":
            working = source.memory_needed(min(batch_size, count), height, width, resolution)
    elif isinstance(source, VideoDepthModel) and source.patcher.load_device.type == "cpu":
        working = source.memory_needed(batch_size, height, width, resolution)
    maps = count * size * torch.float32.itemsize
    pictures = count * height * width * 3 * comfy.model_management.intermediate_dtype().itemsize
    return max(3 * maps, 2 * maps + pictures), working


def _clip(
    frames: Tensor, source: VideoDepthModel | DepthCrafterModel, resolution: int, batch_size: int, cuts: Tensor
) -> Tensor:
    inverse = torch.empty(len(frames), 1, *frames.shape[-2:])
    done = 0
    with _interruptible(source.patcher.model):
        for part in source.clip(frames, cuts.nonzero().flatten().tolist(), resolution, batch_size):
            inverse[done : done + len(part)] = part
            done += len(part)
    return inverse


def _model(source: Source, resolution: int) -> tuple[Callable[[Tensor], Tensor], nn.Module]:
    """Return how frames become inverse depth, and the network that does it."""
    if isinstance(source, DepthModel):
        return lambda frames: source.infer(frames, resolution), source.patcher.model
    if isinstance(source, MoGeModel):
        return lambda frames: _run_moge(source, frames, resolution), source.model
    if isinstance(source, comfy.model_patcher.ModelPatcher):
        return lambda frames: _run_da3(source, frames, resolution), source.model
    raise ValueError(
        f"source: got {type(source).__name__}. Connect Load Depth Model, Load Depth Anything 3, Load MoGe Model, "
        "or geometry made by Depth Anything 3 or MoGe."
    )


@contextmanager
def _interruptible(network: nn.Module) -> Iterator[None]:
    """Let the user interrupt a run of ``network`` at every one of its parts: one run can take minutes."""

    def stop(*_: object) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()

    hooks = [part.register_forward_pre_hook(stop) for part in network.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _run_da3(model: comfy.model_patcher.ModelPatcher, frames: Tensor, resolution: int) -> Tensor:
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


def _run_moge(model: MoGeModel, frames: Tensor, resolution: int) -> Tensor:
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


def _geometry(frames: Tensor, geometry: dict) -> Tensor:
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
