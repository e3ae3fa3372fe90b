"""Folders of pictures in the host's input folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import folder_paths
import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..host import core_to_image, each_frame, expect_memory

_ENDINGS = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff"}
# Pillow reads these with a plugin alone; without one they are told of, for nobody wants photos left out in silence.
_ENDINGS |= {".heic", ".heif"}
_CHANNELS = 3 + 1  # of a picture and its mask


def folder_names() -> list[str]:
    """Return the folders below the host's input folder that a user can choose from."""
    return folder_paths.get_input_subfolders()


def find_pictures(folder: str, count: int, part: int) -> list[Path]:
    """Return a part of a folder's pictures, in the order of their names.

    Args:
        folder: below the host's input folder.
        count: of each part; 0 for all in one.
        part: which, from 0.

    Raises:
        ValueError: a folder that is not there or holds no pictures, or a part after the last one.
    """
    root = Path(folder_paths.get_input_directory())
    if not folder_paths.is_within_directory(str(root), str(root / folder)) or not (root / folder).is_dir():
        raise ValueError(f"folder: there is no folder {folder} in ComfyUI's input folder. Choose another.")
    files = [path for path in (root / folder).iterdir() if _is_picture(path)]
    files.sort(key=lambda path: (path.name.lower(), path.name))
    if not files:
        raise ValueError(f"folder: {folder} holds no pictures. Choose another.")
    count = count or len(files)
    found = files[part * count : (part + 1) * count]
    if not found:
        parts = -(-len(files) // count)
        raise ValueError(
            f"part: {folder} holds {len(files)} pictures, so the last part is {parts - 1}. All are done, or set part "
            "to 0 to begin again."
        )
    return found


def _is_picture(path: Path) -> bool:
    """Tell by its name; macOS puts hidden files beside pictures on foreign disks, which begin with ``._``."""
    return path.suffix.lower() in _ENDINGS and not path.name.startswith(".") and path.is_file()


def load_pictures(paths: Sequence[Path]) -> tuple[list[Tensor], list[Tensor]]:
    """Load pictures upright, as IMAGE (1, H, W, 3) each, and as MASK (1, H, W) what of them is transparent.

    Colors are as they are in the file, also where they cannot be seen: the host's Load Image gives them so.

    Raises:
        ValueError: a file that is no picture, or more pictures than there is memory for.
    """
    sizes = [_opened(path).size for path in paths]
    needed = sum(_CHANNELS * width * height * torch.float32.itemsize for width, height in sizes)
    expect_memory(
        "Load Pictures from Folder",
        f"a part of {len(paths)} pictures",
        needed,
        advice="Use a lower count, and queue more runs.",
    )
    loaded = [_load(paths[index]) for index in each_frame(len(paths))]
    return [core_to_image(colors) for colors, _ in loaded], [core_to_image(hidden)[..., 0] for _, hidden in loaded]


def _load(path: Path) -> tuple[Tensor, Tensor]:
    """(1, 3, H, W) colors, and (1, 1, H, W) what is transparent."""
    try:
        picture = ImageOps.exif_transpose(_opened(path))
        if picture.mode.startswith(("I", "F")):  # grey of 16 bits or in fractions, which converting would cut off
            grey = np.asarray(picture, np.float32) / (1 if picture.mode == "F" else 65535)
            if not (grey.min() >= 0 and grey.max() <= 1):
                raise ValueError(f"folder: {path.name} holds values beyond black and white. Save it with 8 or 16 bits.")
            levels = grey[..., None].repeat(3, -1)
            hidden = np.zeros_like(grey)
        else:
            levels = np.asarray(picture.convert("RGB"), np.float32) / 255
            hidden = 1 - np.asarray(picture.convert("RGBA").getchannel("A"), np.float32) / 255
    except OSError as error:
        raise _broken(path, error) from error
    return torch.from_numpy(levels).movedim(-1, 0)[None], torch.from_numpy(hidden)[None, None]


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except (OSError, Image.DecompressionBombError) as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> ValueError:
    return ValueError(
        f"folder: {path.name} cannot be read as a picture ({error}). Save it as PNG or JPEG, or take it out."
    )
