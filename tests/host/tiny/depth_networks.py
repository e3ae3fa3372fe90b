"""Depth networks of the real architectures, a few kilobytes to a few megabytes each, with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import (
    BaseImageProcessor,
    BeitConfig,
    BitConfig,
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    DepthProConfig,
    DepthProForDepthEstimation,
    DepthProImageProcessor,
    Dinov2Config,
    DPTConfig,
    DPTForDepthEstimation,
    DPTImageProcessor,
    GLPNConfig,
    GLPNForDepthEstimation,
    GLPNImageProcessor,
    PreTrainedModel,
    Swinv2Config,
    ZoeDepthConfig,
    ZoeDepthForDepthEstimation,
    ZoeDepthImageProcessor,
)

_WIDTH = 32
_DECODER = {"neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 16}
_BLOCKS = {"hidden_size": _WIDTH, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64}
_LAST_BIASES = ("head.conv3.bias", "head.4.bias", "head.layers.4.bias")
_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def _dinov2(image_size: int, patch_size: int = 14, **more: object) -> Dinov2Config:
    return Dinov2Config(
        hidden_size=_WIDTH,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=image_size,
        patch_size=patch_size,
        mlp_ratio=2,
        **more,
    )


def _randomize(network: nn.Module) -> None:
    """Fill in weights large enough for a map with some relief, and a bias that keeps a final ReLU open."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * parameter[0].numel() ** -0.5)
            elif name.startswith("fov_model.head"):
                parameter.fill_(10.0)  # degrees
            elif name.endswith(_LAST_BIASES):
                parameter.fill_(2.0)


def _save(network: PreTrainedModel, processor: BaseImageProcessor, folder: Path) -> None:
    _randomize(network)
    network.save_pretrained(folder)
    processor.save_pretrained(folder)


def make_dpt(folder: Path) -> None:
    """DPT/MiDaS with a plain ViT: one square size."""
    config = DPTConfig(**_BLOCKS, **_DECODER, image_size=64, patch_size=16, backbone_out_indices=[0, 1, 2, 3])
    processor = DPTImageProcessor(size={"height": 64, "width": 64}, keep_aspect_ratio=False, ensure_multiple_of=1)
    _save(DPTForDepthEstimation(config), processor, folder)


