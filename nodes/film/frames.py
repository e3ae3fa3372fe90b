"""Frames of a video file by their number, one at a time, as the host's Load Video gives them all at once."""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
import torch
from torch import Tensor

# Formats that the host turns into 8-bit colours first (comfy_api, VideoFromFile.get_components_internal).
_EIGHT_BIT = {"yuvj420p", "yuvj422p", "yuvj444p", "rgb24", "rgba", "pal8"}
_ALIGNED = 32  # pixels to which the host pads, since libswscale reads past the edges of other widths


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """A frame.

    Attributes:
        index: its number in the film.
        picture: (3, H, W) in [0, 1]; not to be written to, for neighbours may share it.
        lost: the file holds no picture of it that can be decoded: this is that of the frame before.
    """

    index: int
    picture: Tensor
    lost: bool


@dataclass(frozen=True, slots=True)
class FrameReader:
    """The frames of a film.

    Attributes:
        path: of the file.
        starts: when each frame comes, in units of the file's pictures, rising.
        keys: when key frames come, before the first frame, too; rising.
    """

    path: str
    starts: tuple[int, ...]
    keys: tuple[int, ...]

    def read(self, first: int, last: int) -> Iterator[SourceFrame]:
        """Decode some of them.

        Each number comes once, whatever is damaged: a film keeps its length, and its sound stays in time with it. What
        cannot be decoded shows the frame before it; at the start of the film, the first one that can.

        Args:
            first: number of the first frame.
            last: number of the last frame.

        Yields:
            Frames in order; one is held in memory.

        Raises:
            ValueError: none can be decoded, or they change their size.
        """
        pictures, shown, wanted = _Pictures(), None, first
        for index, frame in self._decoded(first):
            if shown is not None:
                yield from self._repeated(*shown, wanted, min(index, last + 1))
                wanted = max(wanted, index)
            if wanted > last:
                return
            if index >= first or shown is None or self._next_is_late(index, first):
                pass
            shown = index, frame
