"""Pairs with a known disparity in folders of three layouts, as StereoDiffusion's appendix A prepares them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

from .middlebury import fill_unknown
from .scenes import Scene

_BLUR = 3.0  # pixels, the std by which Middlebury's disparity is smoothed
_KITTI = (("image_2", "image_3", "disp_occ_0"), ("colored_0", "colored_1", "disp_occ"))
# Middlebury's evaluation gives the same scenes for training, with another name of the disparity.
_SCENE = (("im0.png",), ("im1.png",), ("disp0.pfm", "disp0GT.pfm"))
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_MAPS = (".pfm", ".npy", ".png")
_PARTS = ("right", "disp")  # beside left


@dataclass(frozen=True)
class Files:
    """The files of one pair, there or not; nothing is read before it is its turn."""

    name: str
    left: Path
    right: Path
    disparity: Path

    @property
    def missing(self) -> list[Path]:
        """Those that are not there."""
        return [file for file in (self.left, self.right, self.disparity) if not file.is_file()]


def find_pairs(folder: Path, kind: str | None = None) -> tuple[str, list[Files]]:
    """Find the pairs of a folder and tell their layout, which is that of ``kind`` where it is given.

    Raises:
        FileNotFoundError: no folder, or no whole pair of the layout in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"--data: there is no folder {folder}.\n{_WANTED}")
    kinds = [kind] if kind else list(LAYOUTS)
    if found := _first_layout(folder, kinds):
        return found
    parts = [f"--data: no pair{f' of the layout {kind}' if kind else ''} lies in {folder}."]
    if kind and (other := _first_layout(folder, list(LAYOUTS))):
        parts += [f"Its layout is {other[0]}: leave --kind out."]
    halves = (files for name in kinds for files in LAYOUTS[name](folder))
    parts += [f"{files.name} has no {files.missing[0]}." for files in halves][:1]
    parts += [f"Pairs lie in {below}: name that folder." for below in _below(folder) if _first_layout(below, kinds)][:1]
    raise FileNotFoundError("\n".join([" ".join(parts), _WANTED]))


def _first_layout(folder: Path, kinds: list[str]) -> tuple[str, list[Files]] | None:
    for name in kinds:
        found = LAYOUTS[name](folder)
        if not all(files.missing for files in found):
            return name, found
    return None


def _below(folder: Path) -> Iterator[Path]:
    """The folders one and two levels below."""
    for pattern in ("*", "*/*"):
        yield from (path for path in sorted(folder.glob(pattern)) if path.is_dir())


def load_pair(files: Files, kind: str, size: int) -> Scene:
    """Read a pair at ``size`` x ``size``: Middlebury and own pairs are scaled, KITTI's centre is cropped.

    The disparity is in columns of what is returned; unknown pixels are filled from the farther side.

    Raises:
        ValueError: a file is missing or damaged, they have different sizes, or nothing of the disparity is known.
    """
    if files.missing:
        raise ValueError(f"there is no {files.missing[0]}.")
    left, right = (open_picture(file, "RGB") for file in (files.left, files.right))
    columns = _disparity(files.disparity)
    if not left.shape == right.shape or left.shape[:2] != columns.shape:
        sizes = ", ".join(f"{part.shape[1]}x{part.shape[0]}" for part in (left, right, columns))
        raise ValueError(f"left, right and disparity are {sizes}. All three need the same size.")
    if not (np.isfinite(columns) & (columns > 0)).any():
        raise ValueError(f"{files.disparity} holds no known disparity. Give columns, more than 0 where known.")
    height, width = columns.shape
    across = round(size * width / height) if kind == "kitti" else size
    if across < size:
        raise ValueError(f"it is {width}x{height}, taller than wide. KITTI's pictures are wide: check --kind.")
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
    """Read a grey PFM (H, W) float32: rows from the bottom up, the sign of the scale tells the byte order.

    Raises:
        ValueError: it is something else, or cut short.
    """
    with file.open("rb") as stream:
        kind = stream.readline().strip()
        if kind != b"Pf":
            said = "is a PFM of three colours" if kind == b"PF" else "is no PFM"
            raise ValueError(f"{file} {said}. A disparity is a grey one, which begins with Pf: download it again.")
        try:
            width, height = map(int, stream.readline().split())
            order = "<" if float(stream.readline()) < 0 else ">"
        except ValueError as error:
            raise ValueError(f"{file} is damaged: its head gives no size or no scale. Download it again.") from error
        values = stream.read()
    if len(values) != 4 * width * height:
        raise ValueError(f"{file} is cut short, or longer than it says. Download it again.")
    return np.frombuffer(values, order + "f4").reshape(height, width)[::-1].astype(np.float32)


