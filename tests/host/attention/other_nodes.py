"""The host's other nodes that change a model, as functions from MODEL to MODEL, by name and by the family they need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from tests.host.tiny.families import FAMILIES, load
from tests.host.tiny.unets import NARROW

Patch = Callable[[Any], Any]

LAYER = "input_blocks.1.1.transformer_blocks.0.attn1.to_v"


def lora(seed: int = 5) -> dict[str, Tensor]:
    """A LoRA of one layer of SD 1.x."""
    stream = torch.Generator().manual_seed(seed)
    prefix = f"lora_unet_{LAYER.replace('.', '_')}"
    return {
        f"{prefix}.lora_up.weight": torch.randn(NARROW, 4, generator=stream),
        f"{prefix}.lora_down.weight": torch.randn(4, NARROW, generator=stream),
    }


def _extra(file: str, node: str, *values: Any, **named: Any) -> Patch:
    """A node of ``comfy_extras``."""

    def patch(model: Any) -> Any:
        import importlib

        kind = getattr(importlib.import_module(f"comfy_extras.nodes_{file}"), node)
        result = kind.execute(model, *values, **named) if hasattr(kind, "execute") else kind().patch(model, *values)
        return result[0]

    return patch


def _free_u(node: str, *values: float) -> Patch:
    """It acts on layers two and four times as wide as the first, and these networks are of one width."""
    act = _extra("freelunch", node, *values)

    def patch(model: Any) -> Any:
        with mock.patch.dict(model.model.model_config.unet_config, model_channels=NARROW // 2):
            return act(model)

    return patch


def _lora(model: Any) -> Any:
    import comfy.sd

    return comfy.sd.load_lora_for_models(model, None, lora(), 0.1, 0)[0]


def _merge(model: Any) -> Any:
    from comfy_extras.nodes_model_merging import ModelMergeSimple

    return ModelMergeSimple().merge(_lora(model), model, 0.5)[0]


def _rescale_cfg(model: Any) -> Any:
    from comfy_extras.nodes_model_advanced import RescaleCFG

    return RescaleCFG().patch(model, 0.7)[0]


def _image_prompt(model: Any) -> Any:
    """As IP-Adapter: keys and values of a picture's tokens beside the text's, for the condition and its opposite."""
    stream = torch.Generator().manual_seed(8)
    tokens = torch.randn(2, 4, NARROW, generator=stream)

    def attention(q: Tensor, k: Tensor, v: Tensor, extra: dict[str, Any]) -> Tensor:
        which = extra["cond_or_uncond"]
        added = torch.cat([tokens[[index]].expand(len(q) // len(which), -1, -1) for index in which])

        def attend(*qkv: Tensor) -> Tensor:
            heads = (t.unflatten(-1, (extra["n_heads"], -1)).transpose(1, 2) for t in qkv)
            return nn.functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)

        return attend(q, k, v) + 0.5 * attend(q, added, added)

    clone = model.clone()
    clone.set_model_attn2_replace(attention, "middle", 0)
    return clone


def _attention_of_ones_own(model: Any) -> Any:
    """As a node that chooses sage attention: another function in place of the host's, which takes no mask."""

    def attention(_: Any, q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Any = None, **rest: Any) -> Tensor:
        assert mask is None
        if not rest.get("skip_reshape"):
            q, k, v = (t.flatten(2).unflatten(-1, (heads, -1)).transpose(1, 2) for t in (q, k, v))
        return nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)

    clone = model.clone()
    clone.model_options["transformer_options"]["optimized_attention_override"] = attention
    return clone


def _network_wrapper(model: Any) -> Any:
    """As block swap: a wrapper around every evaluation of the network."""
    clone = model.clone()
    clone.add_wrapper_with_key("diffusion_model", "swap", lambda network, *args, **named: network(*args, **named))
    clone.set_model_unet_function_wrapper(lambda apply, args: apply(args["input"], args["timestep"], **args["c"]))
    return clone


def _tone_map(model: Any) -> Any:
    import comfy_extras.nodes_post_processing  # noqa: F401  # the host imports one before the other
    from comfy_extras.nodes_latent import LatentApplyOperationCFG, LatentOperationTonemapReinhard

    return LatentApplyOperationCFG.execute(model, LatentOperationTonemapReinhard.execute(1.0)[0])[0]


