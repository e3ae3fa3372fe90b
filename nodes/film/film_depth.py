"""The depth of a film's frames, wherever it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from comfy_api.latest import Input
from torch import Tensor

from ..host import depth_to_core
from .film_plan import FilmPlan
from .film_settings import DepthSettings
from .frames import read_frames
from .identity import file_identity


class FilmDepth(Protocol):
    """Depth maps of a film."""

    def identity(self) -> dict[str, Any]:
        """Return what they depend on, as JSON has it."""

    def maps(self, first: int, last: int) -> Iterator[Tensor]:
        """Give the map (1, 1, h, w) in [0, 1], 1 nearest, of each frame from ``first`` to before ``last``."""


DepthGiven = Input.Video | Any


def depth_of(film: FilmPlan, depth: DepthGiven, settings: DepthSettings, invert: bool) -> FilmDepth:
    """Return the depth of a film.

    Args:
        film: whose.
        depth: what the node was given: a depth model, or a video of depth maps.
        settings: for models.
        invert: given maps are black where it is near.

    Raises:
        ValueError: it does not belong to the film, or is of another kind.
    """
    if isinstance(depth, Input.Video):
        given = GivenDepth(FilmPlan.read(depth, "depth"), invert)
        given.expect_like(film)
        return given
    raise ValueError("depth: connect a depth model, or a video of depth maps.")


@dataclass(frozen=True)
class GivenDepth:
    """A video of depth maps.

    Attributes:
        plan: of that video.
        invert: it is black where it is near.
    """

    plan: FilmPlan
    invert: bool

    def expect_like(self, film: FilmPlan) -> None:
        """Raise ``ValueError`` unless there is a map for each frame of a film, of its shape."""
        if len(self.plan) != len(film):
            raise ValueError(
                f"depth: has {len(self.plan)} frames, and video {len(film)}. Connect a video with a map for each "
                "frame, cut as video is."
            )

    def identity(self) -> dict[str, Any]:
        """Return what the maps depend on, as JSON has it."""
        return {"file": file_identity(self.plan.file), "first": self.plan.times[0], "invert": self.invert}

    def maps(self, first: int, last: int) -> Iterator[Tensor]:
        """Give the map (1, 1, h, w) in [0, 1], 1 nearest, of each frame from ``first`` to before ``last``."""
        for frame in read_frames(self.plan.file, self.plan.times, first, last, "depth"):
            inverse = depth_to_core(frame.picture.movedim(1, -1))
            yield 1 - inverse if self.invert else inverse
