"""Depth networks from Hugging Face folders: loading and running one, and what its output means."""

from __future__ import annotations

from dataclasses import dataclass

import comfy.model_management
import comfy.model_patcher
import huggingface_hub.errors
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoModelForDepthEstimation

from ...stereo_core.depth_range import inverse_depth_from_metric
from .folders import MODEL_FILES, MODEL_FOLDER, find_depth_model, read_json
from .preprocessing import Preprocessing, read_preprocessing

WEIGHT_DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}

# Families that work in half precision; the depth bins of the others do not, nor do two of the backbones of DPT.
_HALF = ("dpt", "depth_anything", "depth_pro")
_NOT_HALF = ("swinv2", "bit")

# What reading the files of a folder can raise. The oldest transformers that the host accepts lacks the last one.
_LOADING_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    RuntimeError,
    ImportError,
    SafetensorError,
    getattr(huggingface_hub.errors, "StrictDataclassError", ValueError),
)

# Bytes of activations for each pixel of the network's input, times the bytes of one weight.
_ACTIVATIONS = 768


class DepthNetwork(nn.Module):
    """A network with the same output for all families: inverse depth, larger is nearer, (B, 1, h, w) float32."""

    def __init__(self, network: nn.Module, metric: bool) -> None:
        """Take a network, and whether its output is a distance instead of inverse depth."""
        super().__init__()
        self.network = network
        self.metric = metric

    def forward(self, pixels: Tensor) -> Tensor:
        """Estimate inverse depth (B, 1, h, w) from preprocessed pixels (B, 3, H, W)."""
        depth = self.network(pixel_values=pixels).predicted_depth.unsqueeze(1).float()
        return inverse_depth_from_metric(depth) if self.metric else depth


@dataclass(frozen=True, slots=True)
class DepthModel:
    """What the socket STEREO_DEPTH_MODEL carries.

    Attributes:
        patcher: the network, which the host moves between devices.
        preprocessing: what the network's input must be.
        dtype: of the weights and of the input.
    """

    patcher: comfy.model_patcher.ModelPatcher
    preprocessing: Preprocessing
    dtype: torch.dtype

    def infer(self, frames: Tensor, resolution: int) -> Tensor:
        """Estimate inverse depth.

        Args:
            frames: (B, 3, H, W) in [0, 1].
            resolution: longest side in pixels at which the network runs; 0 for its own.

        Returns:
            (B, 1, h, w) float32 in the network's own scale, larger is nearer; of the size of its output, or of the
            frames where a border is cropped.

        Raises:
            ValueError: the network overflowed its precision, or runs at one other resolution only.
        """
        height, width = frames.shape[-2:]
        rows, columns = self.preprocessing.border(height, width)
        padded = (height + 2 * rows, width + 2 * columns)
        size = self.preprocessing.network_size(*padded, resolution)
        network_needs = len(frames) * size[0] * size[1] * self.dtype.itemsize * _ACTIVATIONS
        needed = network_needs + 2 * frames.numel() * torch.float32.itemsize
        comfy.model_management.load_models_gpu([self.patcher], memory_required=needed)
        device = self.patcher.load_device
        # Older versions of torch have no antialiased resize on MPS: there the frames are resized where they are.
        frames = frames if device.type == "mps" else frames.to(device)
        pixels = self.preprocessing(frames, resolution).to(device, self.dtype)
        inverse = self.patcher.model(pixels)
        if not inverse.isfinite().all():
            raise ValueError(
                f"The depth model gave values that are not finite at {self.dtype}. "
                "Set weight_dtype of Load Depth Model to fp32."
            )
        if self.preprocessing.pad:
            inverse = resize_depth(inverse, padded)[..., rows : rows + height, columns : columns + width]
        return inverse


def resize_depth(inverse: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (B, 1, h, w) to ``size`` (H, W), linearly: inverse depth is linear over a plane, so planes stay exact."""
    if tuple(inverse.shape[-2:]) == size:
        return inverse
    return nn.functional.interpolate(inverse, size, mode="bilinear", align_corners=False)


def load_depth_model(name: str, weight_dtype: str) -> DepthModel:
    """Load a model's folder, without a network connection and without pickled files.

    Args:
        name: of the folder, as ``list_depth_models`` gives it.
        weight_dtype: a key of ``WEIGHT_DTYPES``; anything else leaves the choice to the device.

    Raises:
        ValueError: as ``find_depth_model``, or the files do not make a network that runs with transformers alone.
    """
    folder = find_depth_model(name)
    config = read_json(folder / "config.json")
    backbone = config.get("backbone_config") or {}
    if config.get("use_timm_backbone") or (config.get("backbone") and not backbone):
        raise ValueError(
            f"{name}: config.json names the backbone {config.get('backbone')!r} instead of describing it, so it "
            "would be fetched. Use a version of the model whose config.json has backbone_config."
        )
    try:
        preprocessing = read_preprocessing(
            read_json(folder / "preprocessor_config.json"), config["model_type"], _stride(config)
        )
        network, report = AutoModelForDepthEstimation.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            # Canonical inverse depth is disparity in units of the width, whatever the lens: the field of view, which
            # is estimated in every frame, would only make it flicker.
            **({"use_fov_model": False} if config["model_type"] == "depth_pro" else {}),
        )
    except _LOADING_ERRORS as error:
        raise ValueError(
            f"{name}: the files in models/{MODEL_FOLDER}/{name} could not be loaded ({error}). "
            f"Fetch {MODEL_FILES} again."
        ) from error
    # The first fusion layer has no second input, and published files leave out the half that would take it.
    absent = [key for key in report["missing_keys"] if "layers.0.residual_layer1" not in key]
    if absent:
        raise ValueError(
            f"{name}: the weights lack {len(absent)} of the tensors that config.json describes, such as {absent[0]}. "
            f"Fetch {MODEL_FILES} again, all from one version of the model."
        )
    return _on_host(network, config, preprocessing, weight_dtype)


def _on_host(network: nn.Module, config: dict, preprocessing: Preprocessing, weight_dtype: str) -> DepthModel:
    load_device = comfy.model_management.get_torch_device()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    backbone = (config.get("backbone_config") or {}).get("model_type")
    half = config["model_type"] in _HALF and backbone not in _NOT_HALF
    default = half and comfy.model_management.should_use_fp16(load_device, model_params=parameters)
    dtype = WEIGHT_DTYPES.get(weight_dtype, torch.float16 if default else torch.float32)
    patcher = comfy.model_patcher.CoreModelPatcher(
        DepthNetwork(network.to(dtype), metric=_is_metric(config)).eval(),
        load_device=load_device,
        offload_device=comfy.model_management.unet_offload_device(),
    )
    return DepthModel(patcher, preprocessing, dtype)


def _is_metric(config: dict) -> bool:
    """Tell whether predicted_depth is a distance (far is large) or inverse depth (near is large)."""
    match config["model_type"]:
        case "depth_anything":
            return config.get("depth_estimation_type") == "metric"
        case "dpt":  # MiDaS, except the DINOv2 ones, which were trained on distances
            return (config.get("backbone_config") or {}).get("model_type") == "dinov2"
        case "depth_pro":
            return False
        case _:
            return True


def _stride(config: dict) -> int:
    backbone = config.get("backbone_config") or {}
    if config["model_type"] == "depth_anything" or backbone.get("model_type") == "dinov2":
        return int(backbone.get("patch_size", config.get("patch_size", 14)))
    return 1 if config["model_type"] == "depth_pro" else 32
