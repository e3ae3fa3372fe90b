"""Inputs of Stereo Video File that other nodes have, too: the depth, its estimate, how views are made from it."""

from __future__ import annotations

from comfy_api.latest import io

from ...stereo_core.clip_filling import FillFrom
from ...stereo_core.depth_edges import DepthEdges
from ...stereo_core.rendering import Quality
from ..widgets.sockets import DEPTH_MODEL
from .film_settings import DepthSettings, ShiftSettings

_SHIFT, _ESTIMATE = ShiftSettings(), DepthSettings()
_DEPTH = [DEPTH_MODEL, io.Custom("DA3_MODEL"), io.Custom("MOGE_MODEL"), io.Video]


def depth_input() -> io.MultiType.Input:
    """``depth``."""
    return io.MultiType.Input(
        "depth",
        types=_DEPTH,
        tooltip="A depth model (Load Depth Model, Load Depth Anything 3, Load MoGe Model), used as in Depth Estimate.\n"
        "Or a video of depth maps, white is near, with as many frames as video.",
    )


def shift_inputs() -> list[io.WidgetInput]:
    """Those of Image Stereo Shift."""
    return [
        io.Combo.Input(
            "rendering",
            options=Quality,
            default=_SHIFT.rendering.value,
            tooltip="The quality of Image Stereo Shift. fast: several times quicker. best: exact surfaces and the "
            "smoothest fill.\ndetail: as best, and holes get the texture of the background; takes about five times as "
            "long as best.",
        ),
        io.Float.Input(
            "balance",
            default=_SHIFT.balance,
            min=0.0,
            max=1.0,
            step=0.05,
            advanced=True,
            tooltip="How much of the shift the left view takes, 0 to 1.\n0 leaves it untouched, 0.5 shifts both views "
            "by half.",
        ),
        io.Int.Input(
            "edge_growth",
            default=_SHIFT.edge_growth,
            min=0,
            max=16,
            advanced=True,
            tooltip="Pixels by which near objects grow before the shift, 0 to 16.",
        ),
        io.Combo.Input(
            "depth_edges",
            options=DepthEdges,
            default=_SHIFT.edges.value,
            advanced=True,
            tooltip="sharpened: soft depth edges become steps on the picture's edges. as_given: they stay.",
        ),
        io.Combo.Input(
            "fill_from",
            options=FillFrom,
            default=_SHIFT.fill_from.value,
            advanced=True,
            tooltip="frame: holes are filled from the frame itself. clip: from up to 16 frames before and after as "
            "well; several times slower.",
        ),
        io.Boolean.Input(
            "invert",
            default=False,
            advanced=True,
            tooltip="A video of depth maps is black where it is near. Not used for depth models.",
        ),
    ]


def estimate_inputs() -> list[io.WidgetInput]:
    """Those of Depth Estimate; a video of depth maps needs none of them."""
    return [
        io.Int.Input(
            "resolution",
            default=_ESTIMATE.resolution,
            min=0,
            max=4096,
            step=2,
            advanced=True,
            tooltip="As in Depth Estimate: longest side, in pixels, at which the depth model runs; 0 is its own.",
        ),
        io.Int.Input(
            "batch_size",
            default=_ESTIMATE.batch_size,
            min=1,
            max=256,
            advanced=True,
            tooltip="As in Depth Estimate: frames per call of the depth model. Lower it when memory runs out.",
        ),
        io.Boolean.Input(
            "stabilize",
            default=_ESTIMATE.stabilize,
            advanced=True,
            tooltip="As in Depth Estimate: remove jumps of the depth between neighbouring frames of a scene.",
        ),
        io.Float.Input(
            "percentile",
            default=_ESTIMATE.percentile,
            min=0.0,
            max=10.0,
            step=0.1,
            advanced=True,
            tooltip="As in Depth Estimate: percent of the pixels clipped at each end of the range.",
        ),
    ]
