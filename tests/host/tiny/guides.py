"""A depth ControlNet and a vision encoder with few layers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from tests.host.tiny.families import FAMILIES, told
from tests.host.tiny.transformers import QWEN
from tests.host.tiny.unets import FULL, NARROW
from tests.host.tiny.weights import Weights, fill, random_weights, save


def control_net(seed: int = 12, width: int = NARROW) -> Weights:
    """A ControlNet to go with SD 1.x of one level; no weight is zero, so that it acts."""
    from comfy.cldm.cldm import ControlNet

    return fill(
        ControlNet,
        seed,
        image_size=32,
        in_channels=4,
        model_channels=width,
        hint_channels=3,
        num_res_blocks=[1],
        channel_mult=[1],
        transformer_depth=[1],
        transformer_depth_middle=0,
        context_dim=768,
        num_heads=8,
        use_spatial_transformer=True,
        legacy=False,
    )


def make_control_net(file: Path, width: int = FULL) -> None:
    """A ControlNet in the form of its authors' files."""
    save(control_net(width=width), file, "control_model.")


def qwen_control_net() -> Weights:
    """A ControlNet to go with Qwen-Image, of the kind that takes an encoded hint."""
    from comfy.ldm.qwen_image.controlnet import QwenImageControlNetModel

    return fill(QwenImageControlNetModel, 39, num_layers=2, in_channels=64, **QWEN)


def load_qwen_control_net() -> Any:
    """Load it as a user would."""
    import folder_paths

    import nodes

    file = Path(folder_paths.get_folder_paths("controlnet")[0], "qwen.safetensors")
    save(qwen_control_net(), file)
    with torch.inference_mode(), told(FAMILIES["qwen_image"]):
        return nodes.ControlNetLoader().load_controlnet(file.name)[0]


def clip_vision(seed: int = 32) -> Any:
    """A CLIP_VISION of the host's own class that ends in the width that SVD takes, with two thin layers."""
    from comfy.clip_vision import ClipVisionModel

    encoder = ClipVisionModel(
        {
            "model_type": "clip_vision_model",
            "hidden_act": "gelu",
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_attention_heads": 2,
            "num_channels": 3,
            "num_hidden_layers": 2,
            "patch_size": 14,
            "image_size": 56,
            "projection_dim": 1024,
        }
    )
    weights = random_weights(encoder.model, seed)
    encoder.load_sd({name: value.to(torch.float32) for name, value in weights.items()})
    return encoder


class Vision:
    """Stands for CLIP: of each picture a vector of its own."""

    model = SimpleNamespace(visual_projection=SimpleNamespace(out_features=1024))

    def encode_image(self, image: Tensor, crop: bool) -> Any:
        assert not crop
        places = torch.linspace(1, 9, 1024)
        return SimpleNamespace(image_embeds=torch.sin(places * image.mean(dim=(1, 2, 3)).unsqueeze(1) * 9))
