"""The input that says where everything lies, the same on every node that shifts something, and what such nodes show."""

from __future__ import annotations

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ...stereo_core.convergence import find_convergence
from ...stereo_core.depth_doubts import Doubt, doubt_depth
from ...stereo_core.disparity_preview import disparity_preview
from ...stereo_core.geometry import DisparityRange, Screen, StereoGeometry, describe
from ...stereo_core.stereo_depth import StereoDepth
from ...stereo_core.viewing import VIEWINGS, Display
from ..host import core_to_image, depth_to_core, image_to_core, show_text
from .sockets import STEREO_DEPTH

_GEOMETRY = StereoGeometry()

# So few levels of disparity are told as layers; a photograph's depth has hundreds.
_FEW_LAYERS = 16

_DOUBTS = {
    Doubt.COLOURED: "depth is coloured: is it a map in false colours? Use its grey original.",
    Doubt.FLAT: "depth has no range, so nothing will be deep.",
    Doubt.MASK: "depth has two levels only: is it a mask? Everything will lie on two planes.",
    Doubt.PICTURE: "depth is the picture itself, no depth map. Make one with Depth Estimate.",
}


def depth_input(what: str, number: str, optional: bool = False) -> io.MultiType.Input:
    """``depth``.

    Args:
        what: whose depth it is, "left clip" for example.
        number: how many maps there may be, one or more sentences.
        optional: whether the node does without.
    """
    return io.MultiType.Input(
        "depth",
        types=[STEREO_DEPTH, io.Image],
        optional=optional,
        tooltip=f"Depth of the {what}: Stereo Strength, which says how deep the stereo is, or a plain depth map, white "
        f"is near, for its defaults.\n{number}",
    )


def geometry_inputs(advice: str) -> list[io.WidgetInput]:
    """``max_disparity``, ``screen`` and ``convergence``, of a ``StereoGeometry``; ``advice`` on how strong to be."""
    return [
        io.Float.Input(
            "max_disparity",
            default=_GEOMETRY.max_disparity,
            min=0.0,
            max=30.0,
            step=0.1,
            tooltip="Strength: how far the nearest point moves relative to the farthest, in percent of the "
            f"width.\n1 to 3 is comfortable on most screens; {advice}.",
        ),
        io.Combo.Input(
            "screen",
            options=Screen,
            default=_GEOMETRY.screen.value,
            tooltip="What lies on the screen; nearer things stand out of it, farther ones lie behind.\n"
            "value: the depth that convergence gives.\npercentile: that share of the picture lies behind.\n"
            "subject: what stands out in the middle of the picture; steady over each scene of a clip.",
        ),
        io.Float.Input(
            "convergence",
            default=_GEOMETRY.convergence,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="For value: the depth on the screen, 0 (far) to 1 (near); 0 puts everything in front.\n"
            "For percentile: the share of the picture behind the screen. Not used for subject.",
        ),
    ]


def exponent_input() -> io.Float.Input:
    """``exponent``, of a ``StereoGeometry``."""
    return io.Float.Input(
        "exponent",
        default=_GEOMETRY.exponent,
        min=0.1,
        max=5.0,
        step=0.05,
        advanced=True,
        tooltip="Depth is raised to this power first, 0.1 to 5.\nAbove 1 flattens the background and "
        "brings out the foreground, below 1 the reverse. 1 is linear.",
    )


def read_depth(depth: StereoDepth | Tensor, picture: Tensor | None = None) -> StereoDepth:
    """Return what ``depth_input`` was given, a plain depth IMAGE (N, H, W, C) with the default geometry.

    Args:
        depth: what was given.
        picture: IMAGE (B, H', W', C), what it is the depth of, where that is known.

    Raises:
        ValueError: a map that is not finite or not in [0, 1].
    """
    return depth if isinstance(depth, StereoDepth) else make_depth(depth, StereoGeometry(), picture=picture)


def make_depth(
    depth: Tensor, geometry: StereoGeometry, invert: bool = False, picture: Tensor | None = None
) -> StereoDepth:
    """Read a depth IMAGE once, for everything that is shifted by ``geometry``.

    Args:
        depth: IMAGE (N, H, W, C) in [0, 1], white is near.
        geometry: how deep the stereo is.
        invert: white is far instead.
        picture: IMAGE (B, H', W', C), what it is the depth of, where that is known.

    Raises:
        ValueError: a map that is not finite or not in [0, 1].
    """
    maps = depth_to_core(depth)
    shown = None if picture is None else image_to_core(picture, "image")
    doubts = doubt_depth(image_to_core(depth, "depth"), shown)
    maps = 1 - maps if invert else maps
    return StereoDepth(maps, geometry, find_convergence(maps, geometry, shown), doubts)


def show_disparity(
    node: type[io.ComfyNode], depth: StereoDepth, disparity: Tensor | None = None, more: str = "", pixels: int = 0
) -> ui.PreviewImage:
    """Write the range of the shift on the node, and draw it.

    Args:
        node: with ``io.Hidden.unique_id`` in its schema.
        depth: what is shifted by.
        disparity: (B, 1, H, W) or (B, 1, T, H, W) in columns, of a latent or picture; ``None`` for the maps' own.
        more: lines to write below.
        pixels: of the picture's width, where that is not the maps'.

    Returns:
        The first map in colours, for the node's ``ui``.
    """
    disparity = depth.disparity() if disparity is None else disparity
    tell_disparity(node, depth, disparity, more, pixels)
    first = disparity[:1] if disparity.ndim == 4 else disparity[:1, :, 0]
    return ui.PreviewImage(core_to_image(disparity_preview(first)), cls=node)


def tell_disparity(
    node: type[io.ComfyNode], depth: StereoDepth, disparity: Tensor, more: str = "", pixels: int = 0
) -> None:
    """Write on the node what the maps make doubtful, the range of the shift, and what it asks of the eyes.

    Args:
        node, depth, disparity, more, pixels: as ``show_disparity`` has them.
    """
    width, pixels = disparity.shape[-1], pixels or depth.width
    span = describe(disparity, width)
    scale = pixels / width
    lines = [
        *(_DOUBTS[doubt] for doubt in depth.doubts),
        _line("nearest", span.nearest * scale, pixels),
        _line("farthest", span.farthest * scale, pixels),
    ]
    if width != pixels:
        lines[-2] += f": {span.nearest:+.2f} columns of the latent's {width}"
        lines[-1] += f": {span.farthest:+.2f} columns"
        levels = disparity.unique()
        if len(levels) <= _FEW_LAYERS:
            layers = f"{len(levels)} layers" if len(levels) > 1 else "one layer: no depth"
            lines.append(f"{layers}, in whole columns" if torch.equal(levels, levels.round()) else layers)
    show_text(node, "\n".join([*lines, _strain(span), *([more] if more else [])]))


def _strain(span: DisparityRange) -> str:
    """Say by how much the eyes turn from the screen, where most people look; one degree is the field's limit."""
    told = []
    for display, where in ((Display.TELEVISION, "before a television"), (Display.HEADSET, "in a headset")):
        worst = max(abs(VIEWINGS[display].degrees(end / span.width)) for end in (span.nearest, span.farthest))
        told.append(f"{worst:.1f}° {where}" + (" (tiring)" if worst > 1 else ""))
    return f"eyes turn by {', '.join(told)}"


def _line(what: str, disparity: float, width: int) -> str:
    return f"{what} {1000 * disparity / width:+.1f} ‰ ({disparity:+.1f} px)"
