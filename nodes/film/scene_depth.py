"""The depth of one scene of a film, made frame by frame and kept in files: memory does not grow with the scene."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import torch
from torch import Tensor

from ...stereo_core.depth_range import RangeState, apply_ranges, frame_bounds
from ..depth.clip_depth import is_steadied, without_bars
from ..depth.sources import CHUNK, Source, is_steady, stream_inverse_depth
from .film_settings import DepthSettings
from .map_files import count_maps, read_map, write_map
from .scene_pace import Pace
from .whole_files import flush, whole, writing


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
        cls,
        path: Path,
        pictures: Callable[[int], Iterable[Tensor]],
        frames: int,
        source: Source,
        settings: DepthSettings,
    ) -> SceneDepth:
        """Estimate the depth of a scene, as Depth Estimate does, to the bit.

        What a model for single frames has made of a long scene before it was interrupted is gone on with.

        Args:
            path: of the maps; their range lies beside them. The file is there once both are whole.
            pictures: gives those of the frames from a number on, (1, 3, H, W) in [0, 1] each; called once.
            frames: how many the scene has.
            source: a depth model.
            settings: how depth is estimated.

        Raises:
            ValueError: another source, or another number of pictures.
        """
        begun, kept = (path.with_name(f"{path.name}.{ending}") for ending in ("begun", "kept"))
        try:
            pace = _make_maps(begun, kept, pictures, frames, source, settings)
            if pace.done != frames:
                kept.unlink(missing_ok=True)
                raise ValueError(
                    f"video: {pace.done} pictures came for a scene of {frames}. Has the file changed meanwhile?"
                )
            scene = cls(path, _range(begun, pace, settings.percentile))
            with whole(_beside(path)) as beside:
                beside.write_text(json.dumps({"range": scene.range}), encoding="utf-8")
            with writing(path):
                flush(begun)
                begun.replace(path)
            kept.unlink(missing_ok=True)
        finally:
            if not kept.exists():
                begun.unlink(missing_ok=True)
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
        return count_maps(self.path)

    def maps(self, first: int = 0, last: int | None = None) -> Iterator[Tensor]:
        """Give the maps (1, 1, h, w) in [0, 1], 1 nearest, from a frame of the scene to before another."""
        ranges = torch.tensor([self.range])
        for frame in range(first, len(self) if last is None else last):
            yield apply_ranges(read_map(self.path, frame), ranges)


def _make_maps(
    path: Path,
    kept: Path,
    pictures: Callable[[int], Iterable[Tensor]],
    frames: int,
    source: Source,
    settings: DepthSettings,
) -> Pace:
    """Make all maps, or those that are missing, and write each as it comes."""
    steady = is_steadied(source, settings.stabilize, frames)
    pace = Pace.read(kept, steady) if kept.exists() and path.exists() else Pace(steady)
    coming = pace.watch(pictures(pace.done)) if pace.done < frames else ()
    found = stream_inverse_depth(coming, frames - pace.done, source, settings.resolution, settings.batch_size)
    for inverse in pace.steadied(found, source):
        if pace.done <= frames:
            write_map(path, pace.done - 1, frames, inverse)
        if pace.done % CHUNK == 0 and not is_steady(source):
            with writing(path):
                flush(path)
            pace.write(kept)
    return pace


def _range(path: Path, pace: Pace, percentile: float) -> tuple[float, float]:
    """Find the range of a scene from its maps, of what lies within the bars of its pictures."""
    area = without_bars(pace.black.picture(), pace.size, tuple(read_map(path, 0).shape[-2:]))
    bounds = (frame_bounds(read_map(path, frame)[0], percentile, area) for frame in range(pace.done))
    return reduce(RangeState.add, bounds, RangeState()).range


def _beside(path: Path) -> Path:
    return path.with_suffix(".json")
