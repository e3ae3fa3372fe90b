"""The networks, backbones and settings that are meant, each within bounds: what a config.json may say.

The file comes from strangers, and transformers acts on far more of it than describes a network: it would look up hubs,
fetch attention kernels, quantize and patch. So nothing is passed on but what stands in these tables.
"""

from __future__ import annotations

from .settings import Check, either, flag, number, several, whole, word

_width, _layers, _heads, _side = whole(1, 8192), whole(1, 128), whole(1, 128), whole(1, 4096)
_widths, _few = several(_width, 1, 8), several(whole(1, 128), 1, 8)
_positions = several(whole(-128, 128), 0, 32)
_stages = several(lambda value: isinstance(value, str) and len(value) < 16, 1, 32)
_activation = word("gelu", "gelu_new", "relu", "silu", "swish", "tanh")
_epsilon, _picture = number(0, 0.1), either(_side, several(_side, 2, 2))

_OUTPUTS = {"out_features": _stages, "out_indices": _positions}
_BLOCKS = {
    "hidden_size": _width,
    "num_hidden_layers": _layers,
    "num_attention_heads": _heads,
    "intermediate_size": whole(1, 32768),
    "hidden_act": _activation,
    "layer_norm_eps": _epsilon,
    "image_size": _picture,
    "patch_size": whole(1, 256),
    "num_channels": whole(3, 3),
    "qkv_bias": flag,
}
_DECODER = {
    "readout_type": word("ignore", "add", "project"),
    "reassemble_factors": several(number(0.03125, 32), 1, 8),
    "neck_hidden_sizes": _widths,
    "fusion_hidden_size": _width,
    "head_in_index": whole(-8, 7),
    "use_batch_norm_in_fusion_residual": flag,
    "use_bias_in_fusion_residual": flag,
    "add_projection": flag,
}


def _bins(value: object) -> bool:
    depth = number(1e-6, 1e6)
    checks = {"name": lambda name: isinstance(name, str) and len(name) < 64, "n_bins": whole(1, 1024)}
    checks |= {"min_depth": depth, "max_depth": depth}
    return isinstance(value, dict) and set(value) <= set(checks) and all(checks[key](value[key]) for key in value)


BACKBONES: dict[str, dict[str, Check]] = {
    "beit": {
        **_BLOCKS,
        **_OUTPUTS,
        "use_absolute_position_embeddings": flag,
        "use_relative_position_bias": flag,
        "use_shared_relative_position_bias": flag,
        "use_mask_token": flag,
        "layer_scale_init_value": number(0, 1),
        "add_fpn": flag,
        "reshape_hidden_states": flag,
    },
    "bit": {
        **_OUTPUTS,
        "num_channels": whole(3, 3),
        "embedding_size": _width,
        "hidden_sizes": _widths,
        "depths": _few,
        "layer_type": word("preactivation", "bottleneck"),
        "hidden_act": _activation,
        "global_padding": word("same", "valid", "SAME", "VALID"),
        "num_groups": _width,
        "embedding_dynamic_padding": flag,
        "output_stride": whole(1, 128),
        "width_factor": whole(1, 16),
    },
    "dinov2": {
        **_BLOCKS,
        **_OUTPUTS,
        "mlp_ratio": number(0.1, 16),
        "layerscale_value": number(0, 10),
        "use_swiglu_ffn": flag,
        "apply_layernorm": flag,
        "reshape_hidden_states": flag,
        "use_mask_token": flag,
    },
    "swinv2": {
        **_OUTPUTS,
        "image_size": _picture,
        "patch_size": whole(1, 256),
        "num_channels": whole(3, 3),
        "embed_dim": _width,
        "depths": _few,
        "num_heads": _few,
        "window_size": whole(1, 128),
        "pretrained_window_sizes": several(whole(0, 128), 1, 8),
        "mlp_ratio": number(0.1, 16),
        "qkv_bias": flag,
        "hidden_act": _activation,
        "use_absolute_embeddings": flag,
        "layer_norm_eps": _epsilon,
    },
}

NETWORKS: dict[str, dict[str, Check]] = {
    "dpt": {
        **_BLOCKS,
        **_DECODER,
        "is_hybrid": flag,
        "backbone_out_indices": _positions,
        "backbone_featmap_shape": several(_width, 4, 4),
        "neck_ignore_stages": _positions,
    },
    "depth_anything": {
        **_DECODER,
        "patch_size": whole(1, 256),
        "reassemble_hidden_size": _width,
        "head_hidden_size": _width,
        "depth_estimation_type": word("relative", "metric"),
        "max_depth": number(1e-6, 1e6),
    },
    "depth_pro": {
        "fusion_hidden_size": _width,
        "patch_size": _side,
        "intermediate_hook_ids": _positions,
        "intermediate_feature_dims": _widths,
        "scaled_images_ratios": several(number(0.01, 1), 1, 8),
        "scaled_images_overlap_ratios": several(number(0, 0.9), 1, 8),
        "scaled_images_feature_dims": _widths,
        "merge_padding_value": whole(0, 64),
        "use_batch_norm_in_fusion_residual": flag,
        "use_bias_in_fusion_residual": flag,
    },
    "zoedepth": {
        **_DECODER,
        "hidden_act": _activation,
        "batch_norm_eps": _epsilon,
        "num_relative_features": _width,
        "bottleneck_features": _width,
        "num_attractors": several(whole(1, 1024), 1, 8),
        "bin_embedding_dim": _width,
        "attractor_alpha": number(0, 1e6),
        "attractor_gamma": number(0, 64),
        "attractor_kind": word("mean", "sum"),
        "min_temp": number(1e-6, 1e3),
        "max_temp": number(1e-6, 1e3),
        "bin_centers_type": word("normed", "softplus"),
        "bin_configurations": several(_bins, 1, 8),
        "num_patch_transformer_layers": _layers,
        "patch_transformer_hidden_size": _width,
        "patch_transformer_intermediate_size": whole(1, 32768),
        "patch_transformer_num_attention_heads": _heads,
    },
    "glpn": {
        "num_channels": whole(3, 3),
        "num_encoder_blocks": whole(1, 8),
        "depths": _few,
        "sr_ratios": _few,
        "hidden_sizes": _widths,
        "patch_sizes": _few,
        "strides": _few,
        "num_attention_heads": _few,
        "mlp_ratios": _few,
        "hidden_act": _activation,
        "layer_norm_eps": _epsilon,
        "decoder_hidden_size": _width,
        "max_depth": number(1e-6, 1e6),
        "head_in_index": whole(-8, 7),
    },
}

# The parts of a family that are networks of their own, and which ones are meant there.
PARTS: dict[str, dict[str, tuple[str, ...]]] = {
    "dpt": {"backbone_config": ("beit", "bit", "dinov2", "swinv2")},
    "depth_anything": {"backbone_config": ("dinov2",)},
    "zoedepth": {"backbone_config": ("beit",)},
    "depth_pro": dict.fromkeys(("image_model_config", "patch_model_config", "fov_model_config"), ("dinov2",)),
}
