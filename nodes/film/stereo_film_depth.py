"""StereoFilmDepth: how Stereo Video File estimates or reads its depth."""

from __future__ import annotations

from comfy_api.latest import io

from ..widgets.sockets import FILM_DEPTH
from .film_settings import DepthSettings

_DEFAULTS = DepthSettings()


class StereoFilmDepth(io.ComfyNode):
    """Hold settings of the depth estimate."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_StereoFilmDepth",
            display_name="Stereo Film Depth",
            category="stereo/options",
            description="Settings of the depth in Stereo Video File: those of Depth Estimate, with range scene.",
            search_aliases=["film", "depth settings", "stabilize", "invert depth"],
            inputs=[
                io.Int.Input(
                    "resolution",
                    default=_DEFAULTS.resolution,
                    min=0,
                    max=4096,
                    step=2,
                    tooltip="As in Depth Estimate: longest side, in pixels, at which the depth model runs; 0 is its "
                    "own.",
                ),
                io.Int.Input(
                    "batch_size",
                    default=_DEFAULTS.batch_size,
                    min=1,
                    max=256,
                    tooltip="As in Depth Estimate: frames per call of the depth model. Lower it when memory runs out.",
                ),
                io.Boolean.Input(
                    "stabilize",
                    default=_DEFAULTS.stabilize,
                    tooltip="As in Depth Estimate: remove jumps of the depth between neighbouring frames of a scene.",
                ),
                io.Float.Input(
                    "percentile",
                    default=_DEFAULTS.percentile,
                    min=0.0,
                    max=10.0,
                    step=0.1,
                    tooltip="As in Depth Estimate: percent of the pixels clipped at each end of the range.",
                ),
                io.Boolean.Input(
                    "invert",
                    default=_DEFAULTS.invert,
                    tooltip="Turn on for a video of depth maps that is black where things are near. Not used with "
                    "depth models.",
                ),
            ],
            outputs=[
                FILM_DEPTH.Output(display_name="depth_options", tooltip="For depth_options of Stereo Video File.")
            ],
        )

    @classmethod
    def execute(
        cls, resolution: int, batch_size: int, stabilize: bool, percentile: float, invert: bool
    ) -> io.NodeOutput:
        return io.NodeOutput(DepthSettings(resolution, batch_size, stabilize, percentile, invert))
