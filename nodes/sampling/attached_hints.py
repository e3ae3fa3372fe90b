"""ControlNets with a hint for each view, attached to conditioning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from .control_hints import PairedHint

Conditioning = list[list[Any]]


def attach_hint(control: Any, *conditionings: Conditioning) -> Iterator[Conditioning]:
    """Add a ControlNet to every entry; entries that share an earlier ControlNet share the copy that follows it."""
    continued = {}
    for conditioning in conditionings:
        before = [values.get("control") for _, values in conditioning]
        for earlier in before:
            if earlier not in continued:
                chained = control.copy().set_previous_controlnet(earlier)
                continued[earlier] = PairedHint(chained.cond_hint_original).set_previous_controlnet(chained)
        yield [
            [embedding, {**values, "control": continued[earlier], "control_apply_to_uncond": False}]
            for (embedding, values), earlier in zip(conditioning, before, strict=True)
        ]


def for_pictures(vae: Any) -> Any:
    """Return a VAE that encodes a batch of pictures as pictures; ``vae`` itself where it does."""
    return PictureByPicture(vae) if vae is not None and vae.latent_dim == 3 and not vae.not_video else vae


class PictureByPicture:
    """A VAE that would take a batch of pictures for the frames of one clip, as a ControlNet uses it."""

    def __init__(self, vae: Any) -> None:
        self._vae = vae

    def encode(self, pictures: Tensor) -> Tensor:
        """Encode (B, H, W, 3) to (B, C, 1, h, w)."""
        return torch.cat([self._vae.encode(picture) for picture in pictures.split(1)])

    def spacial_compression_encode(self) -> int:
        """Return how many rows, or columns, of a picture become one of its latent."""
        return self._vae.spacial_compression_encode()
