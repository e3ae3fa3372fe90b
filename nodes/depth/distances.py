"""How far away what a source sees is, where it gives distances instead of relative depth."""

from __future__ import annotations

from typing import NamedTuple

from comfy.ldm.moge.model import MoGeModel
from torch import Tensor

from ...stereo_core.depth_range import metric_distances
from .networks import DepthModel
from .sources import Source
from .video_networks import VideoDepthModel


class Reach(NamedTuple):
    """Of the depth 1 and of the depth 0.

    Attributes:
        nearest, farthest: in metres, 0 where they are not known.
        words: what to say of them, a line or none.
    """

    nearest: float = 0.0
    farthest: float = 0.0
    words: tuple[str, ...] = ()


def distances_of(source: Source, ranges: Tensor) -> Reach:
    """Tell the distances of what becomes white and black.

    Args:
        source: what gave the inverse depth.
        ranges: (B, 2) of that, the range of each frame.
    """
    if not gives_distances(source):
        return Reach()
    found = metric_distances(ranges)
    if found is None:
        return Reach(words=("distances differ from scene to scene: set range to clip to have them",))
    return Reach(*found, words=(f"white is at {found[0]:.3g} m, black at {found[1]:.3g} m",))


def gives_distances(source: Source) -> bool:
    """Tell whether a model gives distances in metres. Geometry does not tell whether its model does."""
    if isinstance(source, DepthModel):
        return source.patcher.model.metric
    if isinstance(source, MoGeModel):
        return source.version == "v2"
    return isinstance(source, VideoDepthModel) and source.metric
