"""The film, joined from its pieces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..delivery.output_files import written
from ..delivery.video_file import VideoFile
from .segments import joined
from .unfinished import noted
from .work_folder import WorkFolder


def join(folder: WorkFolder, pieces: Sequence[Path], file: VideoFile, path: Path, keep: bool = False) -> bool:
    """Write a film from its pieces, and delete these unless they are to be kept.

    Args:
        folder: of the pieces.
        pieces: all of the film, in its order.
        file: all of the film but its pictures.
        path: to write it to.
        keep: the pieces.

    Returns:
        False where another process is just writing it.

    Raises:
        ValueError: it cannot be written.
    """
    with folder.claim("film") as claim:
        if claim is None:
            return False
        with noted(folder, path), written(path) as partial:
            file.write_packets(partial, joined(pieces, file.timing, claim.touch))
    if not keep:
        folder.remove()
    return True
