"""The depth of a film's frames, wherever it comes from."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from comfy_api.latest import Input
from torch import Tensor

from ...stereo_core.geometry import StereoGeometry
from ...stereo_core.stereo_depth import StereoDepth
from ..depth.networks import resize_depth
from ..depth.sources import Source, map_bytes
from ..host import depth_to_core
from .film_plan import FilmPlan
from .film_settings import DepthSettings
from .frames import read_frames
from .identity import file_identity, source_identity
from .scene_depth import SceneDepth
from .working_ahead import ahead


class FilmDepth(Protocol):
    """Depth maps of a film.

    Attributes:
        by_scene: they are made scene by scene, before the views are.
    """

    @property
    def by_scene(self) -> bool: ...

    def identity(self) -> dict[str, Any]:
        """Return what they depend on, as JSON has it."""

    def make(self, scene: range, path: Path, step: Callable[[], None]) -> None:
        """Make those of a scene, in a file that is there once it is whole; calls ``step`` for each frame."""

    def maps(self, frames: range, scenes: Mapping[range, Path]) -> Iterator[Tensor]:
        """Give the map (1, 1, h, w) in [0, 1], 1 nearest, of each frame; ``scenes`` are those they lie in."""


DepthGiven = Source | Input.Video


def depth_of(film: FilmPlan, depth: DepthGiven, settings: DepthSettings) -> FilmDepth:
    """Return the depth of a film.

    Args:
        film: whose.
        depth: what the node was given: a depth model, or a video of depth maps.
        settings: of the estimate, and of maps that are given.

    Raises:
        ValueError: it does not belong to the film, or is of another kind.
    """
    if not isinstance(depth, Input.Video):
        return ModelDepth(film, depth, settings)
    maps = FilmPlan.read(depth, "depth")
    if len(maps) != len(film):
        raise ValueError(
            f"depth: has {len(maps)} frames, and video {len(film)}. Connect a video with a map for each frame, cut as "
            "video is."
        )
    StereoDepth(torch.empty(1, 1, *maps.size), StereoGeometry()).expect_aspect(*film.size)
    return GivenDepth(maps, settings.invert)


@dataclass(frozen=True)
class GivenDepth:
    """A video of depth maps.

    Attributes:
        plan: of that video.
        invert: it is black where it is near.
    """

    plan: FilmPlan
    invert: bool
    by_scene: bool = False

    def identity(self) -> dict[str, Any]:
        """Return what the maps depend on."""
        return {"file": file_identity(self.plan.file), "first": self.plan.times[0], "invert": self.invert}

    def make(self, scene: range, path: Path, step: Callable[[], None]) -> None:
        """Make nothing: the maps are there."""

    def maps(self, frames: range, scenes: Mapping[range, Path]) -> Iterator[Tensor]:  # noqa: ARG002
        """Give the maps, as they are decoded."""
        for frame in ahead(read_frames(self.plan.file, self.plan.times, frames.start, frames.stop, "depth")):
            inverse = depth_to_core(frame.picture.movedim(1, -1))
            yield 1 - inverse if self.invert else inverse


@dataclass(frozen=True)
class ModelDepth:
    """What a model makes of the frames, as Depth Estimate does.

    Attributes:
        plan: of the film.
        source: the model.
        settings: of the estimate.
    """

    plan: FilmPlan
    source: Source
    settings: DepthSettings
    by_scene: bool = True

    def identity(self) -> dict[str, Any]:
        """Return what the maps depend on."""
        return source_identity(self.source)

    def make(self, scene: range, path: Path, step: Callable[[], None]) -> None:
        """Estimate the depth of a scene."""

        def pictures(done: int) -> Iterator[Tensor]:
            for _ in range(done):
                step()
            for frame in ahead(read_frames(self.plan.file, self.plan.times, scene.start + done, scene.stop)):
                yield frame.picture
                step()

        self._expect_room(path, len(scene))
        SceneDepth.make(path, pictures, len(scene), self.source, self.settings)

    def _expect_room(self, path: Path, frames: int) -> None:
        there = sum(each.stat().st_size for each in path.parent.glob(f"{path.stem}.*"))  # of a scene that was begun
        needed = frames * map_bytes(self.plan.size, self.source, self.settings.resolution) - there
        free = shutil.disk_usage(path.parent).free
        if needed > free:
            raise ValueError(
                f"filename_prefix: the depth of a scene of {frames} frames needs {needed / 2**30:.1f} GiB there for a "
                f"while, and {free / 2**30:.1f} GiB are free. Make room, or choose a folder on another disk."
            )

    def maps(self, frames: range, scenes: Mapping[range, Path]) -> Iterator[Tensor]:
        """Give the maps, as large as the pictures."""
        for scene, path in scenes.items():
            first, last = max(scene.start, frames.start), min(scene.stop, frames.stop)
            for inverse in SceneDepth.read(path).maps(first - scene.start, last - scene.start):
                yield resize_depth(inverse, self.plan.size).clamp(0, 1)
