"""The depth of one scene of a film, made frame by frame and kept in files: memory does not grow with the scene."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from ...stereo_core.depth_range import RangeState, apply_ranges, frame_bounds
from ...stereo_core.letterbox import BlackLines
from ..depth.clip_depth import is_steadied, steadied, without_bars
from ..depth.sources import Source, stream_inverse_depth
from .film_settings import DepthSettings
from .whole_files import whole


@dataclass(frozen=True)
class SceneDepth:
    """The depth of a scene, in two files: its maps, and their range.

    Attributes:
        path: of the maps: .npy, (T, 1, h, w) float32, steadied, in the source's own scale and size.
        range: what becomes 0, and what becomes 1.
    """

    path: Path
    range: tuple[float, float]

    @classmethod
    def make(
        cls, path: Path, pictures: Iterable[Tensor], frames: int, source: Source, settings: DepthSettings
    ) -> SceneDepth:
        """Estimate the depth of a scene, as Depth Estimate does, to the bit.

        Args:
            path: of the maps, ``.npy``; their range lies beside them. The file is there once both are whole.
            pictures: of the frames, (1, 3, H, W) in [0, 1] each; they are looked at once.
            frames: how many they are.
            source: a depth model.
            settings: how depth is estimated.

        Raises:
            ValueError: another source, or another number of pictures.
        """
        watched = _Watched(pictures, is_steadied(source, settings.stabilize, frames))
        found = stream_inverse_depth(watched, frames, source, settings.resolution, settings.batch_size)
        with whole(path) as partial:
            count = _write_maps(partial, watched.steadied(found, source), frames)
            if count != frames:
                raise ValueError(
                    f"video: {count} pictures came for a scene of {frames}. Has the file changed meanwhile?"
                )
            scene = cls(path, _range(partial, watched, settings.percentile))
            with whole(_beside(path)) as beside:
                beside.write_text(json.dumps({"range": scene.range}), encoding="utf-8")
        return scene

    @classmethod
    def read(cls, path: Path) -> SceneDepth:
        """Read what ``make`` has made.

        Raises:
            OSError: it is not there.
        """
        low, high = json.loads(_beside(path).read_text(encoding="utf-8"))["range"]
        return cls(path, (low, high))

    def __len__(self) -> int:
        return len(np.load(self.path, mmap_mode="r"))

    def maps(self, first: int = 0, last: int | None = None) -> Iterator[Tensor]:
        """Give the maps (1, 1, h, w) in [0, 1], 1 nearest, from a frame of the scene to before another."""
        ranges = torch.tensor([self.range])
        for frame in range(first, len(self) if last is None else last):
            yield apply_ranges(_map(self.path, frame), ranges)


class _Watched:
    """Pictures on their way to a model: what is seen in passing, and those whose maps have not come yet."""

    def __init__(self, pictures: Iterable[Tensor], steady: bool) -> None:
        self._pictures, self._steady = pictures, steady
        self._waiting: deque[Tensor] = deque()
        self.size: tuple[int, ...] = ()
        self.black: BlackLines | None = None

    def __iter__(self) -> Iterator[Tensor]:
        for picture in self._pictures:
            lines = BlackLines.of(picture[0])
            self.size, self.black = picture.shape[-2:], lines if self.black is None else self.black & lines
            if self._steady:
                if self._waiting and torch.equal(picture, self._waiting[-1]):
                    picture = self._waiting[-1]  # a still that goes on for long is held once
                self._waiting.append(picture)
            yield picture

    def steadied(self, found: Iterable[Tensor], source: Source) -> Iterator[Tensor]:
        """Steady the maps that come of the pictures, if they are to be."""
        state = None
        for inverse in found:
            if self._steady:
                inverse, state = steadied(inverse, self._waiting.popleft(), state, source)
            yield inverse


def _write_maps(path: Path, maps: Iterable[Tensor], frames: int) -> int:
    """Write maps (1, 1, h, w), as many as ``frames`` at most, one at a time; return how many came."""
    count = 0
    for count, inverse in enumerate(maps, 1):
        if count == 1:
            open_memmap(path, "w+", np.float32, (frames, *inverse.shape[1:]))
        if count <= frames:
            open_memmap(path, "r+")[count - 1] = inverse[0].numpy()  # opened anew, or all of it would count as memory
    return count


def _range(path: Path, watched: _Watched, percentile: float) -> tuple[float, float]:
    """Find the range of a scene from its maps, of what lies within the bars of its pictures."""
    frames, _, *size = np.load(path, mmap_mode="r").shape
    area = without_bars(watched.black.picture(), watched.size, tuple(size))
    bounds = (frame_bounds(_map(path, frame)[0], percentile, area) for frame in range(frames))
    return reduce(RangeState.add, bounds, RangeState()).range


def _map(path: Path, frame: int) -> Tensor:
    """Read one map (1, 1, h, w); nothing of the file stays in memory."""
    return torch.from_numpy(np.array(np.load(path, mmap_mode="r")[frame]))[None]


def _beside(path: Path) -> Path:
    return path.with_suffix(".json")
