"""The smallest networks of each family, loaded by the host's own loaders, and conditioning that fits them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from tests.host.tiny import transformers
from tests.host.tiny.transformers import Metadata
from tests.host.tiny.unets import admit_narrow, unet
from tests.host.tiny.weights import Weights, save

MASK = torch.tensor([[1, 1, 1, 1, 1, 0, 0]])
"""Text of five tokens padded to seven."""


@dataclass(frozen=True)
class Tiny:
    """A family's network and what goes with it.

    Attributes:
        build: gives the weights, and the metadata of their file.
        latent: one picture's latent, or one clip's.
        text: width of the text tokens.
        extras: the conditioning's other entries; a tuple is a random tensor's shape.
        checkpoint: loaded as a checkpoint rather than as a diffusion model.
        told: what the host takes for fixed instead of reading it from the file.
        known_by: what the host knows the family by and these weights have not.
    """

    build: Callable[[], tuple[Weights, Metadata]]
    latent: tuple[int, ...]
    text: int = transformers.TEXT
    extras: dict[str, Any] = field(default_factory=dict)
    checkpoint: bool = False
    told: dict[str, Any] = field(default_factory=dict)
    known_by: dict[str, Any] = field(default_factory=dict)

    def conditioning(self, seed: int, batch: int = 1) -> list[list[Any]]:
        """Random conditioning, as a text encoder would give it."""
        stream = torch.Generator().manual_seed(seed)
        extras = {
            name: torch.randn(batch, *value[1:], generator=stream) if isinstance(value, tuple) else value
            for name, value in self.extras.items()
        }
        return [[torch.randn(batch, 7, self.text, generator=stream), extras]]


def _unet(kind: str, seed: int, latent: tuple[int, ...], text: int, **extras: Any) -> Tiny:
    return Tiny(lambda: (unet(kind, seed), {}), latent, text, extras, checkpoint=True)


def _sd2_v() -> tuple[Weights, Metadata]:
    # By the spread of this layer the host tells prediction of the velocity.
    return unet("sd2", 12) | {"output_blocks.11.1.transformer_blocks.0.norm1.bias": torch.tensor([-1.0, 1.0])}, {}


def clip_vision() -> SimpleNamespace:
    """What Wan's image-to-video takes from a vision encoder."""
    stream = torch.Generator().manual_seed(21)
    return SimpleNamespace(penultimate_hidden_states=torch.randn(1, 9, 1280, generator=stream))


