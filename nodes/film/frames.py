"""Frames of a video file by their number, one at a time, as the host's Load Video gives them all at once."""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, dropwhile
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor

from .decoding import decoded

# What the host turns into eight bits a colour first (comfy_api, VideoFromFile.get_components_internal).
_EIGHT_BITS = {"yuvj420p", "yuvj422p", "yuvj444p", "rgb24", "rgba", "pal8"}
_ALIGNED = 32  # to as many pixels the host pads what it does not: libswscale reads beyond the edge of other widths
_FURTHER_BACK = (0, 10, 100)  # seconds before a frame where a whole key frame is looked for, and then from the start


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """A frame.

    Attributes:
        picture: (1, 3, H, W) in [0, 1]; not to be written to, for frames may share it.
        decoded: what it was made from, before it is turned.
        lost: it cannot be decoded, and this is another.
    """

    picture: Tensor
    decoded: av.VideoFrame
    lost: bool = False


def read_frames(
    file: str | io.BytesIO, times: Sequence[int], first: int = 0, last: int | None = None, name: str = "video"
) -> Iterator[DecodedFrame]:
    """Decode some frames of a film.

    Every frame comes once, so a film keeps its length, and its sound stays in time, whatever is damaged: one that
    cannot be decoded shows the frame before it, or where there is none, the next one.

    Args:
        file: a path, or the file itself in memory.
        times: when each frame of the film comes, in the file's own unit for its pictures, rising.
        first: the number of the first frame.
        last: the number at which to stop; ``None`` for the film's end.
        name: of the input, for messages.

    Yields:
        The frames in order, each made when it is asked for. Where nothing is damaged, its picture is the host's to the
        bit.

    Raises:
        ValueError: none can be decoded, or their size changes.
    """
    end = len(times) if last is None else last
    pictures, held, wanted = _Pictures(), None, first
    for index, frame in chain(_numbered(file, times, first, name), [(len(times), None)]):
        if held is not None and index <= held[0]:
            continue
        if held is not None and wanted < index:
            picture = pictures.of(held[1])
            if picture.shape[-2:] != pictures.size:
                raise ValueError(
                    f"{name}: its pictures change from {_spelled(pictures.size)} to {_spelled(picture.shape[-2:])} "
                    f"pixels at frame {held[0]}. Convert it to one size first."
                )
            for number in range(wanted, min(index, end)):
                yield DecodedFrame(picture, held[1], number != held[0])
            wanted = index
        if wanted >= end:
            return
        held = index, frame
    raise ValueError(f"{name}: none of its pictures can be decoded from frame {first} on. Choose another file.")


def _spelled(size: Sequence[int]) -> str:
    return f"{size[1]}x{size[0]}"


def _numbered(
    file: str | io.BytesIO, times: Sequence[int], first: int, name: str
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Give frames and their numbers from a key frame on that is whole, at ``first`` or before it."""
    known = frozenset(times)

    def is_no_start(frame: av.VideoFrame) -> bool:
        """It refers to others, which were not decoded, or its time is a guess, as in MPEG files after a jump."""
        return not frame.key_frame or not (frame.pts in known or frame.pts < times[0])

    for seconds in _FURTHER_BACK:
        frames = dropwhile(is_no_start, decoded(file, times[first], seconds, name))
        head = next(frames, None)
        if head is not None and head.pts <= times[first]:
            break
    else:
        frames, head = decoded(file, None, 0, name), None
    for frame in frames if head is None else chain([head], frames):
        if frame.pts in known:
            yield bisect_left(times, frame.pts), frame


class _Pictures:
    """Turns frames into pictures with the host's arithmetic.

    Attributes:
        size: (H, W) of the first picture.
    """

    def __init__(self) -> None:
        self.size: torch.Size | None = None
        self._graph: tuple[Any, ...] | None = None

    def of(self, frame: av.VideoFrame) -> Tensor:
        """Return it as (1, 3, H, W) in [0, 1]."""
        name = frame.format.name
        alpha = name == "pal8" or any(component.is_alpha for component in frame.format.components)
        if name in _EIGHT_BITS:
            values = frame.to_ndarray(format="rgba" if alpha else "rgb24")
        else:
            values = self._aligned(frame).to_ndarray(format="gbrapf32le" if alpha else "gbrpf32le")
            values = np.ascontiguousarray(values[: frame.height, : frame.width])
        if frame.rotation:
            values = np.rot90(values, k=round(frame.rotation // 90)).copy()
        picture = torch.from_numpy(values)[..., :3].contiguous()
        picture = picture.float() / 255.0 if name in _EIGHT_BITS else picture
        self.size = self.size or picture.shape[:2]
        return picture[None].movedim(-1, 1)

    def _aligned(self, frame: av.VideoFrame) -> av.VideoFrame:
        if frame.width % _ALIGNED == 0:
            return frame
        kind = frame.width, frame.height, frame.format.name
        if self._graph is None or self._graph[0] != kind:
            self._graph = kind, *_padding(frame)
        _, _, source, sink = self._graph
        source.push(frame)
        return sink.pull()


def _padding(frame: av.VideoFrame) -> tuple[Any, Any, Any]:
    """Return a graph that repeats the last column and row of such frames until they are aligned, and its two ends."""
    width, height = (-(-side // _ALIGNED) * _ALIGNED for side in (frame.width, frame.height))
    graph = av.filter.Graph()
    parts = [
        graph.add_buffer(width=frame.width, height=frame.height, format=frame.format.name, time_base=frame.time_base),
        graph.add("pad", f"{width}:{height}:0:0"),
        graph.add("fillborders", f"left=0:right={width - frame.width}:top=0:bottom={height - frame.height}:mode=smear"),
        graph.add("buffersink"),
    ]
    for one, following in zip(parts, parts[1:], strict=False):
        one.link_to(following)
    graph.configure()
    return graph, parts[0], parts[-1]
