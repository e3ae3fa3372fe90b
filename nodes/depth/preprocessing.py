"""Prepares pictures for a depth network as its preprocessor_config.json says."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .settings import Check, checked, either, flag, number, several, whole

# By the numbers that Pillow and preprocessor_config.json use. Pillow's filters agree with torch's antialiased ones.
_FILTERS = {2: "bilinear", 3: "bicubic"}

LONGEST = 4096  # pixels of either side; a long narrow picture would otherwise be enlarged beyond any memory

_side = whole(1, 2048)  # the largest published is Depth Pro's 1536


def _sides(size: object) -> bool:
    return isinstance(size, dict) and _side(size.get("height")) and _side(size.get("width"))


_CHECKS: dict[str, Check] = {
    "do_resize": flag,
    "do_rescale": flag,
    "do_normalize": flag,
    "do_pad": flag,
    "keep_aspect_ratio": flag,
    "size": either(_side, several(_side, 2, 2), _sides),
    "resample": whole(min(_FILTERS), max(_FILTERS)),
    "ensure_multiple_of": whole(1, 256),
    "image_mean": several(number(-1000, 1000), 3, 3),
    "image_std": several(number(1e-3, 1000), 3, 3),
}


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The size and the range of values that a network was trained on.

    Attributes:
        size: (H, W) at which the network runs; ``None`` keeps the picture's, rounded down.
        keep_aspect: whether both sides are scaled by the same factor, the one of the two that is nearer to 1.
        multiple: both sides are rounded to a multiple of this.
        mean, std: of the three channels, for values in [0, 1].
        mode, antialias, align_corners: the resizing filter, as in ``torch.nn.functional.interpolate``.
        pad: whether a reflected border is added to the picture, and cropped from the depth (Bhat et al., ZoeDepth,
            2023).
        fixed: whether the network runs at no other size.
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
        """Return the (H, W) to which a picture is resized.

        Args:
            height: of the picture, in pixels.
            width: of the picture, in pixels.
            resolution: longest side in pixels; 0 for the network's own.

        Raises:
            ValueError: another resolution than the only one of a network.
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
        """Return how many rows and columns are added at each side of a picture before it is resized."""
        return (int(3 * math.sqrt(height / 2)), int(3 * math.sqrt(width / 2))) if self.pad else (0, 0)

    def __call__(self, frames: Tensor, resolution: int) -> Tensor:
        """Turn frames (B, 3, H, W) in [0, 1] into the network's input (B, 3, h, w) float32; see ``network_size``."""
        pixels = frames.float()
        rows, columns = self.border(*pixels.shape[-2:])
        if self.pad:
            # A picture of a few pixels is too small to be reflected.
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
        stride: pixels to one cell of the network's coarsest grid.

    Raises:
        ValueError: a value that this family does not have.
    """
    zoe, glpn, depth_pro = (model_type == name for name in ("zoedepth", "glpn", "depth_pro"))
    config = checked("preprocessor_config.json", config, _CHECKS)
    resized = config.get("do_resize", True) and not glpn
    size = config.get("size", {"zoedepth": [384, 512], "depth_pro": 1536}.get(model_type, 384))
    if isinstance(size, dict):
        size = [size["height"], size["width"]]
    height, width = (size, size) if isinstance(size, int) else size
    # Without rescaling, mean and std are those of values in [0, 255].
    scale = 1.0 if config.get("do_rescale", True) else 255.0
    normalised = config.get("do_normalize", not glpn)
    mean, std = (
        tuple(value / scale for value in config.get(key, (0.5,) * 3)) if normalised else (plain,) * 3
        for key, plain in (("image_mean", 0.0), ("image_std", 1.0))
    )
    return Preprocessing(
        size=(height, width) if resized else None,
        keep_aspect=config.get("keep_aspect_ratio", zoe),
        multiple=math.lcm(config.get("ensure_multiple_of", 1), stride),
        mean=mean,
        std=std,
        mode=_FILTERS[config.get("resample", 3 if model_type in ("dpt", "depth_anything") else 2)],
        antialias=not (zoe or depth_pro),
        align_corners=zoe,
        pad=zoe and config.get("do_pad", True),
        fixed=depth_pro,
    )
