"""Pictures of a film as encoders take them, with the left view's samples as the source has them where they fit."""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from torch import Tensor

from ...stereo_core.formats import StereoFormat, split
from ...stereo_core.video_formats import Sphere
from ..delivery.video_encoding import Encoding, samples

_FULL = 2  # the range of samples, as codecs number it
# The axis on which the views lie side by side, and in which order.
_PLACES = {StereoFormat.FULL_SBS: (1, 1), StereoFormat.CROSS_EYED: (1, -1), StereoFormat.FULL_TB: (0, 1)}


@dataclass(frozen=True, slots=True)
class PackedPicture:
    """Both views of a frame in one picture.

    Attributes:
        picture: (3, H, W) in [0, 1].
        form: in which the views share it.
        left: the decoded frame that the left view shows unchanged; ``None`` where it is changed.
    """

    picture: Tensor
    form: StereoFormat | Sphere
    left: av.VideoFrame | None = None

    def frame(self, encoding: Encoding) -> av.VideoFrame:
        """Return it as the encoder takes it.

        Where the views keep their size, and the source is stored as the film will be, the left view's samples are
        copied: they are never turned into colours and back.
        """
        if self.left is None or self.form not in _PLACES or not _fits(self.left, encoding):
            return encoding.frame(self.picture)
        axis, order = _PLACES[self.form]
        _, right = split(self.picture[None], self.form)
        views = (self.left, encoding.frame(right[0]))[::order]
        whole = av.VideoFrame(self.picture.shape[-1], self.picture.shape[-2], encoding.pixels)
        for plane, *parts in zip(whole.planes, *(view.planes for view in views), strict=True):
            np.concatenate([samples(part, encoding.bits) for part in parts], axis, out=samples(plane, encoding.bits))
        return whole


def _fits(frame: av.VideoFrame, encoding: Encoding) -> bool:
    """Tell whether a frame's samples mean the same in a film: the host takes those that tell nothing for BT.601."""
    told = frame.colorspace == encoding.matrix and frame.color_range != _FULL
    return told and frame.format.name == encoding.pixels and not frame.rotation
