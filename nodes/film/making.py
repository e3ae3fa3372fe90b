"""A film, made piece by piece and joined: by one process, or by several that share a folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import av
import torch
from torch import Tensor

from ...stereo_core.formats import StereoFormat
from ...stereo_core.video_formats import Sphere
from ..delivery.video_file import VideoFile
from ..delivery.video_plan import VideoPlan
from ..delivery.video_views import expect_even, size_of_packed
from .film_depth import FilmDepth
from .film_plan import FilmPlan, segments
from .film_progress import Progress
from .film_settings import FilmSettings
from .film_views import FilmFrame, packed_pictures
from .frames import read_frames
from .identity import file_identity
from .segments import count_pictures, joined, write_segment
from .work_folder import Claim, WorkFolder
from .working_ahead import ahead

# Of encoders: of every machine the same, for files differ with it.
_THREADS = 8
# How often to look whether others have finished, in seconds.
_WAIT = 1.0


@dataclass(frozen=True, slots=True)
class FilmShape:
    """The packed pictures of a film, before any is made: see ``Packed``."""

    form: StereoFormat | Sphere
    size: tuple[int, int]
    frames: int

    def __len__(self) -> int:
        return self.frames


@dataclass(frozen=True)
class Film:
    """A film that is to be made.

    Attributes:
        plan: its frames.
        depth: their depth.
        settings: how its views are made and written.
        file: all of the finished film but its pictures.
        remarks: what there is to say about it, in whole sentences.
        most_bytes: about how much room it takes, at most.
    """

    plan: FilmPlan
    depth: FilmDepth
    settings: FilmSettings
    file: VideoFile
    remarks: tuple[str, ...]
    most_bytes: int

    @classmethod
    def read(cls, plan: FilmPlan, depth: FilmDepth, settings: FilmSettings, metadata: dict[str, str]) -> Film:
        """Settle everything.

        Raises:
            ValueError: something does not fit, or is not there.
        """
        height, width = plan.size
        expect_even("video: its pictures are", height, width, "before you load it, or use Save Stereo Video")
        shape = FilmShape(settings.form, size_of_packed(settings.form, height, width), len(plan))
        video = VideoPlan.make(shape, float(plan.timing.rate), settings.file, metadata, plan.clip)
        file = replace(video.file, encoding=replace(video.file.encoding, threads=_THREADS))
        return cls(plan, depth, settings, file, video.remarks, video.most_bytes(shape.size))

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the packed pictures."""
        return size_of_packed(self.settings.form, *self.plan.size)

    def identity(self) -> dict[str, Any]:
        """Return all that the film's pictures depend on, as JSON has it."""
        return {
            "file": file_identity(self.plan.file),
            "frames": [self.plan.times[0], self.plan.times[-1], len(self.plan)],
            "depth": self.depth.identity(),
            "settings": self.settings.as_json(),
            "programs": {"av": av.__version__, "libraries": av.library_versions, "torch": torch.__version__},
        }


class Work:
    """The work on a film, in a folder."""

    def __init__(self, film: Film, folder: WorkFolder, progress: Progress) -> None:
        self._film, self._folder, self._progress = film, folder, progress
        self.parts = segments(film.plan.timing, film.settings.segment_seconds)

    def make(self, wanted: range | None = None) -> None:
        """Make all pieces that nobody else has made or is making; come back once all are there.

        Args:
            wanted: numbers of pieces; ``None`` for all.
        """
        missing = [number for number in wanted or range(len(self.parts)) if not self._is_whole(number)]
        left = sum(len(self.parts[number]) for number in missing)
        whole = sum(map(len, self.parts)) if wanted is None else left
        self._progress.expect(whole, whole - left)
        while missing:
            for number in missing:
                with self._folder.claim(f"{number:06}") as claim:
                    if claim is not None and not self._is_whole(number):
                        self._make_part(number, claim)
            missing = [number for number in missing if not self._is_whole(number)]
            if missing:
                time.sleep(_WAIT)

    def join(self, path: Path) -> None:
        """Write the film from its pieces."""
        paths = [self._path(number) for number in range(len(self.parts))]
        self._film.file.write_packets(path, joined(paths, self._film.plan.timing))

    def _path(self, number: int) -> Path:
        return self._folder.file(f"{number:06}.mp4")

    def _is_whole(self, number: int) -> bool:
        path = self._path(number)
        return path.exists() and count_pictures(path) == len(self.parts[number])

    def _make_part(self, number: int, claim: Claim) -> None:
        part, film = self.parts[number], self._film

        def told() -> Iterator[Tensor]:
            for picture in ahead(self._pictures(part)):
                claim.touch()
                yield picture
                self._progress.step(picture)

        rate = film.plan.timing.rate.limit_denominator(1001)
        count = write_segment(self._path(number), film.file.encoding, rate, film.size, told())
        if count != len(part):
            with suppress(OSError):
                self._path(number).unlink()
            raise ValueError(
                f"video: {count} pictures came of the {len(part)} from {film.plan.time_code(part.start)} on. Has the "
                "file changed meanwhile?"
            )

    def _pictures(self, part: range) -> Iterator[Tensor]:
        """Make the packed pictures of a piece; those around it are looked at where holes are filled from them."""
        reach, film = self._film.settings.shift.reach, self._film
        first = max(0, part.start - reach)
        last = min(len(film.plan), part.stop + reach + 2) if reach else part.stop

        def frames() -> Iterator[FilmFrame]:
            decoded = read_frames(film.plan.file, film.plan.times, first, last)
            for frame, inverse in zip(ahead(decoded), film.depth.maps(first, last), strict=True):
                yield FilmFrame(frame.picture, inverse)

        yield from islice(packed_pictures(frames(), film.settings), part.start - first, part.stop - first)
