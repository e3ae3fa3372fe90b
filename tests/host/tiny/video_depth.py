"""Files of Video Depth Anything with the published names, and random weights that depend on nothing but the names."""

from __future__ import annotations

import zlib
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

LAYERS, WIDTH, SIDE, CHANNELS, FEATURES, FRAMES = 4, 64, 4, (8, 8, 64, 64), 64, 32


def make_video_depth(file: Path, **metadata: str) -> dict[str, Tensor]:
    """Save the weights as a file, and return them."""
    weights = published_weights()
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, file, metadata=metadata or None)
    return weights


def published_weights() -> dict[str, Tensor]:
    """Return the weights, of a size at which the network's values stay near 1."""
    return {name: _values(name, size) for name, size in _sizes().items()}


def _values(name: str, size: tuple[int, ...]) -> Tensor:
    noise = torch.randn(size, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
    if name.endswith("pe"):
        return noise
    if len(size) > 1:
        return noise * (0.9 / max(noise[0].numel(), 1) ** 0.5)
    if name.endswith("output_conv2.2.bias"):
        return torch.ones(size)  # or all of the depth would be cut off at 0
    return 0.1 * noise + (1.0 if name.endswith("gamma") or "norm" in name and name.endswith("weight") else 0.0)


def _sizes() -> dict[str, tuple[int, ...]]:
    sizes: dict[str, tuple[int, ...]] = {
        "pretrained.cls_token": (1, 1, WIDTH),
        "pretrained.pos_embed": (1, SIDE**2 + 1, WIDTH),
        "pretrained.mask_token": (1, WIDTH),
        **_layer("pretrained.patch_embed.proj", WIDTH, 3, 14, 14),
        **_layer("pretrained.norm", WIDTH),
    }
    for number in range(LAYERS):
        block = f"pretrained.blocks.{number}"
        sizes |= _layer(f"{block}.norm1", WIDTH) | _layer(f"{block}.norm2", WIDTH)
        sizes |= _layer(f"{block}.attn.qkv", 3 * WIDTH, WIDTH) | _layer(f"{block}.attn.proj", WIDTH, WIDTH)
        sizes |= _layer(f"{block}.mlp.fc1", 4 * WIDTH, WIDTH) | _layer(f"{block}.mlp.fc2", WIDTH, 4 * WIDTH)
        sizes |= {f"{block}.ls1.gamma": (WIDTH,), f"{block}.ls2.gamma": (WIDTH,)}
    for level, width in enumerate(CHANNELS):
        sizes |= _layer(f"head.projects.{level}", width, WIDTH, 1, 1)
        sizes[f"head.scratch.layer{level + 1}_rn.weight"] = (FEATURES, width, 3, 3)
        fusion = f"head.scratch.refinenet{level + 1}"
        sizes |= _layer(f"{fusion}.out_conv", FEATURES, FEATURES, 1, 1)
        for unit in (1, 2):
            for conv in (1, 2):
                sizes |= _layer(f"{fusion}.resConfUnit{unit}.conv{conv}", FEATURES, FEATURES, 3, 3)
    sizes |= _layer("head.resize_layers.0", CHANNELS[0], CHANNELS[0], 4, 4)
    sizes |= _layer("head.resize_layers.1", CHANNELS[1], CHANNELS[1], 2, 2)
    sizes |= _layer("head.resize_layers.3", CHANNELS[3], CHANNELS[3], 3, 3)
    sizes |= _layer("head.scratch.output_conv1", FEATURES // 2, FEATURES, 3, 3)
    sizes |= _layer("head.scratch.output_conv2.0", 32, FEATURES // 2, 3, 3)
    sizes |= _layer("head.scratch.output_conv2.2", 1, 32, 1, 1)
    for number, width in enumerate((*CHANNELS[2:], FEATURES, FEATURES)):
        module = f"head.motion_modules.{number}.temporal_transformer"
        sizes |= _layer(f"{module}.norm", width)
        sizes |= _layer(f"{module}.proj_in", width, width) | _layer(f"{module}.proj_out", width, width)
        block = f"{module}.transformer_blocks.0"
        for layer in (0, 1):
            attention = f"{block}.attention_blocks.{layer}"
            sizes |= {f"{attention}.to_{part}.weight": (width, width) for part in "qkv"}
            sizes |= _layer(f"{attention}.to_out.0", width, width) | _layer(f"{block}.norms.{layer}", width)
            sizes[f"{attention}.pos_encoder.pe"] = (1, FRAMES, width)
        sizes |= _layer(f"{block}.ff.net.0.proj", 8 * width, width) | _layer(f"{block}.ff.net.2", width, 4 * width)
        sizes |= _layer(f"{block}.ff_norm", width)
    return sizes


def _layer(name: str, *weight: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": weight, f"{name}.bias": weight[:1]}
