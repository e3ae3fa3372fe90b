"""Video Depth Anything and DepthCrafter against Depth Anything V2, all with random weights at their full size."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tools.host.in_process import load_host, pack_module
from tools.host.server import find_host

from .depth_crafter import random_depthcrafter
from .sampling import Peak, now
from .table import machine, print_table

FRAMES, HEIGHT, WIDTH, RESOLUTION, AT_ONCE = 32, 154, 280, 280, 4
SAMPLED = 8  # frames of DepthCrafter, which takes a CPU many seconds for each
# Width and layers of the encoder, channels of the decoder's levels and of the decoder.
SIZES = {
    "small": (384, 12, (48, 96, 192, 384), 64),
    "base": (768, 12, (96, 192, 384, 768), 128),
    "large": (1024, 24, (256, 512, 1024, 1024), 256),
}


def main() -> None:
    """Print seconds for a frame, and the most memory beside the weights."""
    cuda = torch.cuda.is_available()
    print(f"## Depth of {FRAMES} frames of {WIDTH}x{HEIGHT}, {AT_ONCE} at once, fp32\n")
    print(f"{machine('cuda' if cuda else 'cpu')}.\n")
    rows = []
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        load_host(find_host(), Path(folder), cpu=not cuda)
        frames = torch.rand(FRAMES, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
        for size in list(SIZES)[: None if cuda else 2]:  # a CPU takes minutes for the large one
            for name, run in (
                ("Depth Anything V2", _single(size, frames)),
                ("Video Depth Anything", _video(size, frames)),
            ):
                rows.append(_measured(f"{name}, {size}", run, FRAMES))
        rows.append(_measured(f"DepthCrafter, {SAMPLED} frames", _sampled(frames[:SAMPLED]), SAMPLED))
    print_table(["", "seconds a frame", "peak memory beside the weights"], rows)


def _measured(name: str, run: Callable[[], Any], frames: int) -> list[str]:
    peak, start = Peak(), now()
    run()
    return [name, f"{(now() - start) / frames:.3f}", f"{peak.bytes() / 2**20:.0f} MiB"]


def _sampled(frames: Tensor) -> Callable[[], Any]:
    model = random_depthcrafter()
    return lambda: list(model.scene(frames.split(1), len(frames), RESOLUTION, AT_ONCE))


def _video(size: str, frames: Tensor) -> Callable[[], Any]:
    import comfy.model_management
    import comfy.model_patcher
    import comfy.ops

    width, layers, channels, features = SIZES[size]
    networks = pack_module("nodes.depth.video_networks")
    shape = pack_module("nodes.depth.video_weights").Shape(layers, width, 37, channels, features, 32)
    network = networks.VideoDepthAnything(shape, torch.float32, "cpu", comfy.ops.manual_cast)
    model = networks.VideoDepthModel(_patcher(network), torch.float32, False, shape)
    return lambda: list(model.scene(frames.split(1), len(frames), RESOLUTION, AT_ONCE))


def _single(size: str, frames: Tensor) -> Callable[[], Any]:
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    width, layers, channels, features = SIZES[size]
    taken = [5, 12, 18, 24] if layers == 24 else [3, 6, 9, 12]
    backbone = Dinov2Config(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        image_size=518,
        patch_size=14,
        out_indices=taken,
        apply_layernorm=True,
        reshape_hidden_states=False,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=width,
        neck_hidden_sizes=list(channels),
        fusion_hidden_size=features,
    )
    networks, preprocessing = pack_module("nodes.depth.networks"), pack_module("nodes.depth.preprocessing")
    settings = {"size": {"height": 518, "width": 518}, "keep_aspect_ratio": True, "ensure_multiple_of": 14}
    network = networks.DepthNetwork(DepthAnythingForDepthEstimation(config), metric=False)
    prepared = preprocessing.read_preprocessing(settings, "depth_anything", 14)
    model = networks.DepthModel(_patcher(network), prepared, torch.float32, 0.0)
    return lambda: [model.infer(part, RESOLUTION) for part in frames.split(AT_ONCE)]


def _patcher(network: torch.nn.Module) -> Any:
    """Hand a network to the host, with weights that keep its values finite."""
    import comfy.model_management
    import comfy.model_patcher

    for name, values in (*network.named_parameters(), *network.named_buffers()):
        scale = 0.5 / max(values[0].numel(), 1) ** 0.5 if values.ndim > 1 else 0.02
        values.copy_(torch.randn(values.shape) * scale)
        if "norm" in name and name.endswith("weight"):
            values.fill_(1.0)
    devices = comfy.model_management.get_torch_device(), comfy.model_management.unet_offload_device()
    return comfy.model_patcher.CoreModelPatcher(network.eval(), *devices)
