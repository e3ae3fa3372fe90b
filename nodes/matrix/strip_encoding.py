"""The conditioning of SVD and SV3D for many pictures at once, as the host's own nodes make it for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import comfy.model_management
import comfy.utils
import torch
from torch import Tensor

from .conditioning import Conditioning

# Pictures that the vision encoder gets at once. Beside its 630 million weights, this many take hardly any memory.
_VISION_BATCH = 8


def encode_pictures(
    pictures: Tensor,
    clip_vision: Any,
    vae: Any,
    width: int,
    height: int,
    settings: Mapping[str, Any],
    augmentation: float,
    seed: int = 0,
) -> list[tuple[Conditioning, Conditioning]]:
    """Give every picture the conditioning that SVD_img2vid_Conditioning or SV3D_Conditioning gives it.

    Args:
        pictures: (N, 3, H, W) in [0, 1]; each is encoded once.
        clip_vision: CLIP_VISION of the model.
        vae: VAE of the model.
        width, height: the size to which the pictures are scaled, in pixels.
        settings: what the conditioning says beside the picture and the augmentation.
        augmentation: std of the noise on what the VAE encodes, which the model is told. It is meant as in the papers,
            on pictures in [-1, 1]: half as much is added to these. (The host's SVD node adds all of it, which is twice
            what it tells.)
        seed: of that noise.

    Returns:
        Positive and negative for each picture.
    """
    images = pictures.movedim(1, -1)
    embeds = torch.cat([clip_vision.encode_image(part).image_embeds for part in images.split(_VISION_BATCH)])
    comfy.model_management.throw_exception_if_processing_interrupted()
    pixels = comfy.utils.common_upscale(pictures, width, height, "bilinear", "center").movedim(1, -1)
    if augmentation > 0:
        generator = torch.Generator().manual_seed(seed)
        noise = [torch.randn(1, *pixels.shape[1:], generator=generator, dtype=pixels.dtype) for _ in pixels]
        pixels = pixels + torch.cat(noise).to(pixels.device) * (augmentation / 2)
    latents = vae.encode(pixels)  # the host splits the batch by memory
    told = {**settings, "augmentation_level": augmentation}
    conditions = []
    for embed, latent in zip(embeds.split(1), latents.split(1), strict=True):
        pooled = embed.unsqueeze(0)  # (1, 1, D): one token
        positive = [[pooled, {**told, "concat_latent_image": latent}]]
        negative = [[torch.zeros_like(pooled), {**told, "concat_latent_image": torch.zeros_like(latent)}]]
        conditions.append((positive, negative))
    return conditions


def expect_picture_vae(name: str, vae: Any) -> None:
    """Raise ``ValueError`` unless the VAE of the input ``name`` makes a latent of each picture."""
    if getattr(vae, "latent_dim", 2) == 3 and not vae.not_video:  # VAEs of other packs may not say
        raise ValueError(f"{name}: makes one latent of several frames. Connect the VAE of SVD or SV3D.")


def encoding_bytes(pictures: Tensor) -> int:
    """Return how much memory ``encode_pictures`` needs for pictures of the size that they are scaled to, in bytes."""
    return 4 * pictures.nbytes  # scaled, their noise, its scaled copy, and the sum
