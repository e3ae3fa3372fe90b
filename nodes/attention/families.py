"""The model families that cross-view attention knows, and where their self-attention is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from comfy.ldm.anima.model import Anima
from comfy.ldm.aura.mmdit import MMDiT
from comfy.ldm.chroma.model import Chroma
from comfy.ldm.chroma_radiance.model import ChromaRadiance
from comfy.ldm.cosmos.predict2 import MiniTrainDIT
from comfy.ldm.flux.model import Flux
from comfy.ldm.genmo.joint_model.asymm_models_joint import AsymmDiTJoint
from comfy.ldm.hidream.model import HiDreamImageTransformer2DModel
from comfy.ldm.hunyuan_video.model import HunyuanVideo
from comfy.ldm.kandinsky5.model import Kandinsky5
from comfy.ldm.krea2.model import SingleStreamDiT
from comfy.ldm.lens.model import LensTransformer2DModel
from comfy.ldm.lightricks.av_model import LTXAVModel
from comfy.ldm.lightricks.model import LTXVModel
from comfy.ldm.lumina.model import NextDiT, NextDiTPixelSpace
from comfy.ldm.mage_flow.model import MageFlowTransformer2DModel
from comfy.ldm.modules.attention import SpatialTransformer, SpatialVideoTransformer
from comfy.ldm.modules.diffusionmodules.mmdit import OpenAISignatureMMDITWrapper
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.ldm.qwen_image.model import QwenImageTransformer2DModel
from comfy.ldm.wan.model import CameraWanModel, VaceWanModel, WanModel
from comfy.model_patcher import ModelPatcher
from torch import nn


class Text(Enum):
    """Where a block attends to the text: among the tokens of its self-attention, or apart from it."""

    BEFORE = "before the picture"
    AFTER = "after the picture"
    APART = "in a separate call"


class Blocks(Enum):
    """How a patch learns which of a transformer's blocks runs."""

    REPLACED = "the host lets patches stand in for them"
    INDEXED = "the host tells their index with each call of attention"
    COUNTED = "each makes one call of attention, and nothing else makes any"


@dataclass(frozen=True, slots=True)
class Family:
    """How a model attends.

    Attributes:
        blocks: the numbers of the blocks with self-attention, by part, in the order in which they run.
        unet: whether it is a U-Net; otherwise it is a transformer.
        temporal: whether the batch axis holds frames, and each spatial attention is followed by one over time.
        text: where a transformer's block attends to the text.
        found: how a transformer's blocks are told apart.
        patch: rows, and columns, of the latent to one token, where only the latent tells how many there are.
        multiple: a multiple of which such tokens are padded to.
    """

    blocks: dict[str, tuple[int, ...]]
    unet: bool = False
    temporal: bool = False
    text: Text = Text.BEFORE
    found: Blocks = Blocks.REPLACED
    patch: int = 1
    multiple: int = 1

    def tokens(self, size: tuple[int, int]) -> int:
        """Return how many tokens a picture latent of these rows and columns has."""
        tokens = math.prod(math.ceil(side / self.patch) for side in size)
        return math.ceil(tokens / self.multiple) * self.multiple


@dataclass(frozen=True, slots=True)
class _Network:
    """One of the host's transformers.

    Attributes:
        names: of the models that it is the network of.
        lists: its lists of blocks, by the names that users select them with.
        text: as for ``Family``.
        found: as for ``Family``.
    """

    names: str
    lists: dict[str, str]
    text: Text = Text.BEFORE
    found: Blocks = Blocks.REPLACED


