"""The widgets that say how deep the stereo is, the same on every node that shifts something, and what they show."""

from __future__ import annotations

from comfy_api.latest import io, ui
from torch import Tensor

from ...stereo_core.disparity_preview import disparity_preview
from ...stereo_core.geometry import StereoGeometry, describe
from ...stereo_core.stereo_depth import StereoDepth
from ..host import core_to_image, depth_to_core, show_text

_DEFAULTS = StereoGeometry()


def geometry_inputs() -> list[io.Input]:
    """``max_disparity``, ``convergence`` and ``exponent``, in this order."""
    return [
        io.Float.Input(
            "max_disparity",
            default=_DEFAULTS.max_disparity,
            min=0.0,
            max=30.0,
            step=0.1,
            tooltip="How far the nearest point moves against the farthest, in percent of the width.\n"
            "1 to 3 is comfortable on most screens; the node shows it in per mille and pixels.",
        ),
        io.Float.Input(
            "convergence",
            default=_DEFAULTS.convergence,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="The depth value that lies on the screen, 0 (far) to 1 (near).\n"
            "Nearer things stand in front of the screen, farther ones behind. 0 puts everything in front.",
        ),
        io.Float.Input(
            "exponent",
            default=_DEFAULTS.exponent,
            min=0.1,
            max=5.0,
            step=0.05,
            advanced=True,
            tooltip="Depth is raised to this power first, 0.1 to 5.\nAbove 1 keeps the background flat and pulls the "
            "foreground out, below 1 the reverse. 1 is linear.",
        ),
    ]


def read_geometry(depth: Tensor, max_disparity: float, convergence: float, exponent: float) -> StereoDepth:
    """Read a depth IMAGE (N, H, W, C) and these widgets once, for everything that is shifted by them.

    Raises:
        ValueError: values that are no depth, or a widget out of its range.
    """
    return StereoDepth(depth_to_core(depth), StereoGeometry(max_disparity, convergence, exponent))


def show_disparity(node: type[io.ComfyNode], disparity: Tensor) -> ui.PreviewImage:
    """Write the range of the shift on the node, and draw it.

    Args:
        node: with ``io.Hidden.unique_id`` in its schema.
        disparity: (B, 1, H, W) or (B, 1, T, H, W) in columns of its grid.

    Returns:
        The first map in colours, for the node's ``ui``.
    """
    width = disparity.shape[-1]
    span = describe(disparity, width)
    show_text(
        node,
        f"nearest {span.nearest_per_mille:+.1f} ‰ ({span.nearest:+.1f} of {width} columns)\n"
        f"farthest {span.farthest_per_mille:+.1f} ‰ ({span.farthest:+.1f} columns)",
    )
    first = disparity[:1] if disparity.ndim == 4 else disparity[:1, :, 0]
    return ui.PreviewImage(core_to_image(disparity_preview(first)), cls=node)
