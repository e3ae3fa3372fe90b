"""Video Depth Anything, loaded: a network that takes the frames of a clip in windows and is steady by itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import comfy.model_management
import comfy.model_patcher
import comfy.ops
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ...stereo_core.depth_range import inverse_depth_from_metric
from ...stereo_core.depth_windows import WINDOW, clip_depth
from ..host import compute_device, expect_memory
from .networks import SMALLER, WEIGHT_DTYPES, expect_finite_depth, told_by_name
from .video_depth_anything import VideoDepthAnything
from .video_files import find_video_model
from .video_weights import PATCH, Shape, expect_whole, host_weights

# The shorter side at which it runs, in pixels, and the aspect ratio from which on wider clips run smaller.
_SIDE, _WIDEST, _WIDE = 518, 1.78, 1.777
# Longest side of the pictures that are resized to it by a cubic filter that does not smooth.
_LONGEST = 1280
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# Layers work with memory of their own besides.
_WITH_SCRATCH = 2


@dataclass(frozen=True, slots=True)
class VideoDepthModel:
    """What the socket STEREO_DEPTH_MODEL carries for a network that is made for clips.

    Attributes:
        patcher: the network, which the host moves between devices.
        dtype: of the weights and of the input.
        metric: whether it gives distances instead of inverse depth.
        shape: of the network.
    """

    patcher: comfy.model_patcher.ModelPatcher
    dtype: torch.dtype
    metric: bool
    shape: Shape

    def memory_needed(self, batch_size: int, height: int, width: int, resolution: int) -> int:
        """Return the bytes that a window of frames of this size needs, beside the network itself."""
        pixels = math.prod(network_size(height, width, resolution))
        network = _WITH_SCRATCH * pixels * self.shape.activations(WINDOW, batch_size)
        return int(network * self.dtype.itemsize + 3 * WINDOW * height * width * torch.float32.itemsize)

    def scene(self, pictures: Iterable[Tensor], frames: int, resolution: int, batch_size: int) -> Iterator[Tensor]:
        """Estimate the inverse depth of one scene, of which no more than a window is held.

        Args:
            pictures: (1, 3, H, W) in [0, 1] each.
            frames: how many they are.
            resolution: longest side in pixels at which the network runs; 0 for its own size.
            batch_size: pictures at once where time does not matter.

        Yields:
            (n, 1, H, W) float32 on the CPU, of the next frames, larger is nearer.
        """
        coming, held = enumerate(pictures), {}

        def estimate(window: Sequence[int]) -> Tensor:
            comfy.model_management.throw_exception_if_processing_interrupted()
            while window[-1] not in held:
                number, picture = next(coming)
                held[number] = picture
            for number in held.keys() - set(window):
                del held[number]
            return self._window(held, window, resolution, batch_size)

        for depth in clip_depth(frames, estimate, self.metric):
            yield inverse_depth_from_metric(depth) if self.metric else depth

    def _window(self, frames: Mapping[int, Tensor], window: Sequence[int], resolution: int, batch_size: int) -> Tensor:
        """Run the network once; depth (T, 1, H, W) of the frames with these numbers, which may repeat."""
        shown = sorted(frames)
        height, width = frames[shown[0]].shape[-2:]
        needed = self.memory_needed(batch_size, height, width, resolution)
        comfy.model_management.load_models_gpu([self.patcher], memory_required=needed)
        device = self.patcher.load_device
        size = network_size(height, width, resolution)
        pixels = torch.cat([_prepare(frames[number], size) for number in shown]).to(device, self.dtype)
        order = torch.tensor([shown.index(number) for number in window], device=device)
        depth = self.patcher.model(pixels, order, batch_size)
        expect_finite_depth(depth, self.dtype)
        return nn.functional.interpolate(depth, (height, width), mode="bilinear", align_corners=True).cpu()


def network_size(height: int, width: int, resolution: int) -> tuple[int, int]:
    """Return the (H, W) at which a clip of this size runs: the published one, or with this longest side in pixels."""
    if resolution:
        scale = resolution / max(height, width)
        rows, columns = (max(round(scale * side / PATCH), 1) * PATCH for side in (height, width))
        return rows, columns
    ratio = max(height, width) / min(height, width)
    shorter = _SIDE
    if ratio > _WIDEST:
        shorter = max(round(int(_SIDE * _WIDE / ratio) / PATCH), 1) * PATCH
    scale = shorter / min(height, width)
    rows, columns = (max(round(scale * side / PATCH) * PATCH, shorter) for side in (height, width))
    return rows, columns


def load_video_model(name: str, weight_dtype: str) -> VideoDepthModel:
    """Load a file of weights.

    Args:
        name: of the file, as ``list_video_models`` gives it.
        weight_dtype: a key of ``WEIGHT_DTYPES``; anything else leaves the choice to the device.

    Raises:
        ValueError: as ``find_video_model``, tensors are missing or left over, or there is no memory for them.
    """
    file = find_video_model(name)
    with told_by_name(file.name, "the sizes of its tensors do not fit together", "the file again"):
        planned = VideoDepthAnything(file.shape, torch.float32, "meta", comfy.ops.manual_cast)
    parameters = sum(tensor.numel() for tensor in planned.state_dict().values())
    half = comfy.model_management.should_use_fp16(compute_device(), model_params=parameters)
    dtype = WEIGHT_DTYPES.get(weight_dtype, torch.float16 if half else torch.float32)
    what = f"the network in {file.name}"
    expect_memory("Load Depth Model", what, parameters * dtype.itemsize, advice=SMALLER)
    network = VideoDepthAnything(file.shape, dtype, comfy.model_management.unet_offload_device(), comfy.ops.manual_cast)
    with told_by_name(file.name, "the weights could not be loaded", "the file again"):
        weights = host_weights(load_file(file.path))
        expect_whole(weights, planned.state_dict())
        network.load_state_dict(weights)
    patcher = comfy.model_patcher.CoreModelPatcher(
        network.eval(), load_device=compute_device(), offload_device=comfy.model_management.unet_offload_device()
    )
    return VideoDepthModel(patcher, dtype, file.metric, file.shape)


def _prepare(frame: Tensor, size: tuple[int, int]) -> Tensor:
    """Turn a frame (1, 3, H, W) in [0, 1] into the network's input (1, 3, h, w) float32."""
    pixels = frame.float()
    height, width = pixels.shape[-2:]
    # At another resolution than the published one, as much more or less.
    most = _LONGEST * max(size) / max(network_size(height, width, 0))
    if (longest := max(height, width)) > most:
        smaller = [max(round(side * most / longest), 1) for side in (height, width)]
        pixels = nn.functional.interpolate(pixels, smaller, mode="bicubic", align_corners=False, antialias=True)
    if tuple(pixels.shape[-2:]) != size:
        pixels = nn.functional.interpolate(pixels, size, mode="bicubic", align_corners=False)
    mean, std = (torch.tensor(values, device=pixels.device).view(1, 3, 1, 1) for values in (_MEAN, _STD))
    return (pixels - mean) / std
