"""DepthCrafter's file of weights: a U-Net of Stable Video Diffusion, with diffusers' names for its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

MARK = "down_blocks.0.resnets.0.temporal_res_block.conv1.weight"
"""A tensor that diffusers' U-Nets of SVD have and no other network of depth."""

_ENDS = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "conv_norm_out": "out.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}
_RESIDUAL = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_ATTENTION = {
    "temporal_transformer_blocks": "time_stack",
    "time_pos_embed.linear_1": "time_pos_embed.0",
    "time_pos_embed.linear_2": "time_pos_embed.2",
}
_BLOCK = re.compile(r"(down|up|mid)_blocks?\.(?:(\d+)\.)?(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)")


def host_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the tensors as the host does.

    Raises:
        ValueError: a name that no U-Net of SVD has; it is told.
    """
    names = _host_names(weights)
    return {names[name]: tensor for name, tensor in weights.items()}


def _host_names(names: Iterable[str]) -> dict[str, str]:
    names = list(names)
    blocks = [(name, _BLOCK.fullmatch(name)) for name in names]
    inner = [match.groups() for _, match in blocks if match]
    per_level = 1 + max((int(place) for kind, _, part, place, _ in inner if (kind, part) == ("down", "resnets")))
    attended = {int(level) for kind, level, part, *_ in inner if (kind, part) == ("up", "attentions")}
    return {
        name: _place(match, per_level, attended) if match else _renamed(name, _ENDS, must=True)
        for name, match in blocks
    }


def _place(match: re.Match[str], per_level: int, attended: set[int]) -> str:
    kind, level, part, place, rest = match.groups()
    index, is_attention = int(place), part == "attentions"
    if part == "downsamplers":
        return f"input_blocks.{(per_level + 1) * (int(level) + 1)}.0.{rest.replace('conv', 'op', 1)}"
    if part == "upsamplers":
        last = (per_level + 1) * (int(level) + 1) - 1
        return f"output_blocks.{last}.{2 if int(level) in attended else 1}.{rest}"
    rest = _renamed(rest, _ATTENTION) if is_attention else _residual(rest)
    if kind == "mid":
        return f"middle_block.{1 if is_attention else 2 * index}.{rest}"
    first = 1 if kind == "down" else 0
    row = first + (per_level + 1) * int(level) + index
    return f"{'input' if kind == 'down' else 'output'}_blocks.{row}.{int(is_attention)}.{rest}"


def _residual(rest: str) -> str:
    part, _, inside = rest.partition(".")
    if part == "time_mixer":
        return rest
    prefix = {"spatial_res_block": "", "temporal_res_block": "time_stack."}.get(part)
    if prefix is None:
        raise ValueError(f"{rest} is not of a U-Net of SVD")
    return prefix + _renamed(inside, _RESIDUAL, must=True)


def _renamed(name: str, table: Mapping[str, str], must: bool = False) -> str:
    for old, new in table.items():
        if name.startswith(f"{old}."):
            return new + name[len(old) :]
    if must:
        raise ValueError(f"{name} is not of a U-Net of SVD")
    return name