NODES: dict[str, tuple[str, Patch]] = {
    "LoRA": ("sd15_two_levels", _lora),
    "ModelMergeSimple": ("sd15_two_levels", _merge),
    "IP-Adapter": ("sd15_two_levels", _image_prompt),
    "sage attention": ("sd3", _attention_of_ones_own),
    "block swap": ("sd3", _network_wrapper),
    "FreeU": ("sd15_two_levels", _free_u("FreeU", 1.1, 1.2, 0.9, 0.2)),
    "FreeU_V2": ("sd15_two_levels", _free_u("FreeU_V2", 1.3, 1.4, 0.9, 0.2)),
    "PatchModelAddDownscale": (
        "sd15_two_levels",
        _extra("model_downscale", "PatchModelAddDownscale", 1, 2.0, 0.0, 0.5, True, "bicubic", "bicubic"),
    ),
    "NAGuidance": ("sd15_two_levels", _extra("nag", "NAGuidance", 5.0, 0.5, 1.5)),
    "NAGuidance, Flux": ("flux", _extra("nag", "NAGuidance", 5.0, 0.5, 1.5)),
    "TomePatchModel": ("sd15_two_levels", _extra("tomesd", "TomePatchModel", 0.5)),
    "PerturbedAttentionGuidance": ("sd15_two_levels", _extra("pag", "PerturbedAttentionGuidance", 3.0)),
    "SelfAttentionGuidance": ("sd15_two_levels", _extra("sag", "SelfAttentionGuidance", 0.5, 2.0)),
    "SkipLayerGuidanceDiT": ("sd3", _extra("slg", "SkipLayerGuidanceDiT", 3.0, 0.0, 1.0, "1", "1", 0.0)),
    "SkipLayerGuidanceDiT, rescaled": ("sd3", _extra("slg", "SkipLayerGuidanceDiT", 3.0, 0.0, 1.0, "1", "1", 0.7)),
    "SkipLayerGuidanceDiTSimple": ("sd3", _extra("slg", "SkipLayerGuidanceDiTSimple", 0.0, 1.0, "1", "1")),
    "DifferentialDiffusion": ("sd15_two_levels", _extra("differential_diffusion", "DifferentialDiffusion", 0.8)),
    "RescaleCFG": ("sd15_two_levels", _rescale_cfg),
    "RenormCFG": ("sd3", _extra("lumina2", "RenormCFG", 100.0, 0.7)),
    "CFGZeroStar": ("sd3", _extra("cfg", "CFGZeroStar")),
    "CFGNorm": ("sd3", _extra("cfg", "CFGNorm", 0.9)),
    "CFGNorm, pre_cfg": ("sd3", _extra("cfg", "CFGNorm", 0.9, True)),
    "Mahiro": ("sd15_two_levels", _extra("mahiro", "Mahiro")),
    "APG": ("sd15_two_levels", _extra("apg", "APG", 1.0, 5.0, 0.0)),
    "TCFG": ("sd15_two_levels", _extra("tcfg", "TCFG")),
    "FreSca": ("sd15_two_levels", _extra("fresca", "FreSca", 1.0, 1.25, 1)),
    "Epsilon Scaling": ("sd15_two_levels", _extra("eps", "EpsilonScaling", 1.005)),
    "TemporalScoreRescaling": ("sd3", _extra("eps", "TemporalScoreRescaling", 0.95, 1.0)),
    "VideoLinearCFGGuidance": ("sd15_two_levels", _extra("video_model", "VideoLinearCFGGuidance", 1.0)),
    "VideoTriangleCFGGuidance": ("sd15_two_levels", _extra("video_model", "VideoTriangleCFGGuidance", 1.0)),
    "LatentOperationTonemapReinhard": ("sd15_two_levels", _tone_map),
}


def with_node(name: str) -> tuple[str, Any]:
    """The family of a row of ``NODES``, and its MODEL with the node."""
    family, patch = NODES[name]
    return family, patch(load(family))


def _prompt(seed: int) -> list[Any]:
    return FAMILIES["sd15"].conditioning(seed)


def _hooked(seed: int, ranges: tuple[tuple[float, float], ...]) -> list[Any]:
    """A prompt with a LoRA as a hook, whose strength changes at fractions of the schedule."""
    import comfy.hooks

    hook = comfy.hooks.create_hook_lora(lora(seed + 4), 0.1, 0.0)
    keyframes = comfy.hooks.HookKeyframeGroup()
    for start, strength in ranges:
        keyframes.add(comfy.hooks.HookKeyframe(strength=strength, start_percent=start))
    hook.set_keyframes_on_hooks(keyframes)
    return comfy.hooks.set_hooks_for_conditioning(_prompt(seed), hook)


def _cfg(model: Any, positive: list[Any], negative: list[Any]) -> Any:
    import comfy.samplers

    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(3.0)
    return guider


def _node_guider(name: str, *values: Any) -> Any:
    from comfy_extras import nodes_custom_sampler

    return getattr(nodes_custom_sampler, name).execute(*values)[0]


def _perp_neg(model: Any) -> Any:
    from comfy_extras.nodes_perpneg import PerpNegGuider

    return PerpNegGuider.execute(model, _prompt(1), _prompt(2), _prompt(3), 3.0, 0.5)[0]


GUIDERS: dict[str, Callable[[Any], Any]] = {
    "CFG": lambda model: _cfg(model, _prompt(1), _prompt(2)),
    "BasicGuider": lambda model: _node_guider("BasicGuider", model, _prompt(1)),
    "DualCFGGuider": lambda model: _node_guider("DualCFGGuider", model, *map(_prompt, (1, 2, 3)), 3.0, 2.0, "regular"),
    "DualCFGGuider, nested": lambda model: _node_guider(
        "DualCFGGuider", model, *map(_prompt, (1, 2, 3)), 3.0, 2.0, "nested"
    ),
    "DualModelGuider": lambda model: _node_guider(
        "DualModelGuider", model, _prompt(1), 3.0, load("sd15", 0.5), _prompt(2)
    ),
    "PerpNegGuider": _perp_neg,
    "two prompts": lambda model: _cfg(model, _prompt(1) + _prompt(3), _prompt(2)),
    "LoRA hook": lambda model: _cfg(model, _hooked(1, ((0.0, 1.0),)), _prompt(2)),
    "LoRA hooks with time ranges": lambda model: _cfg(
        model, _hooked(1, ((0.0, 1.0), (0.6, 0.2))), _hooked(2, ((0.0, 0.0), (0.4, 1.0)))
    ),
}
"""Guiders, and conditioning with hooks, for SD 1.x, as functions from MODEL to GUIDER."""
