"""The LATENT of an image matrix: how it is marked, and read again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...stereo_core.cameras import Orbit
from ...stereo_core.image_matrix import MatrixSize
from ..host import expect_memory
from ..sampling.latents import expect_latent

_SIZE = "stereo_matrix"
_ORBIT = "stereo_orbit"
# Pixels to one of the latent, for the VAEs of SVD and SV3D.
_PIXELS = 8


def make_matrix_latent(
    matrix: Tensor, azimuths: Sequence[float] | None = None, elevations: Sequence[float] | None = None
) -> dict[str, Any]:
    """Return the LATENT of a matrix (V, F, C, H, W): all frames of the first view, then of the second, and so on.

    It keeps the V views' azimuths and elevations, in degrees, where both are known.
    """
    made = {"samples": matrix.flatten(0, 1), _SIZE: tuple(matrix.shape[:2])}
    known = azimuths is not None and elevations is not None
    return {**made, _ORBIT: (tuple(azimuths), tuple(elevations))} if known else made


def read_matrix_orbit(matrix: dict[str, Any], views: int) -> Orbit | None:
    """Return the cameras that a LATENT of so many views was sampled for, where it says.

    Raises:
        ValueError: views of several elevations, which are no circle.
    """
    azimuths, elevations = matrix.get(_ORBIT, ((), ()))
    if not len(azimuths) == len(elevations) == views:
        return None
    if len(set(elevations)) > 1:
        raise ValueError(
            f"matrix was sampled with views from {min(elevations):g} to {max(elevations):g} degrees of elevation, and "
            "a scene can be made from views of one elevation only. Sample it with the same elevation for all views."
        )
    return Orbit(tuple(azimuths), elevations[0])


def read_matrix_size(matrix: dict[str, Any], views: int) -> MatrixSize:
    """Return the size of the matrix in a LATENT.

    Args:
        matrix: LATENT (V * F, C, H, W).
        views: V, for a latent that is not marked; 0 to read the mark.

    Raises:
        ValueError: a latent that does not hold such a matrix.
    """
    samples = matrix["samples"]
    expect_latent("matrix", samples, pictures_only=True)
    if views:
        if len(samples) % views:
            raise ValueError(
                f"views is {views} and matrix holds {len(samples)} latents, which is not a whole number of frames for "
                "each. Give the number of views that were sampled, or 0 for a matrix from Score Composition Sampler."
            )
        return MatrixSize(views, len(samples) // views)
    if _SIZE not in matrix:
        raise ValueError("matrix is not an image matrix. Connect Score Composition Sampler; for Load Latent set views.")
    size = MatrixSize(*matrix[_SIZE])
    if len(samples) != size.views * size.frames:
        raise ValueError(
            f"matrix holds {len(samples)} latents but is marked as {size.views} views by {size.frames} frames. "
            "Connect Score Composition Sampler directly, with no node in between that takes entries out of the batch."
        )
    return size


def expect_decodable(node: str, vae: Any, matrix: Tensor, count: int, width: int = 0) -> None:
    """Raise before anything is decoded unless it can be, and unless the pictures fit into memory.

    Args:
        node: display name of the node, for the message.
        vae: the VAE.
        matrix: (V, F, C, h, w).
        count: how many pictures are shown.
        width: to which they are scaled, in pixels; 0 for their own.

    Raises:
        ValueError: the VAE of another model; or with the memory that is needed and free.
    """
    channels = matrix.shape[2]
    if vae.latent_channels != channels:
        raise ValueError(
            f"matrix: its latents have {channels} channels, and vae takes {vae.latent_channels}. Connect the VAE of "
            "the video model."
        )
    rows, columns = matrix.shape[-2:]
    width = width or _PIXELS * columns
    height = max(1, width * rows // columns)
    # decoded, put in order, and joined
    needed = 3 * count * 3 * height * width * torch.float32.itemsize
    expect_memory(node, f"{count} pictures of {width}x{height}", needed, fewer="pictures")
