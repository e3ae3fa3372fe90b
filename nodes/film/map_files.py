"""Maps of a scene's frames in one file, .npy, written and read one at a time: none stays in memory.

The file grows as they come, and is never mapped into memory: there a full disk ends the whole process.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.lib.format import read_array_header_1_0, read_magic, write_array_header_1_0
from torch import Tensor

from .whole_files import writing

_FLOAT = np.dtype("<f4")


def write_map(path: Path, number: int, frames: int, values: Tensor) -> None:
    """Write the map (1, 1, h, w) of a frame, after those of all frames before; the first one begins the file.

    Args:
        path: of the file, (T, 1, h, w) float32.
        number: of the frame.
        frames: T.
        values: the map.

    Raises:
        ValueError: it cannot be written.
    """
    data = values.numpy().astype(_FLOAT)
    with writing(path), path.open("r+b" if number else "wb") as file:
        if number:
            _seek(file, number)
        else:
            told = {"descr": _FLOAT.str, "fortran_order": False, "shape": (frames, *data.shape[1:])}
            write_array_header_1_0(file, told)
        file.write(data.tobytes())


def read_map(path: Path, number: int) -> Tensor:
    """Read the map (1, 1, h, w) of a frame."""
    with path.open("rb") as file:
        shape = _seek(file, number)
        values = np.frombuffer(file.read(_bytes(shape)), _FLOAT).reshape(shape)
    return torch.from_numpy(values.copy())[None]


def count_maps(path: Path) -> int:
    """Return how many maps the file will hold once it is whole."""
    with path.open("rb") as file:
        read_magic(file)
        return read_array_header_1_0(file)[0][0]


def _seek(file: BinaryIO, number: int) -> tuple[int, ...]:
    """Go to where a map begins; returns its shape (1, h, w)."""
    read_magic(file)
    (_, *shape), _, _ = read_array_header_1_0(file)
    file.seek(number * _bytes(tuple(shape)), os.SEEK_CUR)
    return tuple(shape)


def _bytes(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape)) * _FLOAT.itemsize
