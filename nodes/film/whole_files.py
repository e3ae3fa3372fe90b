"""Files that are there once they are whole, and what is said where they cannot be written."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a path to write a file to, which becomes ``path`` in the end, or goes where the work fails or ends early.

    Raises:
        ValueError: as ``writing``.
    """
    partial = partial_of(path)
    try:
        with writing(path):
            yield partial
            flush(partial)
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """See to it that what is written lies on the disk: there it stays when the computer is switched off.

    Raises:
        OSError: some disks tell only now that they are full.
    """
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def partial_of(path: Path) -> Path:
    """Return where this process writes a file before it is whole.

    Another process may take this one for dead and write the same file; on another machine it may have the same number.
    """
    return path.with_name(f"{path.name}.{socket.gethostname()}.{os.getpid()}.part")


@contextmanager
def writing(path: Path, begun: bool = True) -> Iterator[None]:
    """Write a file or folder of a film's work.

    Args:
        path: of it.
        begun: its folder was there before.

    Raises:
        ValueError: it cannot be written.
        FileNotFoundError: its folder is gone, as the work is once another process has finished the film.
    """
    try:
        yield
    except OSError as error:
        if begun and isinstance(error, FileNotFoundError):
            raise
        raise ValueError(
            f"filename_prefix: {path} cannot be written: {error.strerror or error}. Make room there, or choose another "
            "folder; what is finished is kept."
        ) from error
