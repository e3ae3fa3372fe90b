"""Folders with depth networks in the Hugging Face layout, below the host's models folder."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath

import folder_paths

MODEL_FOLDER = "geometry_estimation"
MODEL_FILES = "config.json, preprocessor_config.json and model.safetensors"

# Values of model_type in config.json.
FAMILIES = ("dpt", "depth_anything", "depth_pro", "zoedepth", "glpn")

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


def list_depth_models() -> list[str]:
    """Name every folder below the host's ``geometry_estimation`` paths that holds a depth network.

    A name is the path below the models folder with forward slashes, the same on every system.
    """
    names = set()
    for base in folder_paths.get_folder_paths(MODEL_FOLDER):
        for folder, _, files in os.walk(base, followlinks=True):
            if "config.json" in files and any(weights in files for weights in _WEIGHTS):
                name = Path(folder).relative_to(base).as_posix()
                if name != "." and _model_type(Path(folder)) in FAMILIES:
                    names.add(name)
    return sorted(names, key=str.lower)


def find_depth_model(name: str) -> Path:
    """Return the folder of a model by its name.

    Raises:
        ValueError: a folder that is missing or outside the models folder, no safetensors weights, or not a depth
            network; the message says which file to put where.
    """
    parts = PurePosixPath(str(name).replace("\\", "/")).parts if name else ()
    if not parts or ".." in parts or any(":" in part or part == "/" for part in parts):
        raise ValueError(
            f"model_name: {name!r} is not a folder below models/{MODEL_FOLDER}. "
            f"Put a model's folder there, with {MODEL_FILES}, and choose it."
        )
    wanted = f"models/{MODEL_FOLDER}/{'/'.join(parts)}"
    folders = [Path(base, *parts) for base in folder_paths.get_folder_paths(MODEL_FOLDER)]
    folder = next((f for f in folders if f.is_dir()), None)
    if folder is None:
        raise ValueError(f"model_name: {wanted} does not exist. Put the model's {MODEL_FILES} into that folder.")
    missing = [file for file in ("config.json", "preprocessor_config.json") if not (folder / file).is_file()]
    if not any((folder / weights).is_file() for weights in _WEIGHTS):
        missing.append("model.safetensors")
    if missing:
        raise ValueError(
            f"model_name: {wanted} has no {' and no '.join(missing)}. Put {'it' if len(missing) == 1 else 'them'} "
            "there from the model's page; weights in other formats (.bin, .pth) are not read."
        )
    if (model_type := _model_type(folder)) not in FAMILIES:
        raise ValueError(
            f"model_name: config.json in {wanted} is damaged, or describes no depth network that this node supports "
            f"(model_type {model_type!r}). Choose a model of type {', '.join(FAMILIES)}."
        )
    return folder


def _model_type(folder: Path) -> str | None:
    try:
        return read_json(folder / "config.json").get("model_type")
    except ValueError:
        return None


def read_json(path: Path) -> dict:
    """Read a settings file.

    Raises:
        ValueError: it cannot be read, or does not hold a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} does not hold a JSON object")
    return content
