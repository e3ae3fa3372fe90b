"""Two views of one scene, as nodes are given them: in two inputs, or in one batch; the depth beside a view."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ...stereo_core.stereo_depth import StereoDepth, one_for_each
from ..host import depth_to_core, image_to_core


def left_input() -> io.Image.Input:
    """``left``; see ``both_views``."""
    return io.Image.Input(
        "left",
        tooltip="The left view. Without `right`: both views in one batch, all left pictures first, then all right "
        "ones, as VAE Decode gives them from a stereo latent.",
    )


def right_input() -> io.Image.Input:
    """``right``; see ``both_views``."""
    return io.Image.Input("right", optional=True, tooltip="The right view, as many frames of the same size as left.")


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


def depth_beside(left: Tensor, depth: StereoDepth | Tensor | None) -> Tensor:
    """Return the depth maps (B, 1, H, W) in [0, 1] that ``rgb_depth`` shows beside the views (B, 3, H, W).

    Raises:
        ValueError: no depth, or maps of another size or number.
    """
    if depth is None:
        raise ValueError("format rgb_depth needs depth. Connect the depth map of the left view.")
    maps = depth.inverse_depth if isinstance(depth, StereoDepth) else depth_to_core(depth)
    height, width = left.shape[-2:]
    if tuple(maps.shape[-2:]) != (height, width):
        raise ValueError(
            f"depth is {maps.shape[-1]}x{maps.shape[-2]} and left is {width}x{height}. "
            "Scale one to the other's size with Upscale Image."
        )
    return one_for_each(maps, len(left))


def expect_opaque(image: Tensor, name: str) -> None:
    """Raise ``ValueError`` if an IMAGE has an alpha channel."""
    if image.ndim == 4 and image.shape[-1] == 4:
        raise ValueError(
            f"{name}: has an alpha channel, which stereo files do not keep. Take it away first, for example with Split "
            "Image with Alpha."
        )


def _count(views: Tensor) -> str:
    return "one picture" if len(views) == 1 else f"{len(views)} pictures"


def _words(views: Tensor) -> str:
    return f"{_count(views)} of {views.shape[-1]}x{views.shape[-2]}"
