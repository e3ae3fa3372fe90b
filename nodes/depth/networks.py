"""Depth networks from Hugging Face folders: loading and running one, and what its output means."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import comfy.model_management
import comfy.model_patcher
import huggingface_hub.errors
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from ...stereo_core.depth_range import inverse_depth_from_metric
from ..host import compute_device, expect_memory
from .building import build, rehearse
from .configs import is_metric, works_in_half
from .folders import MODEL_FILES, find_depth_model
from .preprocessing import Preprocessing

WEIGHT_DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
SMALLER = "Set weight_dtype to fp16, or choose a smaller model."

# What transformers and safetensors raise on a model that they do not expect. The oldest transformers that the host
# accepts lacks the last one.
_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    SafetensorError,
    getattr(huggingface_hub.errors, "StrictDataclassError", ValueError),
)

# (H, W) of the picture for which the memory of a network is foreseen.
_REHEARSED = (384, 512)


class DepthNetwork(nn.Module):
    """A network with the same output for all families: inverse depth, larger is nearer, (B, 1, h, w) float32."""

    def __init__(self, network: nn.Module, metric: bool) -> None:
        """Take a network, and whether its output is a distance instead of inverse depth."""
        super().__init__()
        self.network = network
        self.metric = metric

    def forward(self, pixels: Tensor) -> Tensor:
        """Estimate inverse depth (B, 1, h, w) from preprocessed pixels (B, 3, H, W); what is not finite stays so."""
        depth = self.network(pixel_values=pixels).predicted_depth.unsqueeze(1).float()
        return inverse_depth_from_metric(depth).where(depth.isfinite(), depth) if self.metric else depth


@dataclass(frozen=True, slots=True)
class DepthModel:
    """What the socket STEREO_DEPTH_MODEL carries.

    Attributes:
        patcher: the network, which the host moves between devices.
        preprocessing: what the network's input must be.
        dtype: of the weights and of the input.
        activations: numbers that a run holds at once, for each pixel of its input.
    """

    patcher: comfy.model_patcher.ModelPatcher
    preprocessing: Preprocessing
    dtype: torch.dtype
    activations: float

    def map_size(self, height: int, width: int, resolution: int) -> tuple[int, int]:
        """Return the (H, W) of the maps that ``infer`` gives for frames of this size."""
        preprocessing = self.preprocessing
        return (height, width) if preprocessing.pad else preprocessing.network_size(height, width, resolution)

    def memory_needed(self, frames: int, height: int, width: int, resolution: int) -> int:
        """Return the bytes that ``infer`` needs for frames of this size, beside the network itself."""
        rows, columns = self.preprocessing.border(height, width)
        padded = (height + 2 * rows, width + 2 * columns)
        network = math.prod(self.preprocessing.network_size(*padded, resolution)) * self.activations
        return int(frames * (network * self.dtype.itemsize + 2 * 3 * math.prod(padded) * torch.float32.itemsize))

    def infer(self, frames: Tensor, resolution: int) -> Tensor:
        """Estimate inverse depth.

        Args:
            frames: (B, 3, H, W) in [0, 1].
            resolution: longest side in pixels at which the network runs; 0 for its own.

        Returns:
            (B, 1, h, w) float32 in the network's own scale, larger is nearer; of the size of its output, or of the
            frames where a border is cropped.

        Raises:
            ValueError: the network overflowed its precision, or does not run at this resolution.
        """
        height, width = frames.shape[-2:]
        rows, columns = self.preprocessing.border(height, width)
        padded = (height + 2 * rows, width + 2 * columns)
        needed = self.memory_needed(len(frames), height, width, resolution)
        comfy.model_management.load_models_gpu([self.patcher], memory_required=needed)
        device = self.patcher.load_device
        # Older versions of torch have no antialiased resize on MPS: there the frames are resized where they are.
        frames = frames if device.type == "mps" else frames.to(device)
        pixels = self.preprocessing(frames, resolution).to(device, self.dtype)
        try:
            inverse = self.patcher.model(pixels)
        except comfy.model_management.OOM_EXCEPTION:
            raise
        except _ERRORS as error:
            raise ValueError(
                f"The depth model does not run at {pixels.shape[-1]}x{pixels.shape[-2]} ({_reason(error)}). "
                "Set resolution to 0, or use another model."
            ) from error
        expect_finite_depth(inverse, self.dtype)
        if self.preprocessing.pad:
            inverse = resize_depth(inverse, padded)[..., rows : rows + height, columns : columns + width]
        return inverse


def expect_finite_depth(depth: Tensor, dtype: torch.dtype) -> None:
    """Raise unless what a network with weights of this ``dtype`` gave is finite.

    Raises:
        ValueError: the network overflowed its precision, or its weights are damaged.
    """
    if not depth.isfinite().all():
        raise ValueError(
            "The depth model gave values that are not finite. "
            + (
                "Its weights are damaged, or not made for this picture: fetch them again."
                if dtype == torch.float32
                else "Set weight_dtype of Load Depth Model to fp32."
            )
        )


def resize_depth(inverse: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (B, 1, h, w) to ``size`` (H, W), linearly: inverse depth is linear over a plane, so planes stay exact."""
    if tuple(inverse.shape[-2:]) == size:
        return inverse
    return nn.functional.interpolate(inverse, size, mode="bilinear", align_corners=False)


def load_depth_model(name: str, weight_dtype: str) -> DepthModel:
    """Load a model's folder, without a network connection, pickled files or code of the folder's.

    Args:
        name: of the folder, as ``list_depth_models`` gives it.
        weight_dtype: a key of ``WEIGHT_DTYPES``; anything else leaves the choice to the device.

    Raises:
        ValueError: as ``find_depth_model``, the files do not make a network, or there is no memory for it.
    """
    files = find_depth_model(name)
    size = files.preprocessing.network_size(*_REHEARSED, 0)
    with told_by_name(files.name, "the settings in config.json do not fit together"):
        needs = rehearse(files.config, size)
    dtype = _dtype(weight_dtype, files.config, needs.parameters)
    run = int(needs.activations * math.prod(size) * dtype.itemsize)
    what = f"the network that config.json describes, {name},"
    expect_memory("Load Depth Model", what, needs.parameters * dtype.itemsize, run, advice=SMALLER)
    with told_by_name(files.name, "the weights could not be loaded"):
        network = build(files.config, files.weights, needs, dtype)
    patcher = comfy.model_patcher.CoreModelPatcher(
        DepthNetwork(network, metric=is_metric(files.config)).eval(),
        load_device=compute_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )
    return DepthModel(patcher, files.preprocessing, dtype, needs.activations)


def _dtype(chosen: str, config: dict, parameters: int) -> torch.dtype:
    default = works_in_half(config) and comfy.model_management.should_use_fp16(
        compute_device(), model_params=parameters
    )
    return WEIGHT_DTYPES.get(chosen, torch.float16 if default else torch.float32)


@contextmanager
def told_by_name(
    name: str, problem: str, again: str = f"{MODEL_FILES} again, all from one version of the model"
) -> Iterator[None]:
    """Turn whatever the libraries raise on a model's files into the one error that says what to do."""
    try:
        yield
    except _ERRORS as error:
        raise ValueError(f"model_name: {name}: {problem} ({_reason(error)}). Fetch {again}.") from error


def _reason(error: Exception) -> str:
    """Say in one line what a library found wrong."""
    return " ".join(str(error).split())[:300] or type(error).__name__
