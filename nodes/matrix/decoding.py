"""Decoding of those pictures of an image matrix that are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ...stereo_core.image_matrix import Cell, decoding, take


def decode_clip(vae: Any, matrix: Tensor, clip: Sequence[Cell]) -> Tensor:
    """Decode a clip in one call, because the decoders of video models work along time.

    Args:
        vae: the VAE.
        matrix: (V, F, C, h, w).
        clip: N cells, in the order in which they play.

    Returns:
        IMAGE (N, H, W, 3).
    """
    cells, places = decoding(clip)
    return vae.decode(take(matrix, cells))[places]
