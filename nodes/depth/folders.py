"""Folders with depth networks in the Hugging Face layout, below the host's models folder.

A link to a folder is followed, since a person made it: models often lie on another disk. A link to a file is the
folder's own, so it must stay within the folder; and only regular files of a sensible size are opened.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import folder_paths

from .configs import FAMILIES, network_config, stride
from .preprocessing import Preprocessing, read_preprocessing
from .settings import quote

MODEL_FOLDER = "geometry_estimation"
MODEL_FILES = "config.json, preprocessor_config.json and model.safetensors"

_SETTINGS = ("config.json", "preprocessor_config.json")
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_MOST_BYTES = 4 * 2**20  # of a settings file; published ones have some kilobytes
_MOST_FOLDERS = 2000  # that a search visits; a link to the root of a disk would otherwise be searched for minutes
_FETCH = "Put the file there again from the model's page."


@dataclass(frozen=True, slots=True)
class DepthFiles:
    """A model's folder, read and checked as far as that goes without its weights.

    Attributes:
        name: for messages.
        config: the network's description, see ``network_config``.
        preprocessing: what preprocessor_config.json says.
        weights: the safetensors files, all within the folder.
    """

    name: str
    config: dict
    preprocessing: Preprocessing
    weights: tuple[Path, ...]


def list_depth_models() -> list[str]:
    """Name every folder below the host's ``geometry_estimation`` paths that holds a depth network.

    A name is the path below the models folder with forward slashes, the same on every system. What cannot be read is
    left out and told once in the log.
    """
    names = set()
    visited: set[tuple[int, int]] = set()
    for base in map(Path, folder_paths.get_folder_paths(MODEL_FOLDER)):
        for folder, files in folders_below(base, visited):
            if folder == base or "config.json" not in files or not files & set(_WEIGHTS):
                continue
            try:
                name = folder.relative_to(base).as_posix()
                name.encode()
                if read_json(folder / "config.json").get("model_type") in FAMILIES:
                    names.add(name)
            except ValueError as error:
                _tell_once(f"The depth model in {str(folder)!r} is left out: {error}")
    return sorted(names, key=str.lower)


def find_depth_model(name: str) -> DepthFiles:
    """Find a model's folder by its name, and read its settings.

    Raises:
        ValueError: a folder that is missing or outside the models folder, no safetensors weights, files that lie or
            lead elsewhere, or not a network that this node runs; the message says which file to put where.
    """
    parts = PurePosixPath(str(name).replace("\\", "/")).parts if name else ()
    if not parts or ".." in parts or any(":" in part or part == "/" for part in parts):
        raise ValueError(
            f"model_name: {quote(name)} is not a folder below models/{MODEL_FOLDER}. "
            f"Put a model's folder there, with {MODEL_FILES}, and choose it."
        )
    path = "/".join(parts)
    shown = path if len(path) < 120 and path.isprintable() else quote(path)
    wanted = f"models/{MODEL_FOLDER}/{shown}"
    folders = [Path(base, *parts) for base in folder_paths.get_folder_paths(MODEL_FOLDER)]
    folder = next((f for f in folders if os.path.isdir(f)), None)
    if folder is None:
        raise ValueError(f"model_name: {wanted} does not exist. Put the model's {MODEL_FILES} into that folder.")
    missing = [file for file in _SETTINGS if not os.path.lexists(folder / file)]
    if not any(os.path.lexists(folder / weights) for weights in _WEIGHTS):
        missing.append("model.safetensors")
    if missing:
        raise ValueError(
            f"model_name: {wanted} has no {' and no '.join(missing)}. Put {'it' if len(missing) == 1 else 'them'} "
            "there from the model's page; weights in other formats (.bin, .pth) are not read."
        )
    try:
        config, preprocessor = (read_json(folder / file) for file in _SETTINGS)
        network = network_config(config)
        preprocessing = read_preprocessing(preprocessor, network["model_type"], stride(network))
        return DepthFiles(shown, network, preprocessing, _weights(folder))
    except ValueError as error:
        raise ValueError(f"model_name: {wanted}: {error}") from error


def read_json(path: Path) -> dict:
    """Read a settings file.

    Raises:
        ValueError: it cannot be read, leads out of its folder, is too large, or does not hold a JSON object.
    """
    try:
        file = _within(path)
        if file.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it is larger than {_MOST_BYTES >> 20} MiB")
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"{path.name} cannot be read ({reason}). {_FETCH}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} does not hold a JSON object. {_FETCH}")
    return content


def _within(path: Path) -> Path:
    """Return the regular file behind ``path``, which must lie in the same folder or below it."""
    file, folder = Path(os.path.realpath(path)), os.path.realpath(path.parent)
    if not file.is_relative_to(folder):
        raise ValueError("it is a link that leads out of the folder")
    if not os.path.isfile(file):
        raise ValueError("it is not a file")
    return file


def _weights(folder: Path) -> tuple[Path, ...]:
    whole, index = (folder / file for file in _WEIGHTS)
    if os.path.lexists(whole):
        names = {whole.name}
    else:
        parts = read_json(index).get("weight_map")
        if not isinstance(parts, dict) or not parts or not all(isinstance(part, str) for part in parts.values()):
            raise ValueError(f"{index.name} does not say in which files the weights are. {_FETCH}")
        names = set(parts.values())
    for name in names:
        if not name.endswith(".safetensors") or set(name) & set('/\\:"\0'):
            raise ValueError(
                f"{index.name} names {quote(name)}, and only safetensors files in the same folder are read. "
                "Use a version of the model with such files."
            )
        try:
            _within(folder / name)
        except (OSError, ValueError) as error:
            raise ValueError(f"{quote(name)} cannot be read ({error}). {_FETCH}") from error
    return tuple(folder / name for name in sorted(names))


def folders_below(base: Path, visited: set[tuple[int, int]]) -> Iterator[tuple[Path, set[str]]]:
    """Walk through ``base`` along links, but not hidden ones, through each real folder once, with what lies in it."""
    waiting = [base]
    while waiting and len(visited) < _MOST_FOLDERS:
        folder = waiting.pop(0)
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            names = sorted(os.listdir(folder))
        except FileNotFoundError:
            continue
        except OSError as error:
            _tell_once(f"The folder {str(folder)!r} of depth models cannot be read: {error.strerror}.")
            continue
        yield folder, set(names)
        waiting += [folder / name for name in names if name[0] != "." and os.path.isdir(folder / name)]
    if waiting:
        _tell_once(f"Depth models were searched in the first {_MOST_FOLDERS} folders of {str(base)!r} only.")


@lru_cache(maxsize=1000)
def _tell_once(message: str) -> None:
    logging.warning("%s", message)
