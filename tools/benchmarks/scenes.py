"""Rectified pairs with a disparity of the left view, true or with an error, for the quality tables."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stereo_core.depth_edges import sharpen_edges
from stereo_core.rasterizing import TEAR

from .middlebury import Pair, fill_unknown, motorcycle

STEREO_DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "stereo"

# The value of one column in the stored disparity map, by scene.
_DISPARITY_SCALES = {"Art": 3, "Cones": 4, "Dolls": 3, "Laundry": 3, "Teddy": 4, "Tsukuba": 16, "Venus": 8}


class Disparity(str, Enum):
    """Where the disparity comes from."""

    TRUE = "true"
    ESTIMATED = "estimated"  # by semi-global matching of both views
    BLURRED = "blurred"
    SHARPENED = "blurred and sharpened"  # as Image Stereo Shift does by default
    SHIFTED = "shifted"
    COARSE = "8 bit"


class Scene(NamedTuple):
    """A pair of (1, 3, H, W) views in [0, 1] and the left view's (1, 1, H, W) disparity in columns."""

    name: str
    left: Tensor
    right: Tensor
    disparity: Tensor


def load_scenes(
    size: int | None = 512, names: Iterable[str] = tuple(_DISPARITY_SCALES), kind: Disparity = Disparity.TRUE
) -> list[Scene]:
    """Load Motorcycle, and those of ``names`` that lie beside the project.

    Args:
        size: both sides in pixels; None keeps the photographs' own.
        names: of the scenes beside the project.
        kind: the true disparity, or one with an error: estimated, blurred (a std of 3 pixels), blurred and sharpened
            again, with its edges shifted by 2 pixels to the right, or rounded to 255 steps.
    """
    pairs = {"Motorcycle": motorcycle()}
    for name in names:
        folder = STEREO_DATA / name
        if folder.is_dir():
            columns = _read(next(folder.glob("disp_left.*"))).astype(np.float32) / _DISPARITY_SCALES[name]
            left, right = (_read(folder / f"{side}.png")[..., :3] for side in ("left", "right"))
            pairs[name] = Pair(left, right, fill_unknown(columns))
    return [_scene(name, pair, size, kind) for name, pair in pairs.items()]


def _read(path: Path) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(path))


def _scene(name: str, pair: Pair, size: int | None, kind: Disparity) -> Scene:
    columns = pair.disparity
    if kind is Disparity.ESTIMATED:
        columns = fill_unknown(_match(pair))
    left, right = (
        torch.from_numpy(view.copy()).permute(2, 0, 1)[None].float() / 255 for view in (pair.left, pair.right)
    )
    disparity = torch.from_numpy(columns)[None, None]
    if size is not None:
        square = (size, size)
        left, right = (F.interpolate(v, square, mode="bicubic", antialias=True).clamp(0, 1) for v in (left, right))
        disparity = F.interpolate(disparity, square, mode="nearest-exact") * (size / columns.shape[1])
    if kind in (Disparity.BLURRED, Disparity.SHARPENED):
        disparity = _blur(disparity, std=3)
        if kind is Disparity.SHARPENED:
            disparity = sharpen_edges(disparity, left, TEAR)
    elif kind is Disparity.SHIFTED:
        disparity = F.pad(disparity, (2, 0, 0, 0), mode="replicate")[..., :-2]
    elif kind is Disparity.COARSE:
        disparity = (disparity / disparity.max() * 255).round() / 255 * disparity.max()
    return Scene(name, left, right, disparity)


def _match(pair: Pair) -> np.ndarray:
    """Estimate the left view's disparity (H, W) by semi-global matching; 0 where it finds none."""
    import cv2

    span = 16 * int(np.ceil((pair.disparity.max() + 8) / 16))
    block = 5
    # A band on the left lets the left view's first columns be matched, too.
    greys = [
        np.pad(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), ((0, 0), (span, 0)), "edge") for view in (pair.left, pair.right)
    ]
    matcher = cv2.StereoSGBM_create(
        minDisparity=0,
        numDisparities=span,
        blockSize=block,
        P1=8 * block**2,
        P2=32 * block**2,
        disp12MaxDiff=1,
        uniquenessRatio=10,
        speckleWindowSize=100,
        speckleRange=2,
    )
    return np.maximum(matcher.compute(*greys)[:, span:].astype(np.float32) / 16, 0)


def _blur(disparity: Tensor, std: float) -> Tensor:
    reach = int(3 * std)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / std) ** 2)
    kernel = kernel / kernel.sum()
    padded = F.pad(disparity, (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
