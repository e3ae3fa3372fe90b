"""A film that is just being written beside its pieces: what a process leaves of it that is killed meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from .work_folder import WorkFolder

_NOTE = "written.json"


@contextmanager
def noted(folder: WorkFolder, path: Path) -> Iterator[None]:
    """Write a film to ``path``; what an earlier process has left of it, which was killed, goes first.

    Args:
        folder: of the pieces, claimed by this process for the film.
        path: of the film; ``written`` gives it.
    """
    note = folder.file(_NOTE)
    if note.exists():
        clear(Path(json.loads(note.read_text(encoding="utf-8"))))
    folder.write(_NOTE, json.dumps(str(path.absolute())).encode())
    try:
        yield
    finally:
        with suppress(OSError):
            note.unlink()


def clear(path: Path) -> None:
    """Delete what ``written`` makes before a film is there: its name, without content, and hidden files."""
    hidden = list(path.parent.glob(f".{escape(path.stem)}.*.part*"))
    for each in hidden if path.exists() and path.stat().st_size else [path, *hidden]:
        with suppress(OSError):
            each.unlink()
