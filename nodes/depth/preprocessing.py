"""Pictures on their way into a depth network, as its preprocessor_config.json asks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# The filters that preprocessor_config.json names by Pillow's number. Pillow's and torch's antialiased forms agree.
_FILTERS = {2: "bilinear", 3: "bicubic"}

LONGEST = 4096  # columns or rows; a long strip would otherwise be enlarged beyond any memory


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The size and the value range a network was trained on.

    Attributes:
        size: (H, W) the network runs at; ``None`` keeps the picture's, rounded down.
        keep_aspect: whether ``size`` is met by one scale for both sides, the one nearer to 1.
        multiple: both sides are rounded to a multiple of this.
        mean, std: of the three channels, for values in [0, 1].
        mode, antialias, align_corners: the resizing filter, in the words of ``torch.nn.functional.interpolate``.
        pad: whether the picture is reflected at its border before, which is cropped off the depth after
            (Bhat et al., ZoeDepth, 2023).
        fixed: whether no other size works.
    """

    size: tuple[int, int] | None
    keep_aspect: bool
    multiple: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    mode: str
    antialias: bool
    align_corners: bool
    pad: bool
    fixed: bool

    def network_size(self, height: int, width: int, resolution: int) -> tuple[int, int]:
        """Give the (H, W) a picture of ``height`` x ``width`` is resized to; ``resolution`` 0 is the network's own.

        Raises:
            ValueError: another resolution for a network that has only one.
        """
        if self.fixed and self.size and resolution not in (0, max(self.size)):
            raise ValueError(
                f"resolution: this model runs at {self.size[1]} x {self.size[0]} only, got {resolution}. "
                "Set resolution to 0."
            )
        frame = (height, width) if self.size is None or self.keep_aspect else self.size
        if resolution:
            scales: tuple[float, ...] = (resolution / max(frame),)
        elif self.size is None or not self.keep_aspect:
            scales = (1.0,)
        else:
            scales = tuple(side / old for side, old in zip(self.size, frame, strict=True))
        scale = min(min(scales, key=lambda s: abs(1 - s)), LONGEST / max(frame))
        whole = math.floor if self.size is None and not resolution else round
        steps = (min(whole(scale * side / self.multiple), LONGEST // self.multiple) for side in frame)
        rows, columns = (max(step, 1) * self.multiple for step in steps)
        return rows, columns

    def border(self, height: int, width: int) -> tuple[int, int]:
        """Give the rows and columns that are added at each side before resizing."""
        return (int(3 * math.sqrt(height / 2)), int(3 * math.sqrt(width / 2))) if self.pad else (0, 0)

    def __call__(self, frames: Tensor, resolution: int) -> Tensor:
        """Turn (B, 3, H, W) in [0, 1] into what the network reads, float32, (B, 3, h, w)."""
        pixels = frames.float()
        rows, columns = self.border(*pixels.shape[-2:])
        if self.pad:
            # A picture of a few pixels has nothing to reflect.
            fits = rows < pixels.shape[-2] and columns < pixels.shape[-1]
            pixels = F.pad(pixels, (columns, columns, rows, rows), mode="reflect" if fits else "replicate")
        size = self.network_size(*pixels.shape[-2:], resolution)
        if tuple(pixels.shape[-2:]) != size:
            pixels = F.interpolate(
                pixels, size, mode=self.mode, align_corners=self.align_corners, antialias=self.antialias
            )
        mean, std = (torch.tensor(v, device=pixels.device).view(1, 3, 1, 1) for v in (self.mean, self.std))
        return (pixels - mean) / std


def read_preprocessing(config: dict, model_type: str, stride: int) -> Preprocessing:
    """Read a parsed preprocessor_config.json.

    Args:
        config: the file's contents.
        model_type: the family, from config.json.
        stride: columns of the picture to one of the network's coarsest grid.

    Raises:
        ValueError: a value that cannot be read.
    """
    zoe, glpn, depth_pro = (model_type == name for name in ("zoedepth", "glpn", "depth_pro"))
    resized = config.get("do_resize", True) and not glpn
    size = config.get("size", {"zoedepth": (384, 512), "depth_pro": 1536}.get(model_type, 384))
    if isinstance(size, dict):
        size = (size.get("height"), size.get("width"))
    size = (size, size) if isinstance(size, int) else tuple(size)
    mode = _FILTERS.get(config.get("resample", 3 if model_type in ("dpt", "depth_anything") else 2))
    # Without rescaling the mean and deviation are of values in [0, 255].
    scale = 1.0 if config.get("do_rescale", True) else 255.0
    normalised = config.get("do_normalize", not glpn)
    mean, std = (
        tuple(value / scale for value in config.get(key, (0.5,) * 3)) if normalised else (plain,) * 3
        for key, plain in (("image_mean", 0.0), ("image_std", 1.0))
    )
    if (
        len(size) != 2
        or not all(isinstance(side, int) for side in size)
        or mode is None
        or (len(mean), len(std)) != (3, 3)
    ):
        raise ValueError("size, resample, image_mean or image_std is not as this family has them")
    return Preprocessing(
        size=size if resized else None,
        keep_aspect=bool(config.get("keep_aspect_ratio", zoe)),
        multiple=max(int(config.get("ensure_multiple_of", 1)), stride),
        mean=mean,
        std=std,
        mode=mode,
        antialias=not (zoe or depth_pro),
        align_corners=zoe,
        pad=zoe and config.get("do_pad", True),
        fixed=depth_pro,
    )
