"""A film in windows of a few frames each, which are worked on by themselves: each lies within one scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .windows import plan_windows


@dataclass(frozen=True, slots=True)
class Window:
    """A window of a film.

    Attributes:
        frames: of the film that it shows, all of one scene.
        piece: those of them that are finished with it: all before the next window of the scene.
        shared: frames at its beginning that the window before shows, too.
    """

    frames: range
    piece: range
    shared: int

    @property
    def kept(self) -> range:
        """The frames that the next window fades from."""
        return range(self.piece.stop, self.frames.stop)


def plan_film_windows(starts: Sequence[int], frames: int, length: int, overlap: int) -> tuple[Window, ...]:
    """Cut a film into windows that start over with each scene.

    Args:
        starts: the frame with which each scene begins, rising; the first is 0.
        frames: of the film.
        length: frames of a window.
        overlap: frames that a window shares with the one before. The last of a scene may share more, since it ends with
            the scene.

    Returns:
        The windows in the order of time. Each has ``length`` frames, but for a scene that is shorter, which is one
        window. Each frame of the film is in one ``piece``.

    Raises:
        ValueError: ``length`` below 1, or ``overlap`` not shorter than ``length``.
    """
    if length < 1:
        raise ValueError(f"length: got {length}. Give at least one frame.")
    if not 0 <= overlap < length:
        raise ValueError(f"overlap: {overlap} frames of a window of {length}. Give 0 to {length - 1}.")
    windows: list[Window] = []
    for first, end in zip(starts, [*starts[1:], frames], strict=True):
        slices = plan_windows(end - first, length, overlap)
        begins = [first + part.start for part in slices]
        ends = [first + part.stop for part in slices]
        pieces = map(range, begins, [*begins[1:], end])
        shared = [max(0, done - begin) for done, begin in zip([first, *ends], begins, strict=False)]
        windows += map(Window, map(range, begins, ends), pieces, shared)
    return tuple(windows)


def windows_before(windows: Sequence[Window], number: int) -> range:
    """Return the numbers of the windows of the same scene that must be done before this one, in their order."""
    first = number
    while windows[first].shared:
        first -= 1
    return range(first, number)
