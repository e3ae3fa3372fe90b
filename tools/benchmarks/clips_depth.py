"""The depth of a clip's left view for the clips' tables: by a network of Load Depth Model, or from files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tools.host.in_process import pack_module

from .own_models import admit, load_svd, naming
from .stereo_folders import open_picture

Source = Callable[[str, Tensor], Tensor]
"""From a clip's name and its left view, an IMAGE (T, H, W, 3), to its depth, an IMAGE in [0, 1], white is near."""

_OF_ALL = ("diffusion_pytorch_model", "model")


class MissingDepthError(FileNotFoundError):
    """A folder of maps has none of a clip."""


def depth_name(path: Path) -> str:
    """Name a source in rows and files: by its folder where Hugging Face calls all such files the same."""
    if path.is_file() and path.stem in _OF_ALL:
        return path.absolute().parent.name
    return path.stem if path.is_file() else path.name


def is_network(path: Path) -> bool:
    """Tell a network from a folder of maps."""
    return path.is_file() or (path / "config.json").is_file()


def open_depth(host: dict[str, Any], path: Path, svd: Path | None) -> tuple[Source, Any]:
    """Open a network or a folder of maps.

    Args:
        host: node classes by id.
        path: a Hugging Face folder or a file of Load Depth Model, or a folder with ``CLIP.npy`` or ``CLIP/*.png``.
        svd: a checkpoint of Stable Video Diffusion, whose VAE and vision encoder DepthCrafter shares.

    Returns:
        The source, and DepthCrafter's DEPTH_MODEL, which Simplify Depth can dissolve with; ``None`` for others.
    """
    if not is_network(path):
        return (lambda clip, left: read_maps(path, clip, left)), None
    name = admit("geometry_estimation", path)
    shared: dict[str, Any] = {}
    crafter = path.is_file() and bool(pack_module("nodes.depth.depthcrafter_files").is_depthcrafter(name))
    if crafter:
        if svd is None:
            raise ValueError(
                f"--svd: DepthCrafter ({path.name}) needs the VAE and the vision encoder of Stable Video Diffusion. "
                "Download svd_xt.safetensors to any folder and name it with --svd."
            )
        _, shared["clip_vision"], shared["vae"] = load_svd("--svd", svd)
    with naming("--depth", path, "Give a model of Load Depth Model.", dict.fromkeys(shared, "--svd")):
        network = host["Stereo_LoadDepthModel"].execute(name, "default", **shared).args[0]

    def estimate(_: str, left: Tensor) -> Tensor:
        maps = host["Stereo_DepthEstimate"].execute(left, network, "clip", True, 0, 4, 0.5).args[0]
        if path.is_file():  # networks for clips are steady by themselves
            return maps
        # As StereoCrafter-Zero, appendix D.1.
        return host["Stereo_DisparityPropagate"].execute(maps, left, "mean", 0, 480).args[0]

    return estimate, network if crafter else None


def read_maps(folder: Path, clip: str, left: Tensor) -> Tensor:
    """Read a clip's maps of relative inverse depth and stretch them to [0, 1], all frames alike.

    Raises:
        MissingDepthError: there are none.
        ValueError: a damaged file, another number of maps, other sizes, or all of one value.
    """
    stored, pictures = folder / f"{clip}.npy", sorted((folder / clip).glob("*.png"))
    if stored.is_file():
        maps = torch.from_numpy(_stored(stored))
    elif pictures:
        frames = [_grey(file) for file in pictures]
        odd = [file for file, frame in zip(pictures, frames, strict=True) if frame.shape != frames[0].shape]
        if odd:
            raise ValueError(f"{clip}: {pictures[0]} and {odd[0]} have different sizes. Make all frames alike.")
        maps = torch.stack(frames)
    else:
        raise MissingDepthError(f"{clip}: there is neither {stored} nor a folder {folder / clip} with a PNG a frame.")
    if maps.ndim != 3 or len(maps) != len(left):
        raise ValueError(f"{clip}: the depth in {folder} is {tuple(maps.shape)}, the clip has {len(left)} frames.")
    if not maps.isfinite().all():
        raise ValueError(f"{clip}: the depth in {folder} has values that are not finite. Give relative inverse depth.")
    low, high = maps.min(), maps.max()
    if low == high:
        raise ValueError(f"{clip}: the depth in {folder} has one value everywhere. Make it again.")
    return ((maps - low) / (high - low))[..., None].expand(-1, -1, -1, 3).contiguous()


def map_files(path: Path, clip: str) -> list[Path]:
    """The files that hold a clip's maps in a folder; none of a network, which does not change."""
    return [] if is_network(path) else [path / f"{clip}.npy", *sorted((path / clip).glob("*.png"))]


def simplified(host: dict[str, Any], depth: Tensor, dissolved: int, scale: float, **by: Any) -> Tensor:
    """Dissolve and then resample a depth IMAGE by Simplify Depth.

    Args:
        host: node classes by id.
        depth: an IMAGE.
        dissolved: the step of 50 that the map is taken for; 0 for not at all.
        scale: size of the small map; 1 for not at all.
        by: what dissolves: model, vae and positive, or depth_model and image.
    """
    node = host["Stereo_DissolveDepth"]
    if dissolved:
        depth = node.execute(depth, "dissolve", dissolved, 1.0, 1.0, 0, 8, False, "range_kept", **by).args[0]
    if scale < 1:
        depth = node.execute(depth, "resample", 0, 1.0, scale, 0, 8, False, "range_kept").args[0]
    return depth


def _stored(file: Path) -> np.ndarray:
    """An array of numbers, of whatever shape."""
    try:
        values = np.load(file, allow_pickle=False)
    except (EOFError, OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be read: {error}. Save an array of numbers (T, H, W).") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise ValueError(f"{file} holds no array of numbers. Save one (T, H, W).")
    return values.astype(np.float32)


def _grey(file: Path) -> Tensor:
    """A map (H, W); of colours their mean, without transparency."""
    values = open_picture(file).astype(np.float32)
    if values.ndim == 3:
        values = values[..., : 1 if values.shape[-1] == 2 else 3].mean(-1)
    return torch.from_numpy(values)
