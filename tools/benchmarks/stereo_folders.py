"""Pairs with a known disparity in folders of three layouts, as StereoDiffusion's appendix A prepares them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

from .middlebury import fill_unknown
from .scenes import Scene

_BLUR = 3.0  # pixels, the std by which Middlebury's disparity is smoothed
_KITTI = (("image_2", "image_3", "disp_occ_0"), ("colored_0", "colored_1", "disp_occ"))
_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Files:
    """The files of one pair; nothing is read before it is its turn."""

    name: str
    left: Path
    right: Path
    disparity: Path


def find_pairs(folder: Path, kind: str | None = None) -> tuple[str, list[Files]]:
    """Find the pairs of a folder and tell their layout, which is that of ``kind`` where it is given.

    Raises:
        FileNotFoundError: no folder, or no pair of the layout in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"--data: there is no folder {folder}.\n{_WANTED}")
    for name in [kind] if kind else LAYOUTS:
        if found := LAYOUTS[name](folder):
            return name, found
    raise FileNotFoundError(f"--data: no pair{f' of the layout {kind}' if kind else ''} lies in {folder}.\n{_WANTED}")


def load_pair(files: Files, kind: str, size: int) -> Scene:
    """Read a pair at ``size`` x ``size``: Middlebury and own pairs are scaled, KITTI's centre is cropped.

    The disparity is in columns of what is returned; unknown pixels are filled from the farther side.

    Raises:
        ValueError: the files have different sizes, or nothing of the disparity is known.
    """
    left, right = (_picture(file) for file in (files.left, files.right))
    columns = _disparity(files.disparity)
    if not left.shape == right.shape or left.shape[:2] != columns.shape:
        sizes = ", ".join(f"{part.shape[1]}x{part.shape[0]}" for part in (left, right, columns))
        raise ValueError(f"{files.name}: left, right and disparity are {sizes}. All three need the same size.")
    if not (np.isfinite(columns) & (columns > 0)).any():
        raise ValueError(f"{files.disparity} holds no known disparity. Give columns, more than 0 where known.")
    height, width = columns.shape
    across = round(size * width / height) if kind == "kitti" else size
    if across < size:
        raise ValueError(
            f"{files.name} is {width}x{height}, taller than wide. KITTI's pictures are wide: check --kind."
        )
    shape, start = (size, across), (across - size) // 2
    views = [torch.from_numpy(part.copy()).permute(2, 0, 1)[None].float() / 255 for part in (left, right)]
    views = [F.interpolate(view, shape, mode="bicubic", antialias=True).clamp(0, 1) for view in views]
    known = torch.from_numpy(fill_unknown(columns))[None, None]
    disparity = F.interpolate(known, shape, mode="nearest-exact") * (across / width)
    if kind == "middlebury":
        disparity = torch.from_numpy(gaussian_filter(disparity.numpy(), (0, 0, _BLUR, _BLUR), mode="nearest"))
    left_view, right_view, disparity = (part[..., start : start + size].contiguous() for part in (*views, disparity))
    return Scene(files.name, left_view, right_view, disparity)


def read_pfm(file: Path) -> np.ndarray:
    """Read a grey PFM (H, W) float32: rows from the bottom up, the sign of the scale tells the byte order."""
    with file.open("rb") as stream:
        if stream.readline().strip() != b"Pf":
            raise ValueError(f"{file} is no grey PFM. Download it again.")
        width, height = map(int, stream.readline().split())
        order = "<" if float(stream.readline()) < 0 else ">"
        values = np.frombuffer(stream.read(), order + "f4")
    if values.size != width * height:
        raise ValueError(f"{file} is cut short. Download it again.")
    return values.reshape(height, width)[::-1].astype(np.float32)


def _picture(file: Path) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(file).convert("RGB"))


def _disparity(file: Path) -> np.ndarray:
    """Columns (H, W): PFM and NPY as they are, PNG of 16 bits as KITTI's, 256 a column; 0 is unknown."""
    from PIL import Image

    if file.suffix == ".pfm":
        return read_pfm(file)
    if file.suffix == ".npy":
        return np.load(file, allow_pickle=False).astype(np.float32)
    values = np.asarray(Image.open(file))
    if values.ndim != 2 or values.dtype == np.uint8:
        raise ValueError(f"{file} is no grey PNG of 16 bits. Save 256 times the columns in 16 bits, or a PFM or NPY.")
    return values.astype(np.float32) / 256


def _middlebury(folder: Path) -> list[Files]:
    names = ("im0.png", "im1.png", "disp0.pfm")
    scenes = [path for path in sorted(folder.iterdir()) if all((path / name).is_file() for name in names)]
    return [Files(scene.name, *(scene / name for name in names)) for scene in scenes]


def _kitti(folder: Path) -> list[Files]:
    base = folder / "training" if (folder / "training").is_dir() else folder
    found = []
    for left, right, disparity in _KITTI:
        for file in sorted((base / disparity).glob("*_10.png")):
            files = Files(file.stem, *(base / part / file.name for part in (left, right)), file)
            if files.left.is_file() and files.right.is_file():
                found.append(files)
    return found


def _own(folder: Path) -> list[Files]:
    found = []
    for left in sorted((folder / "left").glob("*")):
        right = folder / "right" / left.name
        maps = [folder / "disp" / (left.stem + suffix) for suffix in (".pfm", ".npy", ".png")]
        disparity = next((file for file in maps if file.is_file()), None)
        if left.suffix.lower() in _SUFFIXES and right.is_file() and disparity:
            found.append(Files(left.stem, left, right, disparity))
    return found


LAYOUTS: dict[str, Callable[[Path], list[Files]]] = {"middlebury": _middlebury, "kitti": _kitti, "pairs": _own}

_WANTED = (
    "middlebury: Middlebury 2014 (vision.middlebury.edu/stereo/data), a folder for each scene with im0.png, im1.png "
    "and disp0.pfm.\n"
    "kitti: the training folder of KITTI's stereo 2015 (image_2, image_3, disp_occ_0) or 2012 (colored_0, colored_1, "
    "disp_occ), from cvlibs.net/datasets/kitti.\n"
    "pairs: your own, left/NAME.png, right/NAME.png and disp/NAME.pfm, .npy or 16-bit .png, 256 a column."
)
