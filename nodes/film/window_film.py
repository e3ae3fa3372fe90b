"""A film that is made window by window: its settings, and the folder of what is finished."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ...stereo_core.formats import StereoFormat
from ...stereo_core.video_formats import Sphere
from ..delivery.output_files import OutputFiles
from ..delivery.video_plan import FileOptions, VideoPlan
from ..delivery.video_views import expect_even, size_of_packed
from ..host import image_to_core
from .chosen_window import ChosenWindow
from .film import FilmShape, film_video
from .identity import file_identity, programs_identity
from .window_work import WindowWork
from .work_folder import WorkFolder

_TIMES = re.compile("%(year|month|day|hour|minute|second)%")


@dataclass(frozen=True)
class WindowFilm:
    """A film that is made window by window.

    Attributes:
        chosen: the window that is put to it now.
        form: in which both views share the picture.
        options: of the file.
        files: names for it.
        known: all that it depends on.
        folder: of finished windows; there once the film is begun.
        work: on this window.
    """

    chosen: ChosenWindow
    form: StereoFormat | Sphere
    options: FileOptions
    files: OutputFiles
    known: dict[str, Any]
    folder: WorkFolder
    work: WindowWork

    @classmethod
    def open(cls, chosen: ChosenWindow, form: StereoFormat | Sphere, options: FileOptions, prefix: str) -> WindowFilm:
        """Look for what there is of a film.

        Raises:
            ValueError: ``prefix`` is no name, or one that changes between two windows.
        """
        if found := _TIMES.search(prefix):
            raise ValueError(
                f"filename_prefix: {found[0]} changes before all windows are done, which are found by that name. Leave "
                "it out."
            )
        plan = chosen.plan
        height, width = plan.size
        files = OutputFiles(prefix, width, height)
        known = {
            "file": file_identity(plan.file),
            "frames": [plan.times[0], plan.times[-1], len(plan)],
            "windows": {"length": chosen.length, "overlap": chosen.overlap, "seed": chosen.film_seed},
            "form": form,
            "options": options,
            "programs": programs_identity(),
        }
        folder = WorkFolder.find(files.folder, files.name, known)
        return cls(chosen, form, options, files, known, folder, WindowWork(chosen, folder))

    def begin(self) -> None:
        """Make the film's folder, unless it is there.

        Raises:
            ValueError: the window fades from one that is not done, or the folder cannot be made or written to.
        """
        self.work.expect_before()
        WorkFolder.open(self.files.folder, self.files.name, self.known)

    def settle(self, size: tuple[int, int], metadata: dict[str, str]) -> VideoPlan:
        """Settle what file it becomes.

        Args:
            size: (H, W) of a view.
            metadata: texts by name, besides the source's.

        Raises:
            ValueError: something does not fit.
        """
        own = size == self.chosen.plan.size
        what = "video: its pictures are" if own else "right: the views are"
        expect_even(what, *size, "with another program first" if own else "with Upscale Image")
        shape = FilmShape(self.form, size_of_packed(self.form, *size), len(self.chosen.plan))
        return film_video(self.chosen.plan, shape, self.options, metadata)


def window_views(chosen: ChosenWindow, left: Tensor | None, right: Tensor) -> tuple[Tensor | None, Tensor]:
    """Return the views of a window's frames, (T, 3, H, W) each; the left one ``None`` where it is the film's.

    Args:
        chosen: the window; pictures beyond its frames are dropped.
        left: IMAGE of its ``length`` pictures, or ``None``.
        right: the same; or both views in one batch, all left ones first.

    Raises:
        ValueError: another number of pictures, sizes that do not fit, or values that are not finite.
    """
    length, frames = chosen.length, len(chosen.window.frames)
    pictures = image_to_core(right, "right")
    if len(pictures) not in (length, 2 * length):
        raise ValueError(
            f"right: holds {len(pictures)} pictures, and the window {length}. Set length of Film Window to what the "
            "video model makes: 1, 5, 9 and so on for Wan."
        )
    pictures = pictures[-length:][:frames]
    if left is None:
        _expect_size("right", pictures, chosen.plan.size, "the film's frames are", "Connect left, or scale right.")
        return None, pictures
    others = image_to_core(left, "left")
    if len(others) != length:
        raise ValueError(f"left: holds {len(others)} pictures, and the window {length}. Connect one for each frame.")
    _expect_size("right", pictures, tuple(others.shape[-2:]), "left is", "Scale one of them.")
    return others[:frames], pictures


def _expect_size(name: str, pictures: Tensor, size: tuple[int, ...], what: str, advice: str) -> None:
    if tuple(pictures.shape[-2:]) != size:
        height, width = pictures.shape[-2:]
        raise ValueError(f"{name}: is {width}x{height}, and {what} {size[1]}x{size[0]}. {advice}")
