"""Files of DepthCrafter in the host's models folder, recognised by the names of their tensors, and loading one."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import comfy.model_base
import comfy.sd
import folder_paths
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from .depthcrafter import DepthCrafterModel
from .depthcrafter_weights import MARK, host_weights
from .folders import MODEL_FOLDER, folders_below
from .networks import WEIGHT_DTYPES, told_by_name

EMBEDDING = 1024  # of the vision encoder of SVD, ViT-H
CHANNELS, CELL = 4, 8  # of SVD's latents, and pixels of a cell
_PART = re.compile(r"-\d+-of-\d+\.safetensors$", re.IGNORECASE)  # as large networks are parted


def list_depthcrafters() -> list[str]:
    """Name the files of DepthCrafter below the host's ``geometry_estimation`` paths."""
    names = set()
    visited: set[tuple[int, int]] = set()
    for base in map(Path, folder_paths.get_folder_paths(MODEL_FOLDER)):
        for folder, files in folders_below(base, visited):
            names |= {(folder / file).relative_to(base).as_posix() for file in files if _is_of_svd(folder / file)}
    return [name for name in sorted(names) if name.isprintable()]


def is_depthcrafter(name: object) -> bool:
    """Tell whether a model's name is that of a file of DepthCrafter."""
    path = folder_paths.get_full_path(MODEL_FOLDER, str(name)) if name else None
    return path is not None and _is_of_svd(Path(path))


def load_depthcrafter(name: str, weight_dtype: str, vae: Any, clip_vision: Any) -> DepthCrafterModel:
    """Load a file of weights.

    Args:
        name: of the file, as ``list_depthcrafters`` gives it.
        weight_dtype: a key of ``WEIGHT_DTYPES``; anything else leaves the choice to the host.
        vae: of an SVD checkpoint.
        clip_vision: of the same.

    Raises:
        ValueError: the autoencoder or the vision encoder is not connected or of another kind, or the file is not such
            a network.
    """
    missing = [key for key, value in {"vae": vae, "clip_vision": clip_vision}.items() if value is None]
    if missing:
        raise ValueError(
            f"model_name: DepthCrafter also needs {' and '.join(missing)}. Connect Image Only Checkpoint Loader "
            "(img2vid model) with a checkpoint of Stable Video Diffusion."
        )
    _expect_of_svd(vae, clip_vision)
    options = {"dtype": WEIGHT_DTYPES[weight_dtype]} if weight_dtype in WEIGHT_DTYPES else {}
    path = folder_paths.get_full_path(MODEL_FOLDER, name)
    again = "the whole network as one file, not one of its parts" if _PART.search(name) else "the file again"
    with told_by_name(name, "the weights could not be loaded", again):
        weights = host_weights(load_file(path))
        names = set(weights)  # the host takes the tensors out
        model = comfy.sd.load_diffusion_model_state_dict(weights, options)
        if model is None:
            raise ValueError("it is not a whole U-Net of Stable Video Diffusion")
        absent = model.model.diffusion_model.state_dict().keys() ^ names
        if absent:
            raise ValueError(f"{len(absent)} tensors are missing or left over, {min(absent)} among them")
        if type(model.model) is not comfy.model_base.SVD_img2vid:  # SV3D has the same names
            raise ValueError(f"it is {type(model.model).__name__}, not Stable Video Diffusion")
        if (made := model.model.diffusion_model.out_channels) != CHANNELS:
            raise ValueError(f"it makes {made} channels, DepthCrafter {CHANNELS}")
    return DepthCrafterModel(model, vae, clip_vision)


def _expect_of_svd(vae: Any, clip_vision: Any) -> None:
    """Refuse an autoencoder or a vision encoder that this network was not trained with, before anything is computed."""
    source = "Connect that of Image Only Checkpoint Loader (img2vid model) with a checkpoint of Stable Video Diffusion."
    channels, cell = vae.latent_channels, vae.spacial_compression_encode()
    if channels != CHANNELS:
        raise ValueError(f"vae: its latents have {channels} channels, DepthCrafter's have {CHANNELS}. {source}")
    if vae.latent_dim != 2 or cell != CELL:
        raise ValueError(f"vae: its latents have other cells than those of SVD, {CELL} pixels of one frame. {source}")
    projection = getattr(clip_vision.model, "visual_projection", None)
    width = getattr(projection, "out_features", None)  # SigLIP and DINO have none
    if width != EMBEDDING:
        found = "it has no embeddings of CLIP" if width is None else f"its embeddings are {width} wide"
        raise ValueError(f"clip_vision: {found}, DepthCrafter's are {EMBEDDING} wide. {source}")


def _is_of_svd(path: Path) -> bool:
    if path.suffix.lower() != ".safetensors":
        return False
    try:
        status = os.stat(path)
    except OSError:
        return False
    return _is_of_svd_once(str(path), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1000)
def _is_of_svd_once(path: str, _changed: int, _size: int) -> bool:
    if not os.path.isfile(path):
        return False
    try:
        with safe_open(path, framework="pt") as file:
            return MARK in file.keys()  # noqa: SIM118  # not a dictionary
    except (OSError, SafetensorError):
        return False
