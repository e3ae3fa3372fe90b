"""What is finished of a film, in a folder that several processes may share."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from .whole_files import partial_of, whole, writing

WAIT = 1.0
"""Seconds after which to look again whether others have finished."""

# A lock that nobody has touched for so many seconds belongs to nobody. Those of this machine go with their process.
_STALE = 3600
# How often a lock is touched, in seconds.
_TOUCH = 30
_MANIFEST, _LOCK, _ENDING = "manifest.json", ".lock", ".segments"
_DIGITS = 12  # of what tells films apart


@dataclass(frozen=True)
class WorkFolder:
    """A folder of finished work.

    Attributes:
        path: of the folder, which is there.
    """

    path: Path

    @classmethod
    def find(cls, root: Path, name: str, film: dict[str, Any]) -> WorkFolder:
        """Return the folder of a film, which is there or not yet; ``open`` tells what the arguments are."""
        key = hashlib.sha256(json.dumps(film, sort_keys=True, default=str).encode()).hexdigest()
        ending = f".{key[:_DIGITS]}{_ENDING}"
        return cls(min(root.glob(f"*{ending}"), default=root / f"{name}{ending}"))

    @classmethod
    def open(cls, root: Path, name: str, film: dict[str, Any]) -> WorkFolder:
        """Make a folder for a film, or go on with the one that is there.

        Args:
            root: the folder to make it in.
            name: of the film; with the time in it the next run has another, and goes on all the same.
            film: all that the film depends on, as JSON has it. Another film, or the same one with other settings, has
                another folder: nobody's work is thrown away.

        Raises:
            ValueError: the folder cannot be made or written to.
        """
        folder = cls.find(root, name, film)
        with writing(folder.path, begun=False):
            folder.path.mkdir(parents=True, exist_ok=True)
        if not folder.file(_MANIFEST).exists():
            folder.write(_MANIFEST, json.dumps(film, indent=1, default=str).encode())
        return folder

    @property
    def others(self) -> list[Path]:
        """Folders of the same film with other settings, or of one of the same name."""
        name = self.path.name[: -len(_ENDING) - _DIGITS]
        found = self.path.parent.glob(f"{glob.escape(name)}*{_ENDING}")
        return sorted(path for path in found if path != self.path and len(path.name) == len(self.path.name))

    @property
    def remarks(self) -> tuple[str, ...]:
        """Say where unfinished work lies that nobody goes on with unless the settings are as they were."""
        if not self.others:
            return ()
        return (f"Unfinished, with other settings: {', '.join(path.name for path in self.others)} in the same folder.",)

    @property
    def about_gone(self) -> str | None:
        """Say why the folder is not there any more; ``None`` where it is."""
        if self.path.exists():
            return None
        return (
            f"{self.path.name} is gone from {self.path.parent}. Another ComfyUI has just finished this film there, or "
            "somebody has deleted the folder; then queue it again."
        )

    def file(self, name: str) -> Path:
        """Return where a piece of work is or will be."""
        return self.path / name

    def write(self, name: str, data: bytes) -> None:
        """Write a small file, which is there once it is whole."""
        with whole(self.path / name) as partial:
            partial.write_bytes(data)

    @contextmanager
    def claim(self, name: str) -> Iterator[Claim | None]:
        """Take a piece of work, unless another process has it: then nothing is given."""
        path = self.path / f"{name}{_LOCK}"
        with writing(path):
            if path.exists() and _is_stale(path):
                path.unlink(missing_ok=True)
            taken = _take(path)
        if not taken:
            yield None
            return
        try:
            yield Claim(path)
        finally:
            path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the folder with all that is in it; others that work in it notice at once."""
        gone = partial_of(self.path)
        self.path.rename(gone)
        shutil.rmtree(gone)


@dataclass
class Claim:
    """A piece of work that this process has.

    Attributes:
        path: of its lock.
    """

    path: Path
    _touched: float = 0.0

    def touch(self) -> None:
        """Say that this process is still at work; to be called now and then."""
        if time.monotonic() - self._touched > _TOUCH:
            with suppress(OSError):  # a network's hiccup is no reason to end
                os.utime(self.path)
            self._touched = time.monotonic()


def _take(lock: Path) -> bool:
    """Make a lock; false where there is one."""
    try:
        file = lock.open("x", encoding="utf-8")
    except FileExistsError:
        return False
    try:
        with file:
            file.write(owner())
    except OSError:  # a full disk
        lock.unlink(missing_ok=True)
        raise
    return True


def owner() -> str:
    """Return what a lock of this process says."""
    since = psutil.Process().create_time()
    return json.dumps({"machine": socket.gethostname(), "process": os.getpid(), "since": since})


def _is_stale(lock: Path) -> bool:
    try:
        age, text = _age(lock), lock.read_text(encoding="utf-8")
    except OSError:  # gone meanwhile
        return False
    try:
        said = json.loads(text)
        machine, process, since = said["machine"], said["process"], said["since"]
    except (ValueError, TypeError, KeyError):  # just being written, or by a process that was killed while it wrote
        return age > _TOUCH
    if age > _STALE or machine != socket.gethostname():
        return age > _STALE
    with suppress(psutil.Error):
        there = psutil.Process(process)  # the number may be another's by now, or one that its parent has not buried
        return there.create_time() != since or there.status() == psutil.STATUS_ZOMBIE
    return True


def _age(file: Path) -> float:
    """Return for how many seconds a file has not been touched, by the clock of the disk that it is on."""
    probe = file.with_name(f".{os.getpid()}.now")
    probe.touch()
    now = probe.stat().st_mtime
    probe.unlink(missing_ok=True)
    return now - file.stat().st_mtime
