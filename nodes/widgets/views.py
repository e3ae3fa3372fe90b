"""Two views of one scene, as nodes are given them: in two inputs, or in one batch."""

from __future__ import annotations

from torch import Tensor

from ..host import image_to_core


def both_views(left: Tensor, right: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the left and the right view, (B, 3, H, W) each.

    Args:
        left: IMAGE (B, H, W, C); without ``right`` all left pictures first, then all right ones.
        right: IMAGE (B, H, W, C), as many pictures of the same size, or ``None``.

    Raises:
        ValueError: no pictures, values that are not finite, an odd batch alone, or views that differ in size or number.
    """
    first = image_to_core(left, "left")
    if right is None:
        if len(first) % 2:
            raise ValueError(
                f"left holds {_count(first)} and right is not connected. Connect right, or give left an even "
                "batch: all left pictures first, then all right ones."
            )
        return first[: len(first) // 2], first[len(first) // 2 :]
    second = image_to_core(right, "right")
    if first.shape != second.shape:
        raise ValueError(
            f"left is {_words(first)} and right is {_words(second)}. "
            "Connect two views of the same size and the same number of frames."
        )
    return first, second


def _count(views: Tensor) -> str:
    return "one picture" if len(views) == 1 else f"{len(views)} pictures"


def _words(views: Tensor) -> str:
    return f"{_count(views)} of {views.shape[-1]}x{views.shape[-2]}"
