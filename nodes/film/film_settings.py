"""What one can set about a film, in one place."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ...stereo_core.clip_filling import ClipSettings, FillFrom
from ...stereo_core.depth_edges import DepthEdges
from ...stereo_core.formats import StereoFormat
from ...stereo_core.geometry import StereoGeometry
from ...stereo_core.rendering import Quality as Rendering
from ...stereo_core.video_formats import Sphere, Tags
from ..delivery.video_codecs import Codec, Quality
from ..delivery.video_file import Container
from ..delivery.video_plan import FileOptions


@dataclass(frozen=True)
class DepthSettings:
    """How depth is estimated, as Depth Estimate has it.

    Attributes:
        resolution: longest side in pixels at which a model runs; 0 for its own.
        batch_size: frames in one call of a model.
        stabilize: steady the maps of models for single frames.
        percentile: of the pixels that is clipped at each end of a scene's range.
        invert: a video of depth maps is black where it is near.
    """

    resolution: int = 0
    batch_size: int = 4
    stabilize: bool = True
    percentile: float = 0.5
    invert: bool = False


@dataclass(frozen=True)
class ShiftSettings:
    """How the views are made from the depth, as Stereo Strength and Image Stereo Shift have it.

    Attributes:
        geometry: how deep the stereo is.
        balance: how much of the shift the left view takes, 0 to 1.
        rendering: quality of the views.
        edge_growth: pixels by which near objects grow before the shift.
        edges: what is done about soft depth edges.
        fill_from: where what fills the holes comes from.
    """

    geometry: StereoGeometry = StereoGeometry()
    balance: float = 0.0
    rendering: Rendering = Rendering.BEST
    edge_growth: int = 0
    edges: DepthEdges = DepthEdges.SHARPENED
    fill_from: FillFrom = FillFrom.FRAME

    @property
    def reach(self) -> int:
        """Frames before and after a frame that its views are made from."""
        return ClipSettings.of(self.fill_from).reach


@dataclass(frozen=True)
class FilmOptions:
    """What Stereo Film Options sets; ``ShiftSettings``, ``StereoGeometry`` and ``FileOptions`` say what it means."""

    exponent: float = 1.0
    balance: float = 0.0
    edge_growth: int = 0
    edges: DepthEdges = DepthEdges.SHARPENED
    fill_from: FillFrom = FillFrom.FRAME
    container: Container = Container.AUTO
    tags: Tags = Tags.CONTAINER
    segment_seconds: float = 10.0


@dataclass(frozen=True)
class FilmSettings:
    """All of it.

    Attributes:
        form: in which both views share the picture.
        file: codec, quality, container and tags.
        segment_seconds: about how long the pieces are in which the film is made.
    """

    form: StereoFormat | Sphere = StereoFormat.FULL_SBS
    file: FileOptions = FileOptions(Codec.H264, Quality.HIGH, Container.AUTO, Tags.CONTAINER)
    depth: DepthSettings = DepthSettings()
    shift: ShiftSettings = ShiftSettings()
    segment_seconds: float = 10.0

    def as_json(self) -> dict[str, Any]:
        """Return them as plain values: what a film that is begun must be gone on with."""
        return asdict(self)
