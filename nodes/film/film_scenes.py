"""The scenes of a film, and what each of them has for all of its frames: where the screen lies."""

from __future__ import annotations

import json
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import comfy.model_management
import torch
from torch import Tensor

from ...stereo_core.convergence import map_convergence, scene_convergence
from ...stereo_core.geometry import Screen, StereoGeometry
from .analysis import find_scenes, write_thumbnails
from .film_plan import FilmPlan
from .film_progress import Progress
from .frames import read_frames
from .whole_files import whole
from .work_folder import WAIT, WorkFolder
from .working_ahead import ahead

# Frames that are looked at for cuts at a time; a film's scenes do not depend on it.
_CHUNK = 1000


@dataclass(frozen=True)
class FilmScenes:
    """The scenes of a film.

    Attributes:
        starts: the frame with which each begins, rising; the first is 0.
        frames: of the film.
    """

    starts: tuple[int, ...]
    frames: int

    def of(self, part: range) -> list[range]:
        """Return the scenes that some frames belong to."""
        first, last = bisect_right(self.starts, part.start) - 1, bisect_left(self.starts, part.stop)
        ends = (*self.starts[first + 1 : last + 1], self.frames)
        return [range(start, end) for start, end in zip(self.starts[first:last], ends, strict=False)]


def scenes_of(plan: FilmPlan, folder: WorkFolder, progress: Progress) -> FilmScenes:
    """Look at all frames of a film, those apart that others have looked at or are looking at."""
    chunks = [range(start, min(start + _CHUNK, len(plan))) for start in range(0, len(plan), _CHUNK)]
    paths = [folder.file(f"cuts_{chunk.start:07}") for chunk in chunks]
    missing = list(zip(chunks, paths, strict=True))
    while missing:
        for chunk, path in missing:
            with folder.claim(path.name) as claim:
                if claim is None or path.exists():
                    continue

                def pictures(chunk: range = chunk) -> Iterator[Tensor]:
                    for frame in ahead(read_frames(plan.file, plan.times, chunk.start, chunk.stop)):
                        claim.touch()  # noqa: B023  # it is used up before the next one comes
                        yield frame.picture
                        progress.step()

                write_thumbnails(path, pictures())
        missing = [(chunk, path) for chunk, path in missing if not path.exists()]
        if missing:
            comfy.model_management.throw_exception_if_processing_interrupted()
            time.sleep(WAIT)
    return FilmScenes(find_scenes(paths), len(plan))


def find_screen(path: Path, maps: Iterator[Tensor], geometry: StereoGeometry) -> None:
    """Write where the screen lies in a scene, from the maps (1, 1, H, W) of its frames."""
    if geometry.screen is not Screen.VALUE:
        found = torch.stack([map_convergence(each, geometry) for each in maps])
        with whole(path) as partial:
            partial.write_text(json.dumps(scene_convergence(found).item()), encoding="utf-8")


def read_screen(path: Path) -> Tensor:
    """Read what ``find_screen`` has written, (1, 1, 1, 1) float32."""
    return torch.tensor(json.loads(path.read_text(encoding="utf-8"))).view(1, 1, 1, 1)
