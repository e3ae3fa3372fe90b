"""Files of Video Depth Anything in the host's models folder, recognised by the names of their tensors."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import folder_paths
from safetensors import SafetensorError, safe_open

from .folders import MODEL_FOLDER, folders_below
from .settings import quote
from .video_weights import MARK, Shape, read_shape

# What tools/convert_depth.py writes into the file, since the tensors do not tell.
METRIC = "metric"

_PICKLED = (".pth", ".pt", ".bin", ".ckpt")
_NAME = "video_depth_anything"  # in the names of all published files


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A file of weights, read as far as that goes without them.

    Attributes:
        name: for messages.
        path: of the file.
        shape: of its network.
        metric: whether the network gives distances in metres instead of inverse depth.
    """

    name: str
    path: Path
    shape: Shape
    metric: bool


def is_file_name(name: object) -> bool:
    """Tell whether a model's name is that of a file, as folders do not have them."""
    return str(name).lower().endswith((".safetensors", *_PICKLED))


def list_video_models() -> list[str]:
    """Name the files of Video Depth Anything below the host's ``geometry_estimation`` paths.

    Published files that hold pickled weights are named, too: choosing one says how to convert it.
    """
    names = set()
    visited: set[tuple[int, int]] = set()
    for base in map(Path, folder_paths.get_folder_paths(MODEL_FOLDER)):
        for folder, files in folders_below(base, visited):
            if "config.json" not in files:  # then they are of a Hugging Face folder
                names |= {(folder / file).relative_to(base).as_posix() for file in files if _is_listed(folder / file)}
    return [name for name in sorted(names) if name.isprintable()]


def _is_listed(path: Path) -> bool:
    if path.name.lower().endswith(_PICKLED):
        return _NAME in path.name.lower() and path.is_file() and not path.with_suffix(".safetensors").exists()
    return is_file_name(path.name) and MARK in _read(str(path))[0]


def find_video_model(name: str) -> VideoFile:
    """Find a file by its name, and read of which shape its network is.

    Raises:
        ValueError: it is missing, holds pickled weights, or another network; the message says what to do.
    """
    shown = name if len(name) < 120 and name.isprintable() else quote(name)
    wanted = f"models/{MODEL_FOLDER}/{shown}"
    path = folder_paths.get_full_path(MODEL_FOLDER, name)
    if path is None or not os.path.isfile(path):
        raise ValueError(f"model_name: {wanted} does not exist. Put the model's file there, and choose it.")
    if name.lower().endswith(_PICKLED):
        raise ValueError(
            f"model_name: {wanted} holds pickled weights, which are not read, as they can run code. "
            f'Convert it once, in the folder of this pack: python tools/convert_depth.py "{path}"'
        )
    sizes, metadata = _read(path)
    if MARK not in sizes:
        _expect_readable(path, wanted)
        raise ValueError(
            f"model_name: {wanted} is not a file of Video Depth Anything or DepthCrafter. Other networks that are a "
            "single file are loaded by nodes of their own: Load Depth Anything 3, Load MoGe Model."
        )
    try:
        shape = read_shape(sizes)
    except (LookupError, ValueError) as error:
        raise ValueError(
            f"model_name: {wanted} is not a whole network of Video Depth Anything ({error}). Fetch the file again."
        ) from error
    metric = metadata.get(METRIC, str(METRIC in os.path.basename(name).lower())).lower() == "true"
    return VideoFile(shown, Path(path), shape, metric)


def _expect_readable(path: str, wanted: str) -> None:
    try:
        with safe_open(path, framework="pt"):
            return
    except (OSError, SafetensorError) as error:
        raise ValueError(
            f"model_name: {wanted} cannot be read: it is cut short, or not in the safetensors format. Fetch the file "
            "again; a .pth file must be converted (tools/convert_depth.py), not renamed."
        ) from error


def _read(path: str) -> tuple[dict[str, list[int]], dict[str, str]]:
    """Return the sizes of a file's tensors by their names, and what is written with them; nothing of another format."""
    try:
        status = os.stat(path)
    except OSError:
        return {}, {}
    return _read_once(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1000)
def _read_once(path: str, _changed: int, _size: int) -> tuple[dict[str, list[int]], dict[str, str]]:
    if not os.path.isfile(path):
        return {}, {}
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            if MARK not in names:
                return {}, {}
            return {name: file.get_slice(name).get_shape() for name in names}, file.metadata() or {}
    except (OSError, SafetensorError):
        return {}, {}
