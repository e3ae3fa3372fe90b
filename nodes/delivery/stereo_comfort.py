"""StereoComfort: how comfortable a picture or clip is to look at on a given screen, and how deep it may be."""

from __future__ import annotations

from comfy_api.latest import io, ui
from torch import Tensor

from ...stereo_core.comfort import Advice, DisparityReport, advise
from ...stereo_core.depth_range import FARTHEST
from ...stereo_core.stereo_depth import StereoDepth
from ...stereo_core.viewing import VIEWINGS, Display, Distances, Viewing, comfortable
from ..host import core_to_image, show_text
from ..widgets.geometry import read_depth
from ..widgets.sockets import STEREO_DEPTH
from ..widgets.views import right_input
from .comfort_chart import draw_comfort
from .comfort_measures import measure
from .comfort_words import describe_comfort


class StereoComfort(io.ComfyNode):
    """Measure the disparity of a depth map, or of two finished views, against what eyes can bear."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        custom = "For display custom."
        return io.Schema(
            node_id="Stereo_StereoComfort",
            display_name="Stereo Comfort",
            category="stereo",
            description="Tells how comfortable stereo is on a television, monitor, headset or cinema screen, what to "
            "change, and how deep it may be.",
            search_aliases=["eye strain", "depth budget", "window violation", "vertical disparity", "parallax", "3D"],
            inputs=[
                io.Combo.Input(
                    "display",
                    options=Display,
                    default=Display.TELEVISION.value,
                    tooltip="The screen it will be seen on. television: 55 inches at 2.5 m. monitor: 27 inches at "
                    "0.7 m.\nheadset: a virtual screen 70 degrees wide at 2 m. cinema: 10 m wide at 12 m.\n"
                    "custom: the width and distance below.",
                ),
                io.Float.Input(
                    "screen_width",
                    default=1.22,
                    min=0.01,
                    max=100.0,
                    step=0.01,
                    tooltip=f"Width of the screen in metres, 0.01 to 100. {custom}",
                ),
                io.Float.Input(
                    "distance",
                    default=2.5,
                    min=0.05,
                    max=100.0,
                    step=0.05,
                    tooltip=f"Distance of the eyes from the screen in metres, 0.05 to 100. {custom}",
                ),
                io.MultiType.Input(
                    "depth",
                    types=[STEREO_DEPTH, io.Image],
                    optional=True,
                    tooltip="Depth of the left view: Stereo Strength, whose settings are judged, or a plain depth map, "
                    "white is near, for its defaults.",
                ),
                io.Image.Input(
                    "left",
                    optional=True,
                    tooltip="The left view, to measure finished views. Without `right`: both views in one batch, all "
                    "left pictures first. With a depth map alone: the clip it is of, to find its cuts.",
                ),
                right_input(),
                io.Float.Input(
                    "nearest",
                    optional=True,
                    default=0.0,
                    min=0.0,
                    max=FARTHEST,
                    step=0.01,
                    tooltip="Distance of what is white in the depth map, in metres: from Depth Estimate with a model "
                    "that gives distances, or as you know it. 0: not known.\nWith both, the report tells what is seen "
                    "at its real distance, and how to make all of it life-size.",
                ),
                io.Float.Input(
                    "farthest",
                    optional=True,
                    default=0.0,
                    min=0.0,
                    max=FARTHEST,
                    step=0.01,
                    tooltip=f"Distance of what is black in the depth map, in metres; {FARTHEST:.0f} for the sky. 0: "
                    "not known.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="report", tooltip="What was measured, which limits it breaks, what to do."
                ),
                io.Image.Output(
                    display_name="chart",
                    tooltip="Magenta is too near for comfort, cyan too far. Below, all frames in degrees; green is "
                    "comfortable.",
                ),
                io.Float.Output(
                    display_name="max_disparity",
                    tooltip="For Stereo Strength: the largest comfortable strength for this depth map.",
                ),
                io.Float.Output(display_name="convergence", tooltip="For Stereo Strength, with screen value."),
            ],
            is_output_node=True,
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        display: str,
        screen_width: float,
        distance: float,
        depth: StereoDepth | Tensor | None = None,
        left: Tensor | None = None,
        right: Tensor | None = None,
        nearest: float = 0.0,
        farthest: float = 0.0,
    ) -> io.NodeOutput:
        distances = Distances(nearest, farthest) if nearest or farthest else None
        kind = Display(display)
        viewing = Viewing(screen_width, distance) if kind is Display.CUSTOM else VIEWINGS[kind]
        bounds = comfortable(viewing, kind)
        measured = measure(depth, left, right)
        stereo = None if depth is None else read_depth(depth)
        advice = None if stereo is None else advise(stereo.inverse_depth**stereo.geometry.exponent, *bounds)
        geometry = None if stereo is None or measured.pair else stereo.geometry
        text = describe_comfort(
            measured.report, viewing, kind, measured.cuts, measured.pair, advice, distances, geometry
        )
        show_text(cls, text)
        worst = max(range(len(measured.disparity)), key=lambda frame: _reach(measured.report, frame))
        chart = core_to_image(draw_comfort(measured.disparity[worst : worst + 1], measured.report, viewing, bounds))
        shown = advice or Advice(100 * (bounds[1] - bounds[0]), -bounds[0] / (bounds[1] - bounds[0]))
        return io.NodeOutput(text, chart, *shown, ui=ui.PreviewImage(chart, cls=cls))


def _reach(report: DisparityReport, frame: int) -> float:
    return max(abs(report.frames[frame].low), abs(report.frames[frame].high))
