"""A film that is to be made: all that is settled before the work begins."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...stereo_core.formats import StereoFormat
from ...stereo_core.video_formats import Sphere
from ..delivery.video_file import VideoFile
from ..delivery.video_plan import FileOptions, VideoPlan
from ..delivery.video_views import expect_even, size_of_packed
from .film_depth import FilmDepth
from .film_plan import FilmPlan
from .film_settings import FilmSettings
from .identity import file_identity, programs_identity

# Of encoders: of every machine the same, for files differ with it.
_THREADS = 8


@dataclass(frozen=True, slots=True)
class FilmShape:
    """The packed pictures of a film, before any is made: see ``Packed``."""

    form: StereoFormat | Sphere
    size: tuple[int, int]
    frames: int

    def __len__(self) -> int:
        return self.frames


def film_video(plan: FilmPlan, shape: FilmShape, options: FileOptions, metadata: dict[str, str]) -> VideoPlan:
    """Settle what file a film becomes.

    Args:
        plan: of the film.
        shape: of its packed pictures.
        options: of the file.
        metadata: texts by name, besides the source's.

    Raises:
        ValueError: something does not fit, or is not there.
    """
    video = VideoPlan.make(shape, float(plan.timing.rate), options, metadata, plan.clip)
    return replace(video, file=replace(video.file, encoding=replace(video.file.encoding, threads=_THREADS)))


@dataclass(frozen=True)
class Film:
    """A film that is to be made.

    Attributes:
        plan: its frames.
        depth: their depth.
        settings: how its views are made and written.
        file: all of the finished film but its pictures.
        remarks: what there is to say about it, in whole sentences.
    """

    plan: FilmPlan
    depth: FilmDepth
    settings: FilmSettings
    file: VideoFile
    remarks: tuple[str, ...]

    @classmethod
    def read(cls, plan: FilmPlan, depth: FilmDepth, settings: FilmSettings, metadata: dict[str, str]) -> Film:
        """Settle everything.

        Raises:
            ValueError: something does not fit, or is not there.
        """
        expect_even("video: its pictures are", *plan.size, "with another program first")
        video = film_video(
            plan,
            FilmShape(settings.form, size_of_packed(settings.form, *plan.size), len(plan)),
            settings.file,
            metadata,
        )
        return cls(plan, depth, settings, video.file, video.remarks)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the packed pictures."""
        return size_of_packed(self.settings.form, *self.plan.size)

    def expect_room(self, folder: Path, taken: int, frames: int) -> None:
        """Raise ``ValueError`` unless there is room for pieces and film, if so many frames have taken so much.

        Args:
            folder: of the pieces.
            taken: bytes.
            frames: how many.
        """
        whole = taken / max(1, frames) * len(self.plan)
        needed = (1 + self.file.copies) * whole + self.file.copies * self.file.most_sound - taken
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise ValueError(
                f"filename_prefix: the film needs about {needed / 2**30:.1f} GiB more, and {free / 2**30:.1f} GiB are "
                "free there. Make room, or choose a lower quality; what is finished is kept."
            )

    def identity(self) -> dict[str, Any]:
        """Return all that the film's pictures depend on, as JSON has it."""
        return {
            "file": file_identity(self.plan.file),
            "frames": [self.plan.times[0], self.plan.times[-1], len(self.plan)],
            "depth": self.depth.identity(),
            "settings": self.settings.as_json(),
            "programs": programs_identity(),
        }