_UNETS = "SD 1.x, SD 2.x, SDXL, SVD"
_DOUBLE_SINGLE = {"double": "double_blocks", "single": "single_blocks"}
# The host's exact classes, not their subclasses, which arrange their attention differently.
_TRANSFORMERS = {
    OpenAISignatureMMDITWrapper: _Network("SD3", {"block": "joint_blocks"}),
    Flux: _Network("Flux, Flux.2", _DOUBLE_SINGLE),
    Chroma: _Network("Chroma", _DOUBLE_SINGLE),
    ChromaRadiance: _Network("Chroma Radiance", _DOUBLE_SINGLE),
    MMDiT: _Network("AuraFlow", {"double": "double_layers", "single": "single_layers"}),
    HiDreamImageTransformer2DModel: _Network(
        "HiDream",
        {"double": "double_stream_blocks", "single": "single_stream_blocks"},
        Text.AFTER,
        Blocks.COUNTED,
    ),
    NextDiT: _Network("Lumina 2", {"block": "layers"}, found=Blocks.INDEXED),
    NextDiTPixelSpace: _Network("Z-Image", {"block": "layers"}, found=Blocks.INDEXED),  # in latents it is a NextDiT
    QwenImageTransformer2DModel: _Network("Qwen-Image", {"block": "transformer_blocks"}),
    MageFlowTransformer2DModel: _Network("Mage-Flow", {"block": "transformer_blocks"}),
    LensTransformer2DModel: _Network("Lens", {"block": "transformer_blocks"}, Text.AFTER),
    SingleStreamDiT: _Network("Krea 2", {"block": "blocks"}, found=Blocks.INDEXED),
    Anima: _Network("Anima", {"block": "blocks"}, Text.APART, Blocks.INDEXED),
    MiniTrainDIT: _Network("Cosmos-Predict2", {"block": "blocks"}, Text.APART, Blocks.INDEXED),
    # The host lets its blocks be replaced as well, but then calls them by arguments that they do not have.
    Kandinsky5: _Network("Kandinsky 5", {"block": "visual_transformer_blocks"}, Text.APART, Blocks.INDEXED),
    WanModel: _Network("Wan 2.1, Wan 2.2", {"block": "blocks"}, Text.APART),
    VaceWanModel: _Network("Wan VACE", {"block": "blocks"}, Text.APART),
    CameraWanModel: _Network("Wan camera control", {"block": "blocks"}, Text.APART),
    LTXVModel: _Network("LTXV", {"block": "transformer_blocks"}, Text.APART),
    LTXAVModel: _Network("LTX-2 without sound", {"block": "transformer_blocks"}, Text.APART),
    HunyuanVideo: _Network("HunyuanVideo, HunyuanVideo 1.5, HunyuanImage 2.1", _DOUBLE_SINGLE),
    AsymmDiTJoint: _Network("Mochi", {"block": "blocks"}, Text.AFTER),
}
KNOWN = ", ".join([_UNETS, *(network.names for network in _TRANSFORMERS.values())])
"""The models that Cross-View Attention supports, for people."""
DOUBLE_SINGLE = ", ".join(network.names for network in _TRANSFORMERS.values() if "single" in network.lists)
"""Those of them whose blocks are of two kinds."""


def find_family(model: ModelPatcher) -> Family:
    """Return how ``model`` attends.

    Raises:
        ValueError: a model of another family; the message names it.
    """
    network = model.get_model_object("diffusion_model")
    kind = type(network)
    if kind is UNetModel and not any(model.model.model_config.unet_config.get("disable_self_attentions") or ()):
        return _unet(network)
    if kind in _TRANSFORMERS:
        return _transformer(network, _TRANSFORMERS[kind])
    family = type(model.model.model_config).__name__
    raise ValueError(
        f"model: {family} ({kind.__name__}) is a family that Cross-View Attention does not support. Set attention to "
        f"none, or remove Cross-View Attention. It supports {KNOWN}."
    )


def _transformer(network: nn.Module, known: _Network) -> Family:
    blocks = {part: tuple(range(len(getattr(network, name)))) for part, name in known.lists.items()}
    patch = getattr(network, "patch_size", 1)
    return Family(
        {part: numbers for part, numbers in blocks.items() if numbers},
        text=known.text,
        found=known.found,
        patch=patch if isinstance(patch, int) else 1,
        multiple=getattr(network, "pad_tokens_multiple", None) or 1,
    )


def _unet(network: UNetModel) -> Family:
    parts = {"input": network.input_blocks, "middle": [network.middle_block or ()], "output": network.output_blocks}
    blocks = {part: tuple(n for n, layers in enumerate(block) if _attends(layers)) for part, block in parts.items()}
    temporal = any(isinstance(layer, SpatialVideoTransformer) for layer in network.modules())
    return Family({part: numbers for part, numbers in blocks.items() if numbers}, unet=True, temporal=temporal)


def _attends(layers: nn.Sequential | tuple[()]) -> bool:
    return any(isinstance(layer, SpatialTransformer) for layer in layers)
