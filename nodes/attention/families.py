"""The model families that cross-view attention knows, and where their self-attention is."""

from __future__ import annotations

from dataclasses import dataclass

from comfy.ldm.flux.model import Flux
from comfy.ldm.hunyuan_video.model import HunyuanVideo
from comfy.ldm.lightricks.model import LTXVModel
from comfy.ldm.modules.attention import SpatialTransformer, SpatialVideoTransformer
from comfy.ldm.modules.diffusionmodules.mmdit import OpenAISignatureMMDITWrapper
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.ldm.qwen_image.model import QwenImageTransformer2DModel
from comfy.ldm.wan.model import CameraWanModel, VaceWanModel, WanModel
from comfy.model_patcher import ModelPatcher
from torch import nn

# The host's exact classes, not their subclasses, which arrange their attention differently. For each, its lists of
# blocks, by the name that users select them with.
_TEXT_INSIDE = {
    OpenAISignatureMMDITWrapper: {"block": "joint_blocks"},
    Flux: {"double": "double_blocks", "single": "single_blocks"},
    HunyuanVideo: {"double": "double_blocks", "single": "single_blocks"},
    QwenImageTransformer2DModel: {"block": "transformer_blocks"},
}
_TEXT_APART = {
    WanModel: {"block": "blocks"},
    VaceWanModel: {"block": "blocks"},
    CameraWanModel: {"block": "blocks"},
    LTXVModel: {"block": "transformer_blocks"},
}
_KNOWN = "SD 1.x, SD 2.x, SDXL, SVD, SD3, Flux, Qwen-Image, Wan, LTXV and HunyuanVideo"


@dataclass(frozen=True, slots=True)
class Family:
    """How a model attends.

    Attributes:
        blocks: the numbers of the blocks with self-attention, by part.
        unet: whether it is a U-Net; otherwise it is a transformer.
        temporal: whether the batch axis holds frames, and each spatial attention is followed by one over time.
        text_apart: whether a block attends to the text after its self-attention instead of within it.
    """

    blocks: dict[str, tuple[int, ...]]
    unet: bool = False
    temporal: bool = False
    text_apart: bool = False


def find_family(model: ModelPatcher) -> Family:
    """Return how ``model`` attends.

    Raises:
        ValueError: a model of another family; the message names it.
    """
    network = model.get_model_object("diffusion_model")
    kind = type(network)
    if kind is UNetModel and not any(model.model.model_config.unet_config.get("disable_self_attentions") or ()):
        return _unet(network)
    for text_apart, kinds in ((False, _TEXT_INSIDE), (True, _TEXT_APART)):
        if kind in kinds:
            blocks = {part: tuple(range(len(getattr(network, name)))) for part, name in kinds[kind].items()}
            return Family(blocks, text_apart=text_apart)
    family = type(model.model.model_config).__name__
    raise ValueError(
        f"model: {family} ({kind.__name__}) is a family that Cross-View Attention does not support. "
        f"Use a model of {_KNOWN}, or sample without this node."
    )


def _unet(network: UNetModel) -> Family:
    parts = {"input": network.input_blocks, "middle": [network.middle_block or ()], "output": network.output_blocks}
    blocks = {part: tuple(n for n, layers in enumerate(block) if _attends(layers)) for part, block in parts.items()}
    temporal = any(isinstance(layer, SpatialVideoTransformer) for layer in network.modules())
    return Family({part: numbers for part, numbers in blocks.items() if numbers}, unet=True, temporal=temporal)


def _attends(layers: nn.Sequential | tuple[()]) -> bool:
    return any(isinstance(layer, SpatialTransformer) for layer in layers)
