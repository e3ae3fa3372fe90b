"""The packed pictures of a film, one after another."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import av
from torch import Tensor

from ...stereo_core.clip_filling import ClipSettings
from ...stereo_core.formats import StereoFormat
from ...stereo_core.frame_matching import resize_keeping_edges
from ...stereo_core.stereo_depth import StereoDepth
from ...stereo_core.warping import View
from ..delivery.video_views import VideoViews
from ..widgets.rendering import disparity_of, stream_views
from .film_settings import FilmSettings
from .left_planes import PackedPicture


@dataclass(frozen=True, slots=True)
class FilmFrame:
    """A frame and its depth.

    Attributes:
        picture: (1, 3, H, W) in [0, 1].
        inverse_depth: (1, 1, h, w) in [0, 1], 1 nearest, of the picture's shape.
        convergence: (1, 1, 1, 1), that of the frame, where it was found; ``None`` for the settings' number.
        decoded: what the picture was made from, where it was decoded.
    """

    picture: Tensor
    inverse_depth: Tensor
    convergence: Tensor | None = None
    decoded: av.VideoFrame | None = None


def packed_pictures(frames: Iterable[FilmFrame], settings: FilmSettings) -> Iterator[PackedPicture]:
    """Make both views of each frame, as Image Stereo Shift does, and pack them, as Save Stereo Video does.

    Args:
        frames: of one film, in the order of time.
        settings: how the views are made and packed.

    Yields:
        The picture of each frame; with a ``reach`` in the settings so many frames later than they came.
    """
    if settings.form is StereoFormat.RGB_DEPTH:
        for frame in frames:
            maps = resize_keeping_edges(frame.inverse_depth, tuple(frame.picture.shape[-2:]))
            yield PackedPicture(VideoViews(settings.form, frame.picture, None, maps).frame(0), settings.form)
        return
    shift = settings.shift
    given: deque[FilmFrame] = deque()  # whose views have not come yet

    def disparities() -> Iterator[tuple[Tensor, Tensor]]:
        for frame in frames:
            depth = StereoDepth(frame.inverse_depth, shift.geometry, frame.convergence)
            given.append(frame)
            yield frame.picture, disparity_of(depth, frame.picture, shift.edges)

    fractions = {View.LEFT: shift.balance, View.RIGHT: 1 - shift.balance}
    clip = ClipSettings.of(shift.fill_from)
    for views in stream_views(disparities(), fractions, shift.rendering, shift.edge_growth, clip):
        frame = given.popleft()
        left, right = (views[view].image.to(frame.picture) if view in views else frame.picture for view in fractions)
        unchanged = None if View.LEFT in views else frame.decoded
        yield PackedPicture(VideoViews(settings.form, left, right, None).frame(0), settings.form, unchanged)
