"""Whether a CONDITIONING can guide a model: made by the model's own text encoder, and of finite numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import comfy.model_base
from comfy.ldm.aura.mmdit import MMDiT as AuraFlow
from comfy.ldm.chroma.model import Chroma
from comfy.ldm.chroma_radiance.model import ChromaRadiance
from comfy.ldm.flux.model import Flux
from comfy.ldm.genmo.joint_model.asymm_models_joint import AsymmDiTJoint
from comfy.ldm.hunyuan_video.model import HunyuanVideo
from comfy.ldm.kandinsky5.model import Kandinsky5
from comfy.ldm.lightricks.model import LTXVModel
from comfy.ldm.lumina.model import NextDiT, NextDiTPixelSpace
from comfy.ldm.mage_flow.model import MageFlowTransformer2DModel
from comfy.ldm.modules.diffusionmodules.mmdit import OpenAISignatureMMDITWrapper
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.ldm.qwen_image.model import QwenImageTransformer2DModel
from comfy.ldm.wan.model import CameraWanModel, VaceWanModel, WanModel
from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn

from ...stereo_core.checks import expect_finite

# The layer that the text, or its pooled summary, enters by, in the host's exact classes; others are not checked.
_TEXT_LAYER = {
    OpenAISignatureMMDITWrapper: "context_embedder",
    Flux: "txt_in",
    Chroma: "txt_in",
    HunyuanVideo: "txt_in.input_embedder",
    QwenImageTransformer2DModel: "txt_in",
    WanModel: "text_embedding.0",
    VaceWanModel: "text_embedding.0",
    CameraWanModel: "text_embedding.0",
    LTXVModel: "caption_projection.linear_1",
    NextDiT: "cap_embedder.1",
    NextDiTPixelSpace: "cap_embedder.1",
    ChromaRadiance: "txt_in",
    AuraFlow: "cond_seq_linear",
    Kandinsky5: "text_embeddings.in_layer",
    MageFlowTransformer2DModel: "txt_in",
    AsymmDiTJoint: "t5_yproj",
}
_POOLED_LAYER = {
    OpenAISignatureMMDITWrapper: "y_embedder.mlp.0",
    Flux: "vector_in.in_layer",
    HunyuanVideo: "vector_in.in_layer",
}
# The host's models that take the pooled summary for granted.
_POOLED_MODELS = {
    comfy.model_base.SDXL,
    comfy.model_base.SDXLRefiner,
    comfy.model_base.SD3,
    comfy.model_base.HunyuanVideo,
    comfy.model_base.HiDream,
    comfy.model_base.Kandinsky5,
}
_OWN_ENCODER = "Connect the text encoder (CLIP) that belongs to the model."
# Of Stable Zero123, which takes two widths.
_ANY_WIDTH = "cc_projection"
# They may hold minus infinity, for tokens that count for nothing.
_MASKS = {"attention_mask", "attn_mask"}


def expect_prompt(name: str, conditioning: Sequence[Sequence[Any]], model: ModelPatcher | None = None) -> None:
    """Raise before anything is sampled unless a CONDITIONING can guide ``model``.

    Args:
        name: of the input, for the message.
        conditioning: pairs of an embedding (B, tokens, width) and a dict.
        model: what it is for; ``None`` where that is not known.

    Raises:
        ValueError: nothing in it, values that are not finite, or an embedding of another text encoder.
    """
    expect_entries(name, [{**entry[1], "cross_attn": entry[0]} for entry in conditioning], model)


def expect_prompts(model: ModelPatcher | None, **conditioning: Sequence[Sequence[Any]]) -> None:
    """Raise as ``expect_prompt`` does, for several inputs by their names."""
    for name, entries in conditioning.items():
        expect_prompt(name, entries, model)


def expect_channels_fit(latent: Tensor, **conditioning: Sequence[Sequence[Any]]) -> None:
    """Raise ``ValueError`` where Depth Conditioning's channel has another size than the latent (B, C, ..., H, W)."""
    for name, entries in conditioning.items():
        extra = [values["noise_concat"] for _, values in entries if values.get("noise_concat") is not None]
        if any(channels.shape[-2:] != latent.shape[-2:] for channels in extra):
            raise ValueError(
                f"{name}: Depth Conditioning was given the latent of another size than this one. Connect the same "
                "latent to both."
            )


def expect_guider(guider: Any) -> None:
    """Raise as ``expect_prompt`` does, for the conditioning of a GUIDER of the host."""
    for name, entries in getattr(guider, "original_conds", {}).items():
        expect_entries(f"guider: {name}", entries, guider.model_patcher)


def expect_entries(name: str, entries: Sequence[Mapping[str, Any]], model: ModelPatcher | None) -> None:
    """Raise as ``expect_prompt`` does; each of ``entries`` holds its embedding as ``cross_attn``, as in a guider."""
    if not entries:
        raise ValueError(f"{name}: holds no prompt. Connect a text encoder.")
    network = None if model is None else model.get_model_object("diffusion_model")
    for entry in entries:
        for tensor in _tensors(entry):
            if tensor.is_floating_point() and tensor.numel():
                expect_finite(name, tensor)
        if network is not None and _takes_as_it_is(model):
            _expect_width(name, "text embedding", entry.get("cross_attn"), _text_width(network))
            _expect_width(name, "pooled output", entry.get("pooled_output"), _width(network, _POOLED_LAYER))
            _expect_channels(name, entry.get("noise_concat"), network, model)
            summary = entry.get("pooled_output", entry.get("unclip_conditioning"))
            if type(model.model) in _POOLED_MODELS and summary is None:
                raise ValueError(f"{name}: has no pooled output, which this model needs. {_OWN_ENCODER}")


def _takes_as_it_is(model: ModelPatcher) -> bool:
    """Whether the network is given the embedding itself: models of other packs may bring it to another width first."""
    return type(model.model).__module__ == comfy.model_base.__name__ and not hasattr(model.model, _ANY_WIDTH)


def _expect_width(name: str, what: str, embedding: object, width: int | None) -> None:
    if width is not None and isinstance(embedding, Tensor) and embedding.shape[-1] != width:
        raise ValueError(
            f"{name}: comes from the text encoder of another model: its {what} is {embedding.shape[-1]} wide, and "
            f"this model takes {width}. {_OWN_ENCODER}"
        )


def _expect_channels(name: str, more: object, network: nn.Module, model: ModelPatcher) -> None:
    """Raise unless the network takes channels beside the latent's, where some are given."""
    if not isinstance(more, Tensor):
        return
    taken = network.in_channels if type(network) is UNetModel else 0
    if taken != model.get_model_object("latent_format").latent_channels + more.shape[1]:
        raise ValueError(
            f"{name}: holds a depth map as a channel beside the latent's, which this model does not take. Connect "
            "SD2-depth, or give Depth Conditioning a control_net."
        )


def _tensors(value: object) -> Iterator[Tensor]:
    """Every tensor in an entry of a conditioning, such as embeddings, masks and latents of pictures."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            if key not in _MASKS:
                yield from _tensors(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _tensors(part)


def _text_width(network: nn.Module) -> int | None:
    if type(network) is UNetModel:
        layers = (module for name, module in network.named_modules() if name.endswith("attn2.to_k"))
        return getattr(next(layers, None), "in_features", None)
    return _width(network, _TEXT_LAYER)


def _width(network: nn.Module, layers: Mapping[type, str]) -> int | None:
    """How wide the input of the network's layer is; ``None`` where that is not known."""
    layer: Any = network
    for part in layers.get(type(network), "none").split("."):
        layer = getattr(layer, part, None)
    return getattr(layer, "in_features", None)