def open_picture(file: Path, mode: str | None = None) -> np.ndarray:
    """Read a picture (H, W) or (H, W, C), upright, in a mode of Pillow's where one is given; palettes become colours.

    Raises:
        ValueError: it is damaged or no picture.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as stored:
            picture = ImageOps.exif_transpose(stored)
            mode = mode or ("RGB" if picture.mode == "P" else None)
            if mode and picture.mode.startswith("I"):  # grey of 16 bits, which Pillow would cut off at 255
                picture = Image.fromarray((np.asarray(picture) / 257).clip(0, 255).round().astype(np.uint8))
            return np.asarray(picture.convert(mode) if mode else picture)
    except (OSError, SyntaxError, ValueError, struct.error) as error:  # what Pillow raises for damaged files
        raise ValueError(f"{file} cannot be read: {error}. Download it again.") from error


def _disparity(file: Path) -> np.ndarray:
    """Columns (H, W): PFM and NPY as they are, PNG of 16 bits as KITTI's, 256 a column; 0 is unknown."""
    if file.suffix.lower() == ".pfm":
        return read_pfm(file)
    if file.suffix.lower() == ".npy":
        return _read_npy(file)
    if file.suffix.lower() not in _MAPS:
        raise ValueError(f"{file} is not read as a disparity. Save a PFM, a NPY, or a PNG of 16 bits.")
    values = open_picture(file)
    if values.ndim != 2 or values.dtype == np.uint8:
        raise ValueError(f"{file} is no grey PNG of 16 bits. Save 256 times the columns in 16 bits, or a PFM or NPY.")
    return values.astype(np.float32) / 256


def _read_npy(file: Path) -> np.ndarray:
    try:
        values = np.load(file, allow_pickle=False)
    except (EOFError, OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be read: {error}. Save an array of numbers (H, W).") from error
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "fiu":
        said = f"{values.dtype} of {values.shape}" if isinstance(values, np.ndarray) else "an archive"
        raise ValueError(f"{file} holds {said}. Save an array of numbers (H, W).")
    return values.astype(np.float32)


def _middlebury(folder: Path) -> list[Files]:
    below = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    below += [path / path.name for path in below]  # Scene/Scene, as Windows unpacks Scene.zip
    scenes: dict[str, Path] = {}
    for scene in (folder.resolve(), *below):
        if any(_first(scene, names).is_file() for names in _SCENE):
            scenes.setdefault(scene.name, scene)
    return [Files(name, *(_first(scene, names) for names in _SCENE)) for name, scene in scenes.items()]


def _first(folder: Path, names: Sequence[str]) -> Path:
    """The first of these files that is there, else where the first would be."""
    return next((folder / name for name in names if (folder / name).is_file()), folder / names[0])


def _kitti(folder: Path) -> list[Files]:
    base = folder / "training" if (folder / "training").is_dir() else folder
    found = [
        Files(file.stem, *(base / part / file.name for part in (left, right)), file)
        for left, right, disparity in _KITTI
        for file in sorted((base / disparity).glob("*_10.png"))
    ]
    # Both years unpack into one folder, and number their pairs alike.
    names = [files.name for files in found]
    return [
        replace(files, name=f"{files.left.parent.name} {files.name}") if names.count(files.name) > 1 else files
        for files in found
    ]


def _own(folder: Path) -> list[Files]:
    lefts = [file for file in sorted((folder / "left").glob("*")) if file.suffix.lower() in _SUFFIXES]
    rights, maps = ({(file.stem, file.suffix.lower()): file for file in (folder / part).glob("*")} for part in _PARTS)
    stems = [left.stem for left in lefts]
    found = []
    for left in lefts:
        suffixes = (left.suffix.lower(), *_SUFFIXES)
        right = next((file for suffix in suffixes if (file := rights.get((left.stem, suffix)))), None)
        disparity = next((file for suffix in _MAPS if (file := maps.get((left.stem, suffix)))), None)
        # What cannot be read, such as an EXR, is told when it is its turn.
        disparity = disparity or next((file for (stem, _), file in maps.items() if stem == left.stem), None)
        right = right or folder / _PARTS[0] / left.name
        disparity = disparity or folder / _PARTS[1] / f"{left.stem}.pfm"
        found.append(Files(left.stem if stems.count(left.stem) == 1 else left.name, left, right, disparity))
    alone = {stem: file for (stem, suffix), file in rights.items() if suffix in _SUFFIXES and stem not in stems}
    halves = {stem: file for (stem, _), file in maps.items() if stem in alone}
    found += [Files(stem, folder / "left" / alone[stem].name, alone[stem], file) for stem, file in halves.items()]
    return sorted(found, key=lambda files: files.left)


LAYOUTS: dict[str, Callable[[Path], list[Files]]] = {"middlebury": _middlebury, "kitti": _kitti, "pairs": _own}

_WANTED = (
    "middlebury: Middlebury 2014 (vision.middlebury.edu/stereo/data), a folder for each scene with im0.png, im1.png "
    "and disp0.pfm.\n"
    "kitti: the training folder of KITTI's stereo 2015 (image_2, image_3, disp_occ_0) or 2012 (colored_0, colored_1, "
    "disp_occ), from cvlibs.net/datasets/kitti.\n"
    "pairs: your own, left/NAME.png (JPEG, WebP and BMP, too), right/NAME.png and disp/NAME.pfm, "
    ".npy or 16-bit .png, 256 a column."
)
