"""StereoFilmOptions: what else Stereo Video File lets one set."""

from __future__ import annotations

from comfy_api.latest import io

from ...stereo_core.clip_filling import FillFrom
from ...stereo_core.depth_edges import DepthEdges
from ...stereo_core.video_formats import Tags
from ..delivery.video_file import Container
from ..delivery.video_inputs import container_input, tags_input
from ..widgets.geometry import exponent_input
from ..widgets.sockets import FILM_OPTIONS
from .film_settings import FilmOptions

_DEFAULTS = FilmOptions()


class StereoFilmOptions(io.ComfyNode):
    """Hold options of the views and of the file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_StereoFilmOptions",
            display_name="Stereo Film Options",
            category="stereo/options",
            description="More settings of Stereo Video File: how the views are made, the kind of file, and its pieces.",
            search_aliases=["film", "long video", "segments", "resume", "container"],
            inputs=[
                exponent_input(),
                io.Float.Input(
                    "balance",
                    default=_DEFAULTS.balance,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="How much of the shift the left view takes, 0 to 1.\n0 leaves it untouched, 0.5 shifts "
                    "both views by half.",
                ),
                io.Int.Input(
                    "edge_growth",
                    default=_DEFAULTS.edge_growth,
                    min=0,
                    max=16,
                    tooltip="Pixels by which near objects grow before the shift, 0 to 16.",
                ),
                io.Combo.Input(
                    "depth_edges",
                    options=DepthEdges,
                    default=_DEFAULTS.edges.value,
                    tooltip="sharpened: soft depth edges become steps on the picture's edges. as_given: they stay.",
                ),
                io.Combo.Input(
                    "fill_from",
                    options=FillFrom,
                    default=_DEFAULTS.fill_from.value,
                    tooltip="frame: holes are filled from the frame itself. clip: from up to 16 frames before and "
                    "after as well; several times slower.",
                ),
                container_input(),
                tags_input(),
                io.Float.Input(
                    "segment_seconds",
                    default=_DEFAULTS.segment_seconds,
                    min=1.0,
                    max=600.0,
                    step=1.0,
                    tooltip="About how long the pieces are in which the film is made, 1 to 600 seconds. At most one "
                    "piece is lost when ComfyUI is interrupted or crashes.",
                ),
            ],
            outputs=[FILM_OPTIONS.Output(display_name="options", tooltip="For options of Stereo Video File.")],
        )

    @classmethod
    def execute(
        cls,
        exponent: float,
        balance: float,
        edge_growth: int,
        depth_edges: str,
        fill_from: str,
        container: str,
        tags: str,
        segment_seconds: float,
    ) -> io.NodeOutput:
        options = FilmOptions(
            exponent,
            balance,
            edge_growth,
            DepthEdges(depth_edges),
            FillFrom(fill_from),
            Container(container),
            Tags(tags),
            segment_seconds,
        )
        return io.NodeOutput(options)
