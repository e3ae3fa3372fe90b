"""The work on a film, window by window: what is finished of it, and the next window put to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...stereo_core.film_windows import windows_before
from ...stereo_core.formats import StereoFormat
from ...stereo_core.video_formats import Sphere
from ...stereo_core.windows import fade
from ..delivery.video_file import VideoFile
from ..delivery.video_views import VideoViews
from .chosen_window import ChosenWindow
from .frames import read_frames
from .joining import join
from .left_planes import PackedPicture
from .segments import count_pictures, write_segment
from .whole_files import whole
from .work_folder import WorkFolder
from .working_ahead import ahead

_VIEWS = "views.json"


class WindowWork:
    """A window of a film, and the folder in which the finished ones lie."""

    def __init__(self, chosen: ChosenWindow, folder: WorkFolder) -> None:
        """Nothing is done yet."""
        self._chosen, self._folder, self._number = chosen, folder, chosen.number

    @property
    def is_done(self) -> bool:
        """Whether this window's piece of the film is there."""
        path = self._path(self._number)
        return path.exists() and count_pictures(path) == len(self._chosen.window.piece)

    @property
    def missing(self) -> list[int]:
        """The windows that are not done.

        Raises:
            FileNotFoundError: the folder is gone.
        """
        missing = [number for number in range(len(self._chosen.windows)) if not self._path(number).exists()]
        if missing:
            self._folder.path.stat()  # raises where they were deleted with it
        return missing

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of a view of the windows that are done."""
        height, width, _ = json.loads(self._folder.file(_VIEWS).read_text(encoding="utf-8"))
        return height, width

    def expect_before(self) -> None:
        """Raise ``ValueError`` unless the window before is done, where this one fades from it."""
        before, number = self._number - 1, self._number
        if self._chosen.window.shared and not self._kept_path(before).exists():
            behind = [each for each in windows_before(self._chosen.windows, number) if not self._path(each).exists()]
            there = self._folder.path.exists()
            raise ValueError(
                f"window: {number} fades from window {before}, which is not done. Queue window "
                f"{min([*behind, before])} first, and go on from there."
                + ("" if there else " If another ComfyUI has just finished this film, there is nothing left to do.")
            )

    def expect_alike(self, size: tuple[int, int], left: bool) -> None:
        """Raise ``ValueError`` where the windows before had views of another size (H, W), or another left view."""
        path, views = self._folder.file(_VIEWS), [*size, left]
        if not path.exists():
            self._folder.write(_VIEWS, json.dumps(views).encode())
        before = json.loads(path.read_text(encoding="utf-8"))
        if before != views:
            raise ValueError(
                f"right: this window is {_spelled(views)}, and those before are {_spelled(before)}. Make all windows "
                "alike, or choose another filename_prefix."
            )

    def make(self, left: Tensor | None, right: Tensor, form: StereoFormat | Sphere, file: VideoFile) -> None:
        """Write this window's piece of the film, unless it is there by now, and keep what the next one fades from.

        Args:
            left: (T, 3, H, W) in [0, 1], the window's frames; ``None`` for those of the film.
            right: the same.
            form: in which both share the picture.
            file: that the film becomes.

        Raises:
            ValueError: another process is writing it, or it cannot be written.
            FileNotFoundError: the folder is gone.
        """
        window = self._chosen.window
        with self._folder.claim(f"{self._number:06}") as claim:
            if claim is None:
                raise ValueError(f"window: another ComfyUI is just writing window {self._number}. Queue another one.")
            if self.is_done:  # another machine was quicker
                return
            views = (right if left is None else torch.cat([left, right], 1)).float()
            if window.shared:
                before = torch.from_numpy(np.load(self._kept_path(self._number - 1))).to(views)
                views = torch.cat([fade(before, views[: window.shared]), views[window.shared :]])
            done = len(window.piece)
            if window.kept:
                with whole(self._kept_path(self._number)) as partial, partial.open("wb") as kept:
                    np.save(kept, views[done:].half().cpu().numpy())
            size = VideoViews(form, views[:1, -3:], views[:1, -3:], None).size
            rate = self._chosen.plan.timing.encoders
            pictures = self._pictures(views[:done], form)
            if write_segment(self._path(self._number), file.encoding, rate, size, pictures) != done:
                self._path(self._number).unlink(missing_ok=True)
                raise ValueError("video: fewer pictures came than the window has. Has the file changed meanwhile?")
            if window.shared:
                self._kept_path(self._number - 1).unlink(missing_ok=True)

    def join(self, path: Path, file: VideoFile) -> bool:
        """Write the film from all of its windows; false where another process is just writing it."""
        return join(self._folder, [self._path(each) for each in range(len(self._chosen.windows))], file, path)

    def _pictures(self, views: Tensor, form: StereoFormat | Sphere) -> Iterator[PackedPicture]:
        plan, piece = self._chosen.plan, self._chosen.window.piece
        if views.shape[1] > 3:  # both are given
            both = VideoViews(form, *views.split(3, 1), None)
            yield from (PackedPicture(both.frame(index), form) for index in range(len(views)))
            return
        frames = ahead(read_frames(plan.file, plan.times, piece.start, piece.stop))
        for frame, right in zip(frames, views.split(1), strict=True):
            packed = VideoViews(form, frame.picture, right.cpu(), None).frame(0)
            yield PackedPicture(packed, form, frame.decoded)

    def _path(self, number: int) -> Path:
        return self._folder.file(f"{number:06}.mp4")

    def _kept_path(self, number: int) -> Path:
        return self._folder.file(f"{number:06}.npy")


def _spelled(views: list[int]) -> str:
    height, width, left = views
    return f"{width}x{height} with left {'connected' if left else 'not connected'}"
