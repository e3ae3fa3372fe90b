"""Reads what a config.json says of its network, and refuses what it asks for beside that."""

from __future__ import annotations

import math

from .architectures import BACKBONES, NETWORKS, PARTS
from .settings import checked, quote

# Values of model_type in config.json.
FAMILIES = tuple(NETWORKS)

_ATTENTION = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")


def network_config(config: dict) -> dict:
    """Take from a parsed config.json what describes a network, and nothing else; the result is safe to build.

    Raises:
        ValueError: another network, backbone or attention than those that are meant, a request to fetch something, or
            a value out of bounds; named, with what to do.
    """
    family = config.get("model_type")
    if not isinstance(family, str) or family not in NETWORKS:
        raise ValueError(
            f"config.json describes no depth network that this node supports (model_type {quote(family)}). "
            f"Choose a model of type {', '.join(FAMILIES)}."
        )
    _refuse_requests(config)
    network = {"model_type": family, **checked("config.json", config, NETWORKS[family])}
    for key, meant in PARTS.get(family, {}).items():
        part = config.get(key) or ({"model_type": "dinov2"} if family == "depth_pro" else None)
        if part is None:
            continue
        kind = part.get("model_type", meant[0]) if isinstance(part, dict) else part
        if not isinstance(kind, str) or kind not in meant:
            raise ValueError(
                f"config.json has {quote(kind)} as {key}, and this node runs {', '.join(meant)} there. "
                "Use another version of the model."
            )
        _refuse_requests(part)
        network[key] = {"model_type": kind, **checked(f"{key} in config.json", part, BACKBONES[kind])}
    return network


def _refuse_requests(config: dict) -> None:
    """Raise where a description asks for what would be fetched, compiled or run beside the network."""
    if config.get("backbone") and not config.get("backbone_config"):
        raise ValueError(
            f"config.json names the backbone {quote(config['backbone'])} instead of describing it, so it "
            "would be fetched. Use a version of the model whose config.json has backbone_config."
        )
    for key in ("use_timm_backbone", "use_pretrained_backbone"):
        if config.get(key):
            raise ValueError(
                f"config.json sets {key}, so a backbone would be fetched. "
                f"Set {key} to false in config.json, or use another version of the model."
            )
    for key in _ATTENTION:
        if config.get(key) not in (None, "eager", "sdpa"):
            raise ValueError(
                f"config.json asks for the attention {quote(config[key])}, which is code from elsewhere. "
                f"Remove {key} from config.json, or use another version of the model."
            )
    if config.get("quantization_config"):
        raise ValueError(
            "config.json describes quantized weights (quantization_config), which this node does not read. "
            "Use the model's version in fp32, fp16 or bf16."
        )


def is_metric(network: dict) -> bool:
    """Tell whether predicted_depth of a ``network_config`` is a distance (far is large) or inverse depth."""
    match network["model_type"]:
        case "depth_anything":
            return network.get("depth_estimation_type") == "metric"
        case "dpt":  # MiDaS, except the DINOv2 ones, which were trained on distances
            return backbone(network).get("model_type") == "dinov2"
        case "depth_pro":
            return False
        case _:
            return True


def stride(network: dict) -> int:
    """Return the pixels to one cell of the coarsest grid of a ``network_config``."""
    if network["model_type"] == "depth_anything" or backbone(network).get("model_type") == "dinov2":
        return backbone(network).get("patch_size", network.get("patch_size", 14))
    if network["model_type"] == "depth_pro":
        return 1
    return math.lcm(32, (backbone(network) or network).get("patch_size", 1))


def works_in_half(network: dict) -> bool:
    """Tell whether half precision is enough: not for depth bins, nor for two of the backbones of DPT."""
    family, kind = network["model_type"], backbone(network).get("model_type")
    return family in ("dpt", "depth_anything", "depth_pro") and kind not in ("swinv2", "bit")


def backbone(network: dict) -> dict:
    """Return the description of the backbone of a ``network_config``; empty where the network is its own."""
    return network.get("backbone_config", {})