FAMILIES = {
    "sd15": _unet("sd15", 11, (4, 4, 8), 768),
    "sd15_two_levels": _unet("sd15_two_levels", 11, (4, 8, 16), 768),
    "sd2": _unet("sd2", 12, (4, 4, 8), 1024),
    "sd2_v": Tiny(_sd2_v, (4, 4, 8), 1024, checkpoint=True),
    "sd2_depth": _unet("sd2_depth", 12, (4, 4, 8), 1024),
    "sdxl": _unet("sdxl", 13, (4, 8, 16), 2048, pooled_output=(1, 1280)),
    "svd": _unet("svd", 14, (4, 4, 4), 1024, concat_latent_image=(1, 4, 4, 4)),
    "sv3d_u": _unet("sv3d_u", 22, (4, 4, 4), 1024, concat_latent_image=(1, 4, 4, 4)),
    "sv3d_p": _unet("sv3d_p", 23, (4, 4, 4), 1024, concat_latent_image=(1, 4, 4, 4)),
    "sd3": Tiny(transformers.sd3, (16, 8, 12), extras={"pooled_output": (1, 64)}),
    "flux": Tiny(transformers.flux, (16, 8, 12), extras={"pooled_output": (1, 64)}),
    # The host takes no padded text for a batch of HunyuanVideo.
    "hunyuan_video": Tiny(transformers.hunyuan_video, (16, 2, 8, 12), extras={"pooled_output": (1, 768)}),
    "qwen_image": Tiny(
        transformers.qwen_image, (16, 1, 8, 12), extras={"attention_mask": MASK}, told=transformers.QWEN
    ),
    "wan": Tiny(transformers.wan, (16, 3, 8, 12)),
    "wan_low_noise": Tiny(functools.partial(transformers.wan, seed=33), (16, 3, 8, 12)),
    "wan_i2v": Tiny(functools.partial(transformers.wan, model_type="i2v", in_dim=36), (16, 3, 8, 12)),
    "wan_vace": Tiny(
        functools.partial(transformers.wan, "VaceWanModel", "vace", vace_layers=1, vace_in_dim=96), (16, 3, 8, 12)
    ),
    "wan_camera": Tiny(
        functools.partial(transformers.wan, "CameraWanModel", "camera_2.2", 36, in_dim_control_adapter=24),
        (16, 3, 8, 12),
    ),
    "ltxv": Tiny(transformers.ltxv, (128, 2, 4, 6), extras={"attention_mask": MASK}),
    "flux2": Tiny(transformers.flux2, (128, 4, 6)),
    "chroma": Tiny(transformers.chroma, (16, 8, 12), told=transformers.CHROMA),
    "chroma_radiance": Tiny(transformers.chroma_radiance, (3, 16, 24), told=transformers.RADIANCE),
    "aura": Tiny(transformers.aura, (4, 8, 12), told=transformers.AURA, known_by={"cond_seq_dim": 2048}),
    "lumina": Tiny(transformers.lumina, (16, 8, 12), told=transformers.LUMINA),
    "z_image": Tiny(transformers.z_image, (16, 8, 12), told=transformers.Z_IMAGE, known_by={"dim": 3840}),
    "z_image_pixels": Tiny(
        transformers.z_image_pixels,
        (3, 16, 24),
        told=transformers.Z_PIXELS,
        known_by={"image_model": "zimage_pixel"},
    ),
    "hidream": Tiny(
        transformers.hidream,
        (16, 8, 12),
        extras={"pooled_output": (1, 64), "conditioning_llama3": (1, 2, 7, transformers.TEXT)},
        told=transformers.HIDREAM,
    ),
    "krea": Tiny(transformers.krea, (16, 1, 8, 12), told=transformers.KREA),
    "anima": Tiny(functools.partial(transformers.cosmos, anima=True), (16, 1, 8, 12), told=transformers.COSMOS),
    "cosmos": Tiny(transformers.cosmos, (16, 2, 8, 12), told=transformers.COSMOS),
    "kandinsky": Tiny(
        transformers.kandinsky, (16, 2, 8, 12), extras={"pooled_output": (1, 64)}, told=transformers.KANDINSKY
    ),
    "kandinsky_image": Tiny(
        functools.partial(transformers.kandinsky, 64),
        (16, 8, 12),
        extras={"pooled_output": (1, 64)},
        told=transformers.KANDINSKY,
        known_by={"model_dim": 2560},
    ),
    "ltx2": Tiny(transformers.ltx2, (128, 2, 4, 6), 2 * transformers.TEXT, extras={"attention_mask": MASK}),
    "lens": Tiny(transformers.lens, (128, 4, 6), extras={"attention_mask": MASK}),
    "mage": Tiny(transformers.mage, (128, 4, 6), transformers.MAGE_TEXT, told=transformers.MAGE),
    "wan22_5b": Tiny(functools.partial(transformers.wan, in_dim=48, out_dim=48), (48, 2, 8, 12)),
    "hunyuan_video15": Tiny(transformers.hunyuan_video15, (32, 2, 4, 6), extras={"pooled_output": (1, 768)}),
    "hunyuan_image": Tiny(transformers.hunyuan_image, (64, 4, 6)),
    "mochi": Tiny(transformers.mochi, (12, 2, 8, 12), extras={"attention_mask": MASK}, told=transformers.MOCHI),
}

# What makes a network's prediction.
_LAST_LAYERS = {"out.2.weight", "final_layer.linear.weight", "head.head.weight"}


@functools.cache
def load(name: str, smoothness: float = 1.0) -> Any:
    """Write a family's file to the host's models and load it as a user would: a MODEL, once for all tests.

    Args:
        name: of ``FAMILIES``.
        smoothness: scales the last layer.
    """
    import folder_paths

    import nodes

    admit_narrow()
    tiny = FAMILIES[name]
    with told(tiny):
        weights, metadata = tiny.build()
    for layer in _LAST_LAYERS & weights.keys():
        weights[layer] = weights[layer] * smoothness
    folder = Path(folder_paths.get_folder_paths("checkpoints" if tiny.checkpoint else "diffusion_models")[0])
    file = folder / f"{name}_{smoothness:g}.safetensors"
    save(weights, file, "model.diffusion_model." if tiny.checkpoint else "", metadata)
    with torch.inference_mode(), told(tiny):
        if tiny.checkpoint:
            return nodes.CheckpointLoaderSimple().load_checkpoint(file.name)[0]
        return nodes.UNETLoader().load_unet(file.name, "default")[0]


@contextmanager
def told(tiny: Tiny) -> Iterator[None]:
    """Let the host's detection know what it takes for fixed."""
    import comfy.ldm.anima.model
    import comfy.model_detection

    find, adapter = comfy.model_detection.model_config_from_unet_config, comfy.ldm.anima.model.LLMAdapter

    def find_told(config: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        found = find({**config, **tiny.known_by}, *args, **kwargs)
        found.unet_config = {**config, **tiny.told}
        return found

    comfy.model_detection.model_config_from_unet_config = find_told if tiny.told else find
    comfy.ldm.anima.model.LLMAdapter = functools.partial(adapter, **transformers.ADAPTER)
    try:
        yield
    finally:
        comfy.model_detection.model_config_from_unet_config = find
        comfy.ldm.anima.model.LLMAdapter = adapter
