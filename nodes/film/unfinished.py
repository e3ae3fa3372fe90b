"""A film that is just being written beside its pieces: what a process leaves of it that is killed meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..delivery.output_files import parts_of
from .work_folder import WorkFolder

_NOTE, _DONE = "written.json", "film.json"


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


def keep_word(folder: WorkFolder, path: Path) -> None:
    """Let others know that ``path`` is the film, made of the pieces in the folder, which stay."""
    folder.write(_DONE, json.dumps(_known_by(path)).encode())


def is_written(folder: WorkFolder, path: Path) -> bool:
    """Tell whether ``path`` is the film of ``keep_word``, and not another one."""
    done = folder.file(_DONE)
    return is_there(path) and done.exists() and json.loads(done.read_text(encoding="utf-8")) == _known_by(path)


def is_there(path: Path) -> bool:
    """Tell whether a film is written; its name alone is there before."""
    return path.exists() and path.stat().st_size > 0


def clear(path: Path) -> None:
    """Delete what ``written`` makes before a film is there: its name, without content, and hidden files."""
    for each in parts_of(path) if is_there(path) else [path, *parts_of(path)]:
        with suppress(OSError):
            each.unlink()


def _known_by(path: Path) -> list[str | int]:
    return [path.name, path.stat().st_size]
