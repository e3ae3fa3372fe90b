"""Rectified pairs with true left disparity, resized to one size for the quality tables."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .middlebury import fill_unknown, motorcycle

STEREO_DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "stereo"

# The value of one column in the stored disparity map, by scene.
_DISPARITY_SCALES = {"Art": 3, "Cones": 4, "Dolls": 3, "Laundry": 3, "Teddy": 4, "Tsukuba": 16, "Venus": 8}


class Scene(NamedTuple):
    """A pair of (1, 3, H, W) views in [0, 1] and the left view's (1, 1, H, W) disparity in columns."""

    name: str
    left: Tensor
    right: Tensor
    disparity: Tensor


def load_scenes(size: int = 512, names: Iterable[str] = tuple(_DISPARITY_SCALES)) -> list[Scene]:
    """Load Motorcycle, and those of ``names`` that lie beside the project."""
    scenes = [_scene("Motorcycle", *motorcycle(), size=size)]
    for name in names:
        folder = STEREO_DATA / name
        if folder.is_dir():
            disparity = _read(next(folder.glob("disp_left.*"))).astype(np.float32) / _DISPARITY_SCALES[name]
            scenes.append(_scene(name, _read(folder / "left.png"), _read(folder / "right.png"), disparity, size=size))
    return scenes


def _read(path: Path) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(path))


def _scene(name: str, left: np.ndarray, right: np.ndarray, disparity: np.ndarray, size: int) -> Scene:
    filled = torch.from_numpy(fill_unknown(disparity))[None, None]
    columns = F.interpolate(filled, size=(size, size), mode="nearest-exact") * (size / disparity.shape[1])
    return Scene(name, _resize(left, size), _resize(right, size), columns)


def _resize(image: np.ndarray, size: int) -> Tensor:
    pixels = torch.from_numpy(image[..., :3].copy()).permute(2, 0, 1)[None].float() / 255
    return F.interpolate(pixels, size=(size, size), mode="bicubic", antialias=True).clamp(0, 1)
