"""What is finished of a film, in a folder that several processes may share."""

from __future__ import annotations

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

# A lock that nobody has touched for so many seconds belongs to nobody. Those of this machine go with their process.
_STALE = 3600
# How often a lock is touched, in seconds.
_TOUCH = 30
_MANIFEST, _LOCK, _PART = "manifest.json", ".lock", ".part"


@dataclass(frozen=True)
class WorkFolder:
    """A folder of finished work.

    Attributes:
        path: of the folder, which is there.
    """

    path: Path

    @classmethod
    def open(cls, path: Path, film: dict[str, Any]) -> tuple[WorkFolder, bool]:
        """Make a folder for a film, or go on with the one that is there.

        Args:
            path: of the folder.
            film: all that the film depends on, as JSON has it. Work on another film is thrown away.

        Returns:
            The folder, and whether work was thrown away.

        Raises:
            ValueError: someone is working on another film in this folder.
            OSError: the folder cannot be made or written to.
        """
        folder = cls(path)
        path.mkdir(parents=True, exist_ok=True)
        told = json.dumps({"key": _key(film), "film": film}, indent=1, default=str)
        with folder._waiting("open"):
            found = folder._manifest()
            if found.get("key") == _key(film):
                return folder, False
            others = [lock for lock in path.rglob(f"*{_LOCK}") if lock.stem != "open" and not _is_stale(lock)]
            if found and others:
                raise ValueError(
                    f"{path.name}: another film or other settings are being worked on in this folder. Choose another "
                    "name, or wait until that work has ended."
                )
            for each in path.iterdir():
                if each.name != f"open{_LOCK}":
                    shutil.rmtree(each) if each.is_dir() else each.unlink()
            folder.write(_MANIFEST, told.encode())
        return folder, bool(found)

    def file(self, name: str) -> Path:
        """Return where a piece of work is or will be."""
        return self.path / name

    def write(self, name: str, data: bytes) -> None:
        """Write a small file, which is there once it is whole."""
        partial = self.path / f"{name}.{os.getpid()}{_PART}"
        partial.write_bytes(data)
        partial.replace(self.path / name)

    @contextmanager
    def claim(self, name: str) -> Iterator[Claim | None]:
        """Take a piece of work, unless another process has it: then nothing is given."""
        path = self.path / f"{name}{_LOCK}"
        if path.exists() and _is_stale(path):
            path.unlink(missing_ok=True)
        try:
            with path.open("x", encoding="utf-8") as file:
                json.dump(_me(), file)
        except FileExistsError:
            yield None
            return
        try:
            yield Claim(path)
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def _waiting(self, name: str) -> Iterator[None]:
        while True:
            with self.claim(name) as claim:
                if claim:
                    yield
                    return
            time.sleep(0.05)

    def _manifest(self) -> dict[str, Any]:
        with suppress(FileNotFoundError, ValueError):
            return json.loads((self.path / _MANIFEST).read_text(encoding="utf-8"))
        return {}

    def remove(self) -> None:
        """Delete the folder with all that is in it."""
        shutil.rmtree(self.path)


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


def _key(film: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(film, sort_keys=True, default=str).encode()).hexdigest()


def _me() -> dict[str, Any]:
    return {"machine": socket.gethostname(), "process": os.getpid(), "since": psutil.Process().create_time()}


def _is_stale(lock: Path) -> bool:
    try:
        age = time.time() - lock.stat().st_mtime
        owner = json.loads(lock.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # gone, or just being written
        return False
    if age > _STALE or owner["machine"] != socket.gethostname():
        return age > _STALE
    with suppress(psutil.Error):
        return psutil.Process(owner["process"]).create_time() != owner["since"]
    return True