def make_dpt_beit(folder: Path) -> None:
    """MiDaS 3.1 with a BEiT backbone."""
    backbone = BeitConfig(
        **_BLOCKS,
        image_size=64,
        patch_size=16,
        use_relative_position_bias=True,
        reshape_hidden_states=False,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = DPTConfig(backbone_config=backbone, **_DECODER, hidden_size=_WIDTH)
    processor = DPTImageProcessor(size={"height": 64, "width": 64}, keep_aspect_ratio=True, ensure_multiple_of=32)
    _save(DPTForDepthEstimation(config), processor, folder)


def make_dpt_swinv2(folder: Path) -> None:
    """MiDaS 3.1 with a Swin 2 backbone."""
    backbone = Swinv2Config(
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        image_size=64,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    decoder = {**_DECODER, "neck_hidden_sizes": [8, 16, 32, 64]}
    config = DPTConfig(backbone_config=backbone, **decoder, hidden_size=_WIDTH, add_projection=False)
    processor = DPTImageProcessor(size={"height": 64, "width": 64}, keep_aspect_ratio=False, ensure_multiple_of=1)
    _save(DPTForDepthEstimation(config), processor, folder)


def make_dpt_hybrid(folder: Path) -> None:
    """DPT Hybrid: a ViT on the features of a BiT ResNet."""
    backbone = BitConfig(
        embedding_size=8,
        hidden_sizes=[32, 32, 64, 64],
        depths=[1, 1, 1],
        num_groups=4,
        global_padding="same",
        layer_type="bottleneck",
        embedding_dynamic_padding=True,
        out_features=["stage1", "stage2", "stage3"],
    )
    config = DPTConfig(
        backbone_config=backbone,
        is_hybrid=True,
        backbone_featmap_shape=[1, 64, 4, 4],
        neck_ignore_stages=[0, 1],
        reassemble_factors=[1, 1, 1, 0.5],
        **_BLOCKS,
        **{**_DECODER, "neck_hidden_sizes": [32, 32, 16, 16]},
        image_size=64,
        patch_size=16,
        backbone_out_indices=[0, 1, 2, 3],
    )
    processor = DPTImageProcessor(size={"height": 64, "width": 64}, keep_aspect_ratio=False, ensure_multiple_of=1)
    _save(DPTForDepthEstimation(config), processor, folder)


def make_dpt_dinov2(folder: Path) -> None:
    """DPT on DINOv2: metric, at the picture's own size, mean and deviation of values up to 255."""
    backbone = _dinov2(70, out_indices=[1, 2, 3, 4], reshape_hidden_states=False)
    decoder = {**_DECODER, "fusion_hidden_size": 256}  # the projection has this width whatever the rest has
    config = DPTConfig(backbone_config=backbone, **decoder, hidden_size=_WIDTH, add_projection=True)
    mean, std = ([255 * value for value in _IMAGENET[key]] for key in ("image_mean", "image_std"))
    processor = DPTImageProcessor(
        do_resize=False, do_rescale=False, do_pad=True, size_divisor=14, image_mean=mean, image_std=std
    )
    _save(DPTForDepthEstimation(config), processor, folder)


def make_depth_anything(folder: Path, metric: bool = False) -> None:
    """Depth Anything 1 and 2, relative or metric, the same weights for both."""
    config = DepthAnythingConfig(
        backbone_config=_dinov2(70, out_indices=[1, 2, 3, 4], reshape_hidden_states=False),
        reassemble_hidden_size=_WIDTH,
        head_hidden_size=8,
        depth_estimation_type="metric" if metric else "relative",
        max_depth=20 if metric else 1,
        **_DECODER,
    )
    processor = DPTImageProcessor(
        size={"height": 70, "width": 70}, keep_aspect_ratio=True, ensure_multiple_of=14, **_IMAGENET
    )
    _save(DepthAnythingForDepthEstimation(config), processor, folder)


def make_zoedepth(folder: Path) -> None:
    backbone = BeitConfig(
        **_BLOCKS,
        image_size=64,
        patch_size=16,
        use_relative_position_bias=True,
        reshape_hidden_states=False,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = ZoeDepthConfig(
        backbone_config=backbone,
        bottleneck_features=16,
        num_relative_features=8,
        bin_embedding_dim=16,
        num_attractors=[4, 3, 2, 1],
        bin_configurations=[{"n_bins": 8, "min_depth": 0.001, "max_depth": 10.0}],
        **_DECODER,
    )
    processor = ZoeDepthImageProcessor(size={"height": 64, "width": 96}, ensure_multiple_of=32, keep_aspect_ratio=True)
    _save(ZoeDepthForDepthEstimation(config), processor, folder)


def make_depth_pro(folder: Path) -> None:
    parts = {
        f"{part}_model_config": {**_dinov2(32, patch_size=8).to_dict(), "model_type": "dinov2"}
        for part in ("image", "patch", "fov")
    }
    config = DepthProConfig(
        fusion_hidden_size=16,
        patch_size=32,
        intermediate_hook_ids=[3, 1],
        intermediate_feature_dims=[16, 16],
        scaled_images_ratios=[0.5, 1.0],
        scaled_images_overlap_ratios=[0.0, 0.25],
        scaled_images_feature_dims=[16, 16],
        merge_padding_value=1,
        use_fov_model=True,
        **parts,
    )
    _save(DepthProForDepthEstimation(config), DepthProImageProcessor(size={"height": 64, "width": 64}), folder)


def make_glpn(folder: Path) -> None:
    config = GLPNConfig(hidden_sizes=[8, 8, 16, 16], depths=[1] * 4, num_attention_heads=[1] * 4, decoder_hidden_size=8)
    _save(GLPNForDepthEstimation(config), GLPNImageProcessor(), folder)


FAMILIES = {
    "dpt": make_dpt,
    "dpt_beit": make_dpt_beit,
    "dpt_swinv2": make_dpt_swinv2,
    "dpt_hybrid": make_dpt_hybrid,
    "dpt_dinov2": make_dpt_dinov2,
    "depth_anything": make_depth_anything,
    "depth_anything_metric": lambda folder: make_depth_anything(folder, metric=True),
    "zoedepth": make_zoedepth,
    "depth_pro": make_depth_pro,
    "glpn": make_glpn,
}


def make_da3(file: Path) -> None:
    """Depth Anything 3 of the mono kind (depth and sky); the host knows backbones of 12 layers of 384 at least."""
    import comfy.ops
    from comfy.ldm.depth_anything_3.model import DepthAnything3Net

    network = DepthAnything3Net(
        backbone_name="vits",
        out_layers=(2, 5, 8, 11),
        head_dim_in=384,
        head_features=16,
        head_out_channels=(16, 16, 16, 16),
        operations=comfy.ops.disable_weight_init,
        dtype=torch.float32,
    )
    _save_host(network, file)


def make_moge(file: Path) -> None:
    """MoGe 1."""
    from comfy.ldm.moge.model import MoGeModelV1

    backbone = {
        "hidden_size": 64,
        "num_attention_heads": 1,
        "num_hidden_layers": 4,
        "layer_norm_eps": 1e-6,
        "use_swiglu_ffn": False,
    }
    _save_host(MoGeModelV1(backbone, dim_upsample=[8, 8, 8], dtype=torch.float32), file)


def _save_host(network: nn.Module, file: Path) -> None:
    """Save a network of the host's, whose layers come uninitialised."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.fill_(1.0 if "norm" in name and name.endswith("weight") or "lambda" in name else 0.0)
    _randomize(network)
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.half().contiguous() for key, value in network.state_dict().items()}, file)


def edit_config(folder: Path, file: str = "config.json", **changes: object) -> None:
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
