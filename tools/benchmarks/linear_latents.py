"""Linear latents of pictures, in place of an autoencoder: colours, or the Haar transform of squares of grey pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# Mean and std of the photographs: latents have about unit std.
_MEAN, _STD = 0.4, 0.22
_GREY = torch.tensor([0.299, 0.587, 0.114])


class LinearLatent(NamedTuple):
    """A pair of exact maps.

    Attributes:
        square: pixels of the picture to a column and row of the latent.
        channels: of the picture: 3 for colours, 1 for grey.
        encode: (B, channels, H, W) in [0, 1] to (B, C, H / square, W / square).
        decode: its inverse.
    """

    square: int
    channels: int
    encode: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]

    def picture(self, photograph: Tensor, columns: int) -> Tensor:
        """Average a photograph (B, 3, H, W) to the picture that this latent of so many columns stands for."""
        picture = F.avg_pool2d(photograph, photograph.shape[-1] // (columns * self.square))
        return picture if self.channels == 3 else torch.einsum("bchw,c->bhw", picture, _GREY)[:, None]


def _normalise(picture: Tensor) -> Tensor:
    return (picture - _MEAN) / _STD


def _restore(values: Tensor) -> Tensor:
    return values * _STD + _MEAN


def _haar(picture: Tensor) -> Tensor:
    return _mix(F.pixel_unshuffle(_normalise(picture), 2)) / 2


def _inverse_haar(latent: Tensor) -> Tensor:
    return _restore(F.pixel_shuffle(_mix(latent * 2), 2))


def _mix(squares: Tensor) -> Tensor:
    """The orthonormal Haar transform of (B, 4, H, W), which is its own inverse."""
    signs = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]).to(squares)
    return torch.einsum("dc,bchw->bdhw", signs / 2, squares)


COLOURS = LinearLatent(1, 3, _normalise, _restore)
"""A column is a pixel of the picture: moving one moves the other."""

HAAR = LinearLatent(2, 1, _haar, _inverse_haar)
"""Four channels tell where in a square of 2 x 2 grey pixels things lie, as an autoencoder's do."""
