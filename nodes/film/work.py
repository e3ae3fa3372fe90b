"""The work on a film, piece by piece: by one process, or by several that share a folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from itertools import islice
from pathlib import Path

import comfy.model_management

from ...stereo_core.geometry import Screen
from .film import Film
from .film_plan import segments
from .film_progress import Progress
from .film_scenes import FilmScenes, find_screen, read_screen, scenes_of
from .film_views import FilmFrame, packed_pictures
from .frames import read_frames
from .joining import join
from .left_planes import PackedPicture
from .segments import count_pictures, write_segment
from .work_folder import WAIT, Claim, WorkFolder
from .working_ahead import ahead


class Work:
    """The work on a film."""

    def __init__(self, film: Film, folder: WorkFolder, progress: Progress) -> None:
        """Nothing is done yet; what is finished lies in the folder."""
        self._film, self._folder, self._progress = film, folder, progress
        self._lost: set[int] = set()
        self._screen = film.settings.shift.geometry.screen is not Screen.VALUE

    @cached_property
    def scenes(self) -> FilmScenes | None:
        """The film's scenes, for which all of it is looked at once; ``None`` where they do not matter."""
        if not (self._screen or self._film.depth.by_scene):
            return None
        return scenes_of(self._film.plan, self._folder, self._progress)

    @cached_property
    def parts(self) -> tuple[range, ...]:
        """The frames of each piece."""
        cuts = () if self.scenes is None else self.scenes.starts
        return segments(self._film.plan.timing, self._film.settings.segment_seconds, cuts)

    def make(self, wanted: range | None = None) -> None:
        """Make all pieces that nobody else has made or is making; come back once all are there.

        Args:
            wanted: numbers of pieces; ``None`` for all.

        Raises:
            ValueError: the disk is too small for the film.
        """
        frames = len(self._film.plan)
        stages = 1 + self._film.depth.by_scene + (self._screen or self._film.depth.by_scene)
        self._progress.expect(stages * frames, 0)
        numbers = range(len(self.parts)) if wanted is None else wanted
        missing = [number for number in numbers if not self._is_whole(number)]
        left = sum(len(self.parts[number]) for number in missing)
        whole = (1 + self._film.depth.by_scene) * (frames if wanted is None else left)
        self._progress.expect(whole, whole - (1 + self._film.depth.by_scene) * left)
        while missing:
            for number in missing:
                self.make_piece(number)
            missing = [number for number in missing if not self._is_whole(number)]
            if missing:
                comfy.model_management.throw_exception_if_processing_interrupted()
                time.sleep(WAIT)

    def make_piece(self, number: int) -> bool:
        """Make a piece, unless others are making it or its depth; tell whether it is there."""
        with self._folder.claim(f"{number:06}") as claim:
            if claim is not None and not self._is_whole(number):
                if all([self._prepare(scene) for scene in self._scenes_of(self.parts[number])]):
                    self._make_part(number, claim)
                    self._expect_room()
                    self._tidy(self.parts[number])
        return self._is_whole(number)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Say what was found on the way, in whole sentences."""
        return self._film.plan.about_lost(self._lost)

    def is_whole(self, wanted: range | None = None) -> bool:
        """Tell whether all pieces, or some, are there."""
        return all(map(self._is_whole, range(len(self.parts)) if wanted is None else wanted))

    def finish(self, path: Path, keep: bool = False, chosen: bool = False) -> bool:
        """Write the film from its pieces, and delete these unless they are to be kept; see ``join``."""
        paths = [self._path(number) for number in range(len(self.parts))]
        return join(self._folder, paths, self._film.file, path, keep, chosen)

    def _path(self, number: int) -> Path:
        return self._folder.file(f"{number:06}.mp4")

    def _depth_path(self, scene: range) -> Path:
        return self._folder.file(f"depth_{scene.start:07}.npy")

    def _screen_path(self, scene: range) -> Path:
        return self._folder.file(f"screen_{scene.start:07}.json")

    def _is_whole(self, number: int) -> bool:
        path = self._path(number)
        return path.exists() and count_pictures(path) == len(self.parts[number])

    def _scenes_of(self, part: range) -> list[range]:
        return [] if self.scenes is None else self.scenes.of(self._around(part))

    def _around(self, part: range) -> range:
        """Return the frames that a piece is made from: holes may be filled from those around it."""
        reach = self._film.settings.shift.reach
        last = part.stop + reach + 2 if reach else part.stop
        return range(max(0, part.start - reach), min(len(self._film.plan), last))

    def _prepare(self, scene: range) -> bool:
        """Make the depth of a scene; false where another process is just making it."""
        depth, path, screen = self._film.depth, self._depth_path(scene), self._screen_path(scene)
        with self._folder.claim(path.stem) as claim:
            if claim is None:
                return False

            def step() -> None:
                claim.touch()
                self._progress.step()

            if depth.by_scene and not path.exists():
                depth.make(scene, path, step)
            if self._screen and not screen.exists():
                find_screen(screen, depth.maps(scene, {scene: path}), self._film.settings.shift.geometry)
        return True

    def _make_part(self, number: int, claim: Claim) -> None:
        part, film = self.parts[number], self._film

        def told() -> Iterator[PackedPicture]:
            for picture in ahead(self._pictures(part)):
                claim.touch()
                yield picture
                self._progress.step(picture.picture)

        rate = film.plan.timing.encoders
        count = write_segment(self._path(number), film.file.encoding, rate, film.size, told())
        if count != len(part):
            with suppress(OSError):
                self._path(number).unlink()
            raise ValueError(
                f"video: {count} pictures came of the {len(part)} from {film.plan.time_code(part.start)} on. Has the "
                "file changed meanwhile?"
            )

    def _pictures(self, part: range) -> Iterator[PackedPicture]:
        """Make the packed pictures of a piece."""
        around, film = self._around(part), self._film
        scenes = {scene: self._depth_path(scene) for scene in self._scenes_of(part)}
        screens = {scene: read_screen(self._screen_path(scene)) for scene in scenes if self._screen}

        def frames() -> Iterator[FilmFrame]:
            decoded = ahead(read_frames(film.plan.file, film.plan.times, around.start, around.stop))
            maps = film.depth.maps(around, scenes)
            for number, frame, inverse in zip(around, decoded, maps, strict=True):
                if frame.lost and number in part:
                    self._lost.add(number)
                screen = next((value for scene, value in screens.items() if number in scene), None)
                yield FilmFrame(frame.picture, inverse, screen, frame.decoded)

        pictures = packed_pictures(frames(), film.settings)
        yield from islice(pictures, part.start - around.start, part.stop - around.start)

    def _expect_room(self) -> None:
        """Raise unless there is room for the rest of the film, by what its pieces have taken so far."""
        made = [number for number in range(len(self.parts)) if self._path(number).exists()]
        taken = sum(self._path(number).stat().st_size for number in made)
        self._film.expect_room(self._folder.path, taken, sum(len(self.parts[number]) for number in made))

    def _tidy(self, part: range) -> None:
        """Delete the depth of scenes all of whose pieces are there."""
        for scene in self._scenes_of(part):
            shown = (number for number, each in enumerate(self.parts) if scene in self._scenes_of(each))
            if all(self._path(number).exists() for number in shown):
                for path in (self._depth_path(scene), self._depth_path(scene).with_suffix(".json")):
                    path.unlink(missing_ok=True)
