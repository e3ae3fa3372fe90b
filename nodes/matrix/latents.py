"""The LATENT of an image matrix: how it is marked, and read again."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ...stereo_core.image_matrix import MatrixSize

_SIZE = "stereo_matrix"


def make_matrix_latent(matrix: Tensor) -> dict[str, Any]:
    """Return the LATENT of a matrix (V, F, C, H, W): all frames of the first view, then of the second, and so on."""
    return {"samples": matrix.flatten(0, 1), _SIZE: tuple(matrix.shape[:2])}


def read_matrix_size(matrix: dict[str, Any], views: int) -> MatrixSize:
    """Return the size of the matrix in a LATENT.

    Args:
        matrix: LATENT (V * F, C, H, W).
        views: V, for a latent that is not marked; 0 to read the mark.

    Raises:
        ValueError: a latent that does not hold such a matrix.
    """
    samples = matrix["samples"]
    if views:
        if samples.ndim != 4 or len(samples) % views:
            raise ValueError(
                f"views is {views} and matrix holds {tuple(samples.shape)}, which is not a whole number of frames for "
                "each. Give the number of views that were sampled, or 0 for a matrix from Score Composition Sampler."
            )
        return MatrixSize(views, len(samples) // views)
    if _SIZE not in matrix:
        raise ValueError("matrix is not an image matrix. Connect Score Composition Sampler; for Load Latent set views.")
    size = MatrixSize(*matrix[_SIZE])
    if samples.ndim != 4 or len(samples) != size.views * size.frames:
        raise ValueError(
            f"matrix holds {tuple(samples.shape)} but is marked as {size.views} views by {size.frames} frames. "
            "Connect Score Composition Sampler directly, with no node in between that takes entries out of the batch."
        )
    return size
