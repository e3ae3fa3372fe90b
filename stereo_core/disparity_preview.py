"""A disparity map in colours."""

from __future__ import annotations

import torch
from torch import Tensor

from .checks import expect_finite, expect_shape

# Moreland's diverging colour map (Moreland, "Diverging Color Maps for Scientific Visualization", ISVC 2009),
# from cool over neutral to warm, as sRGB.
_COOL_TO_WARM = (
    (0.231, 0.298, 0.753),
    (0.384, 0.509, 0.917),
    (0.553, 0.689, 0.995),
    (0.722, 0.814, 0.977),
    (0.865, 0.865, 0.865),
    (0.959, 0.770, 0.678),
    (0.958, 0.603, 0.482),
    (0.870, 0.379, 0.300),
    (0.706, 0.016, 0.149),
)


def disparity_preview(columns: Tensor, limit: float | None = None) -> Tensor:
    """Draw a disparity map: warm in front of the screen, cool behind it, light grey on it.

    Args:
        columns: (B, 1, H, W) disparity in columns, any floating dtype.
        limit: the disparity in columns at which colours saturate; ``None`` takes the largest magnitude in the batch.

    Returns:
        (B, 3, H, W) float32 in [0, 1].

    Raises:
        ValueError: the shape does not fit, values are not finite, or ``limit`` is not above 0.
    """
    expect_shape("columns", columns, "B 1 H W")
    expect_finite("columns", columns)
    if limit is None:
        limit = columns.abs().max().item() or 1.0
    if not limit > 0:
        raise ValueError(f"limit: got {limit}. Give a number of columns above 0.")
    table = torch.tensor(_COOL_TO_WARM, device=columns.device)
    half = len(_COOL_TO_WARM) // 2
    position = (columns[:, 0].float() / limit).clamp_(-1, 1).mul_(half).add_(half)  # (B, H, W)
    lower = position.floor().clamp_(max=2 * half - 1)
    share = (position - lower).unsqueeze(-1)
    index = lower.long()
    return torch.lerp(table[index], table[index + 1], share).movedim(-1, 1)
