"""The Motorcycle pair of Middlebury 2014 (Scharstein et al.), read from the installed scikit-image."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import skimage.data
from PIL import Image


class Pair(NamedTuple):
    """A rectified photographed pair.

    Attributes:
        left, right: (H, W, 3) uint8.
        disparity: (H, W) float32 columns, of the left view, positive; unknown pixels filled from the farther side.
    """

    left: np.ndarray
    right: np.ndarray
    disparity: np.ndarray


def motorcycle() -> Pair:
    """Read the pair from the package's files; nothing is downloaded."""
    folder = Path(skimage.data.__file__).parent
    with np.load(folder / "motorcycle_disp.npz") as archive:
        disparity = archive["arr_0"].astype(np.float32)
    left, right = (
        np.asarray(Image.open(folder / f"motorcycle_{side}.png").convert("RGB")) for side in ("left", "right")
    )
    return Pair(left, right, fill_unknown(disparity))


def fill_unknown(disparity: np.ndarray) -> np.ndarray:
    """Give pixels of unknown disparity (0 or not finite) that of the farther known neighbour of their row.

    What a stereo camera could not match is mostly hidden from the other view, so it belongs to the
    background side. A row with nothing known takes the nearest row that has something.

    Args:
        disparity: (H, W) columns.
    """
    known = np.isfinite(disparity) & (disparity > 0)
    rows = np.flatnonzero(known.any(1))
    nearest_row = rows[np.abs(np.arange(len(disparity))[:, None] - rows).argmin(1)]
    disparity, known = disparity[nearest_row], known[nearest_row]
    columns = np.arange(disparity.shape[1])
    before = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, columns, columns.size)[:, ::-1], axis=1)[:, ::-1]
    padded = np.pad(np.where(known, disparity, np.inf), ((0, 0), (1, 1)), constant_values=np.inf)
    return np.minimum(*(np.take_along_axis(padded, side + 1, axis=1) for side in (before, after)))


def save_depth(disparity: np.ndarray, file: Path) -> None:
    """Save as a 16-bit grey PNG whose white is the largest disparity: ComfyUI keeps the 16 bits."""
    Image.fromarray(np.round(disparity / disparity.max() * 65535).astype(np.uint16)).save(file)
