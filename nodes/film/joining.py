"""The film, joined from its pieces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..delivery.output_files import written
from ..delivery.video_file import VideoFile
from .segments import joined
from .unfinished import clear, is_written, keep_word, noted
from .whole_files import flush
from .work_folder import WorkFolder


def join(
    folder: WorkFolder, pieces: Sequence[Path], file: VideoFile, path: Path, keep: bool = False, chosen: bool = False
) -> bool:
    """Write a film from its pieces, and delete these unless they are to be kept.

    Args:
        folder: of the pieces.
        pieces: all of the film, in its order.
        file: all of the film but its pictures.
        path: to write it to.
        keep: the pieces.
        chosen: the name is the user's choice and no new one. Nothing is done where another process has written the
            film; where it is empty, work stopped there that has no note.

    Returns:
        False where another process is just writing it.

    Raises:
        ValueError: it cannot be written.
    """
    with folder.claim("film") as claim:
        if claim is None:
            return False
        if chosen:
            if is_written(folder, path):
                return True
            clear(path)
        with noted(folder, path), written(path) as partial:
            file.write_packets(partial, joined(pieces, file.timing, claim.touch))
            flush(partial)  # its pieces go
        if keep:
            keep_word(folder, path)
    if not keep:
        folder.remove()
    return True
