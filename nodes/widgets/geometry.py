"""The inputs that set how deep the stereo is, the same on every node that shifts something, and what they show."""

from __future__ import annotations

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ...stereo_core.disparity_preview import disparity_preview
from ...stereo_core.geometry import StereoGeometry, describe
from ...stereo_core.stereo_depth import StereoDepth
from ..host import core_to_image, depth_to_core, show_text

_DEFAULTS = StereoGeometry()

# So few levels of disparity are told as layers; a photograph's depth has hundreds.
_FEW_LAYERS = 16


def geometry_inputs() -> list[io.Input]:
    """``max_disparity``, ``convergence`` and ``exponent``, in this order."""
    return [
        io.Float.Input(
            "max_disparity",
            default=_DEFAULTS.max_disparity,
            min=0.0,
            max=30.0,
            step=0.1,
            tooltip="How far the nearest point moves relative to the farthest, in percent of the width.\n"
            "1 to 3 is comfortable on most screens; the node shows it in per mille and pixels.",
        ),
        io.Float.Input(
            "convergence",
            default=_DEFAULTS.convergence,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="The depth value that lies on the screen, 0 (far) to 1 (near).\n"
            "Nearer objects are in front of the screen, farther ones behind it. 0 puts everything in front.",
        ),
        io.Float.Input(
            "exponent",
            default=_DEFAULTS.exponent,
            min=0.1,
            max=5.0,
            step=0.05,
            advanced=True,
            tooltip="Depth is raised to this power first, 0.1 to 5.\n"
            "Above 1 flattens the background and brings out the foreground, below 1 the reverse. 1 is linear.",
        ),
    ]


def read_geometry(depth: Tensor, max_disparity: float, convergence: float, exponent: float) -> StereoDepth:
    """Return the depth and geometry of these inputs, for everything that is shifted by them.

    Args:
        depth: IMAGE (N, H, W, C) in [0, 1], white is near.
        max_disparity: percent of the width, 0 to 30.
        convergence: the depth on the screen, 0 (far) to 1 (near).
        exponent: of the depth, 0.1 to 5.

    Raises:
        ValueError: depth that is not finite or not in [0, 1], or a value out of its range.
    """
    return read_depth(depth, StereoGeometry(max_disparity, convergence, exponent))


def read_depth(depth: Tensor, geometry: StereoGeometry) -> StereoDepth:
    """Read a depth IMAGE (N, H, W, C) once, for everything that is shifted by ``geometry``."""
    return StereoDepth(depth_to_core(depth), geometry)


def show_disparity(node: type[io.ComfyNode], disparity: Tensor, pixels: int = 0, more: str = "") -> ui.PreviewImage:
    """Write the range of the shift on the node, and draw it.

    Args:
        node: with ``io.Hidden.unique_id`` in its schema.
        disparity: (B, 1, H, W) or (B, 1, T, H, W) in columns of its grid.
        pixels: of the picture's width, where the grid is a latent's.
        more: lines to write below.

    Returns:
        The first map in colours, for the node's ``ui``.
    """
    tell_disparity(node, disparity, pixels, more)
    first = disparity[:1] if disparity.ndim == 4 else disparity[:1, :, 0]
    return ui.PreviewImage(core_to_image(disparity_preview(first)), cls=node)


def tell_disparity(node: type[io.ComfyNode], disparity: Tensor, pixels: int = 0, more: str = "") -> None:
    """Write the range of the shift on the node: per mille of the width, pixels, and columns of a latent.

    Args:
        node, disparity, pixels, more: as ``show_disparity`` has them.
    """
    width = disparity.shape[-1]
    span = describe(disparity, width)
    if not pixels:
        lines = [_line("nearest", span.nearest, width), _line("farthest", span.farthest, width)]
    else:
        scale = pixels / width
        lines = [
            f"{_line('nearest', span.nearest * scale, pixels)}: {span.nearest:+.2f} columns of the latent's {width}",
            f"{_line('farthest', span.farthest * scale, pixels)}: {span.farthest:+.2f} columns",
        ]
        levels = disparity.unique()
        if len(levels) <= _FEW_LAYERS:
            layers = f"{len(levels)} layers" if len(levels) > 1 else "one layer: no depth"
            lines.append(f"{layers}, in whole columns" if torch.equal(levels, levels.round()) else layers)
    show_text(node, "\n".join([*lines, *([more] if more else [])]))


def _line(what: str, disparity: float, width: int) -> str:
    return f"{what} {1000 * disparity / width:+.1f} ‰ ({disparity:+.1f} px)"
