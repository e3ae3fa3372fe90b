"""A video model's VAE for pictures."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def for_pictures(vae: Any) -> Any:
    """Return a VAE that encodes a batch of pictures as pictures; ``vae`` itself where it does."""
    return PictureByPicture(vae) if vae is not None and vae.latent_dim == 3 and not vae.not_video else vae


class PictureByPicture:
    """A VAE that would take a batch of pictures for the frames of one clip, as a ControlNet uses it."""

    latent_dim, not_video = 3, True  # as the host describes one

    def __init__(self, vae: Any) -> None:
        self._vae = vae

    def encode(self, pictures: Tensor) -> Tensor:
        """Encode (B, H, W, 3) to (B, C, 1, h, w)."""
        return torch.cat([self._vae.encode(picture) for picture in pictures.split(1)])

    def spacial_compression_encode(self) -> int:
        """Return how many rows, or columns, of a picture become one of its latent."""
        return self._vae.spacial_compression_encode()
