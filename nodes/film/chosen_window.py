"""One of the windows in which a film is worked on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import folder_paths
import torch
from torch import Tensor

from ...stereo_core.film_windows import Window
from ...stereo_core.seeds import Stream, derive_seed
from ..host import core_to_image, expect_memory
from .film_plan import FilmPlan
from .film_progress import Progress
from .film_scenes import scenes_of
from .frames import read_frames
from .identity import file_identity, pack_identity
from .whole_files import whole
from .work_folder import WorkFolder


@dataclass(frozen=True)
class ChosenWindow:
    """A window of a film.

    Attributes:
        plan: of the film.
        windows: all of its windows.
        number: of this one, from 0.
        length: pictures of a window; frames of a shorter one are followed by its last one again.
        overlap: frames that neighbours share.
        film_seed: from which each window has its own.
    """

    plan: FilmPlan
    windows: tuple[Window, ...]
    number: int
    length: int
    overlap: int
    film_seed: int

    @property
    def window(self) -> Window:
        """Which frames it has."""
        return self.windows[self.number]

    @property
    def seed(self) -> int:
        """Of its own noise."""
        return derive_seed(self.film_seed, Stream.WINDOW, self.number)

    def images(self, node: str) -> Tensor:
        """Return its pictures, an IMAGE (length, H, W, 3).

        Args:
            node: display name, for messages.

        Raises:
            ValueError: there is no memory for them, or none can be decoded.
        """
        height, width = self.plan.size
        size = self.length, 3, height, width
        nbytes = 4 * self.length * 3 * height * width
        expect_memory(node, f"a window of {self.length} frames of {width}x{height}", 2 * nbytes)
        pictures, frames = torch.empty(size), self.window.frames
        for index, frame in enumerate(read_frames(self.plan.file, self.plan.times, frames.start, frames.stop)):
            pictures[index] = frame.picture[0]
        pictures[len(frames) :] = pictures[len(frames) - 1]
        return core_to_image(pictures)


def scene_starts(plan: FilmPlan, progress: Progress) -> tuple[int, ...]:
    """Return the frames with which a film's scenes begin, looked at once until ComfyUI clears its temp folder."""
    known = {"file": file_identity(plan.file), "frames": [plan.times[0], plan.times[-1], len(plan)]}
    folder = WorkFolder.open(Path(folder_paths.get_temp_directory()), "scenes", {**known, "pack": pack_identity()})
    path = folder.file("starts.json")
    if not path.exists():
        progress.expect(len(plan), 0)
        with whole(path) as partial:
            partial.write_text(json.dumps(scenes_of(plan, folder, progress).starts), encoding="utf-8")
    return tuple(json.loads(path.read_text(encoding="utf-8")))
