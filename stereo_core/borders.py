"""The border of a view that was shifted in, and what its holes can take from the other view without repeating it."""

from __future__ import annotations

import torch
from torch import Tensor

from .checks import expect_shape

# The fraction of a column's rows, in every frame, that must be empty for it to belong to the border.
_NEARLY = 0.9


def border_columns(filled: Tensor, one_clip: bool = False) -> Tensor:
    """Find the columns at either side that are empty in nearly every row of every frame.

    Args:
        filled: (B, 1, H, W) or (B, 1, T, H, W) boolean, where something landed.
        one_clip: the entries of the batch are the frames of one clip, and have the same border.

    Returns:
        (B, 1, 1, W) or (B, 1, 1, 1, W) boolean: the run of such columns from the left edge and that from the right.

    Raises:
        ValueError: another shape.

    Source:
        The border mask of StereoCrafter-Zero (Shi et al.), Eq. 3, a heuristic by its own account. The published
        code looks at one side, by the sign of the shift, and takes a column where each row is empty in some frame.
    """
    expect_shape("filled", filled, "B 1 T H W" if filled.ndim == 5 else "B 1 H W")
    empty = (~filled).float().mean(dim=-2, keepdim=True) >= _NEARLY
    if filled.ndim == 5:
        empty = empty.all(dim=2, keepdim=True)
    if one_clip:
        empty = empty.all(dim=0, keepdim=True).expand_as(empty)
    run = empty.int()
    from_left, from_right = run.cumprod(-1), run.flip(-1).cumprod(-1).flip(-1)
    return (from_left + from_right) > 0


def clean_border(right: Tensor, left: Tensor, border: Tensor, weight: float) -> Tensor:
    """Let the border take the left view's values at the same place: Eq. 3.

    Args:
        right: (B, ...), the right view's values.
        left: (B, ...), the left view's values, see ``unrepeated``.
        border: boolean, broadcasts to ``right``.
        weight: of the left view's values, 0 to 1: 1 in StereoCrafter-Zero, 0.9 in its published code.

    Returns:
        (B, ...).

    Source:
        StereoCrafter-Zero (Shi et al.), Eq. 3.
    """
    return torch.where(border, left if weight == 1 else weight * left + (1 - weight) * right, right)


def unrepeated(left: Tensor, sources: Tensor) -> Tensor:
    """Return what the holes of the right view take from the left one, without a column twice side by side.

    A hole takes the left view's value at its own place. Beside a surface that moved by one column that very column
    has landed next to the hole already, or its noise has; there the hole takes the left view's next column away from
    it, a mirror image. Repeated columns make latent video models degenerate.

    Args:
        left: (B, C, H, W) or (B, C, T, H, W), the left view.
        sources: (B, 1, H, W) or (B, 1, T, H, W) int64, the left view's column that each column of the right view
            shows, -1 for none; see ``ViewShift.sources``.

    Returns:
        Values of ``left``'s shape; where the right view has a source they mean nothing.

    Source:
        The pitfall of StereoCrafter-Zero (Shi et al.), appendix C.4; the mirroring is ours.
    """
    column = torch.arange(left.shape[-1], device=left.device)
    same_before = sources.roll(1, -1) == column
    same_after = sources.roll(-1, -1) == column
    same_before[..., 0] = same_after[..., -1] = False  # the neighbour there is at the other end of the row
    away = torch.where(same_before, left.roll(1, -1), left.roll(-1, -1))
    return torch.where(same_before | same_after, away, left)
