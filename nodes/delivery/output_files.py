"""Files in the host's output folder: named as the host names its own, and whole or not there at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path

import folder_paths
from comfy_api.latest import io, ui

from ...stereo_core.file_names import file_name

# There a colon does not fail, but leaves an empty file without an ending.
_ON_WINDOWS, _NOT_ON_WINDOWS = os.name == "nt", set(':*?"<>|')
# Nor does a device's name, also with an ending, whatever is written to it.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
# Letters that a number, the longest suffix, an extension and what marks a part of a file take.
_ENDING = 60


class Numbering(str, Enum):
    """When a number keeps a file's name apart from others."""

    ALWAYS = "always"
    IF_TAKEN = "if_taken"


class OutputFiles:
    """The next free names in one folder below the host's output folder.

    Attributes:
        folder: where the files go; it is there, and can be written to.
        name: of the files, before any number and ending.
    """

    def __init__(self, prefix: str, width: int, height: int, numbering: Numbering = Numbering.ALWAYS) -> None:
        """Find the folder, or make it.

        Args:
            prefix: what the widget ``filename_prefix`` holds: a name, or folders and a name.
            width: of the picture, for %width% in the prefix.
            height: of the picture, for %height%.
            numbering: whether every name gets a number.

        Raises:
            ValueError: no name, one outside the output folder, or a folder in which nothing can be written.
        """
        output = Path(folder_paths.get_output_directory())
        if not prefix.strip() or os.path.normpath(prefix) == ".":
            raise ValueError("filename_prefix: is empty. Type a name for the file.")
        if not folder_paths.is_within_directory(str(output), str(output / os.path.normpath(prefix))):
            raise ValueError(
                f"filename_prefix: {prefix} lies outside ComfyUI's output folder. Type a name, or folders within it "
                "and a name, such as stereo/beach."
            )
        if _ON_WINDOWS and _NOT_ON_WINDOWS & set(prefix):
            raise ValueError(
                f"filename_prefix: {prefix} holds one of {' '.join(sorted(_NOT_ON_WINDOWS))}, which Windows allows in "
                "no name. Type another."
            )
        if _ON_WINDOWS and (device := next(filter(_is_device, Path(prefix).parts), None)):
            raise ValueError(f"filename_prefix: {device} is the name of a device on Windows. Type another.")
        try:
            folder, self.name, self._number, self._subfolder, _ = folder_paths.get_save_image_path(
                prefix, str(output), width, height
            )
            self.folder = Path(folder)
            probe = self.folder / f".{self.name}.{os.getpid()}.part".ljust(len(self.name) + _ENDING, "_")
            probe.touch()
            probe.unlink(missing_ok=True)  # a process of the same number on another machine
        except OSError as error:
            raise ValueError(_cannot_write(prefix, error)) from error
        self._numbering, self._given = Numbering(numbering), 0

    def expect_room(self, size: int) -> None:
        """Raise ``ValueError`` unless there is room in the folder for so many bytes."""
        free = shutil.disk_usage(self.folder).free
        if size > free:
            raise ValueError(
                f"filename_prefix: the files need up to {size / 2**20:.0f} MiB, and {free / 2**20:.0f} MiB are free in "
                f"{self.folder}. Make room there, or choose a folder on another disk."
            )

    def next(self, suffix: str, extension: str) -> Path:
        """Return the next free name with this ending, such as ``player_suffix`` gives, and this extension."""
        name = self.name.replace("%batch_num%", str(self._given))
        self._given += 1
        if self._numbering is Numbering.IF_TAKEN:
            path = self.folder / file_name(name, None, suffix, extension)
            if not os.path.lexists(path):  # Path's own raises where a name is too long, which writing will tell of
                return path
        while True:  # the host counts names by what the prefix says, in which %batch_num% has no value yet
            path = self.folder / file_name(name, self._number, suffix, extension)
            self._number += 1
            if not os.path.lexists(path):
                return path

    def result(self, path: Path) -> ui.SavedResult:
        """Return what the host's editor finds a written file by."""
        return ui.SavedResult(path.name, self._subfolder, io.FolderType.output)


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Give a path to write a file to, which becomes ``path`` in the end, or goes if writing fails or is interrupted.

    Raises:
        ValueError: it cannot be written, or another program took the name first.
    """
    partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    leftover = [partial]
    try:
        path.touch(exist_ok=False)  # no other ComfyUI with this folder takes the name meanwhile
        leftover.append(path)
        yield partial
        os.replace(partial, path)
        leftover.clear()
    except OSError as error:
        raise ValueError(_cannot_write(path.name, error)) from error
    finally:
        for file in leftover:
            with suppress(OSError):  # it never came to be, or the disk is gone
                file.unlink()


def parts_of(path: Path) -> list[Path]:
    """Return what ``written`` has made of a file that is not there yet, in whatever process; of no other file."""
    part = re.compile(rf"\.{re.escape(path.stem)}\.\d+\.part{re.escape(path.suffix)}(\.raw)?")
    return [each for each in path.parent.iterdir() if part.fullmatch(each.name)]


@contextmanager
def written_folder(path: Path) -> Iterator[Path]:
    """Give a new folder to write files to, which becomes ``path`` in the end, or goes as with ``written``.

    Raises:
        ValueError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.mkdir()
        yield partial
        os.rename(partial, path)
    except OSError as error:
        raise ValueError(_cannot_write(path.name, error)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)  # what was written is elsewhere by now


def _is_device(name: str) -> bool:
    return name.split(".")[0].rstrip().lower() in _DEVICES


def _cannot_write(what: str, error: OSError) -> str:
    if error.errno == errno.ENAMETOOLONG:
        return f"filename_prefix: {what} is too long for the name of a file. Type a shorter one."
    if error.errno == errno.EEXIST:
        return f"filename_prefix: another program has just written {what}. Try again, or choose another name."
    return (
        f"filename_prefix: {what} cannot be written: {error.strerror or error}. Choose another folder, or make this "
        "one writable and leave room in it."
    )
