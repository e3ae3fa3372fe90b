"""Inverse depth to disparity in columns: the stereo geometry, and fitting a map to another grid."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .checks import expect_finite, expect_shape
from .depth_range import DepthRange, inverse_depth_from_metric, normalize_inverse_depth
from .scenes import find_scene_starts
from .stabilization import stabilize

__all__ = [
    "DepthRange",
    "DisparityRange",
    "StereoGeometry",
    "describe",
    "disparity_preview",
    "find_scene_starts",
    "inverse_depth_from_metric",
    "match_frames",
    "normalize_inverse_depth",
    "resize_nearest",
    "stabilize",
]

# Percentiles are taken over at most this many values of a map.
_SAMPLES = 1 << 16

# Moreland's diverging colour map (Moreland, "Diverging Color Maps for Scientific Visualization", ISVC 2009),
# from cool over neutral to warm, as sRGB.
_COOL_TO_WARM = (
    (0.231, 0.298, 0.753),
    (0.384, 0.509, 0.917),
    (0.553, 0.689, 0.995),
    (0.722, 0.814, 0.977),
    (0.865, 0.865, 0.865),
    (0.959, 0.770, 0.678),
    (0.958, 0.603, 0.482),
    (0.870, 0.379, 0.300),
    (0.706, 0.016, 0.149),
)


@dataclass(frozen=True, slots=True)
class StereoGeometry:
    r"""How deep the stereo is.

    .. math:: d = \frac{s}{100}\, W\, (D^\alpha - c)

    Attributes:
        max_disparity: s, how far the nearest point moves against the farthest, in percent of the width, -100 to
            100; negative exchanges near and far.
        convergence: c, the value of :math:`D^\alpha` that lies on the screen, 0 (far) to 1 (near).
        exponent: :math:`\alpha`, above 0; over 1 keeps the background flat and pulls the foreground out.

    Raises:
        ValueError: a value is out of its range.

    Source:
        StereoDiffusion (Wang et al., CVPRW 2024), Eq. 2 and 3, for c = 0 and exponent 1.
    """

    max_disparity: float = 3.0
    convergence: float = 0.5
    exponent: float = 1.0

    def __post_init__(self) -> None:
        if not abs(self.max_disparity) <= 100:
            raise ValueError(f"max_disparity: got {self.max_disparity}. Give percent of the width, -100 to 100.")
        if not 0 <= self.convergence <= 1:
            raise ValueError(f"convergence: got {self.convergence}. Give a value from 0 (far) to 1 (near).")
        if not (self.exponent > 0 and math.isfinite(self.exponent)):
            raise ValueError(f"exponent: got {self.exponent}. Give a finite value above 0; 1 is linear.")

    def columns(self, inverse_depth: Tensor, width: int) -> Tensor:
        """Turn inverse depth into disparity.

        Args:
            inverse_depth: (B, 1, H, W) in [0, 1], 1 nearest, any floating dtype.
            width: of the grid that will be shifted, in columns.

        Returns:
            (B, 1, H, W) float32 columns, positive in front of the screen.

        Raises:
            ValueError: a shape or ``width`` does not fit, or values lie outside [0, 1].
        """
        expect_shape("inverse_depth", inverse_depth, "B 1 H W")
        if width < 1:
            raise ValueError(f"width: got {width}. Give the number of columns, 1 or more.")
        low, high = (value.item() for value in inverse_depth.aminmax())
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"inverse_depth: values must lie in [0, 1], got {low:.3g} to {high:.3g}. "
                "Use normalize_inverse_depth first."
            )
        columns = inverse_depth.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        if self.exponent != 1:
            for frame in columns:  # powers round by their place in memory: alone, equal frames stay equal
                frame.pow_(self.exponent)
        return columns.sub_(self.convergence).mul_(self.max_disparity / 100 * width)

    def whole_columns(self, inverse_depth: Tensor, width: int) -> Tensor:
        r"""Turn inverse depth into whole columns, for grids as coarse as a latent's.

        The papers truncate :math:`s/100\, W D^\alpha` to whole columns. Truncated after the convergence is taken
        off, one column on either side of the screen would be lost as well; so the convergence, one shift of the
        whole view, is rounded by itself. At c = 0 this is the papers' shift.

        Args:
            inverse_depth: (B, 1, H, W) in [0, 1], 1 nearest, any floating dtype.
            width: of the grid that will be shifted, in columns.

        Returns:
            (B, 1, H, W) float32 whole columns, positive in front of the screen.

        Raises:
            ValueError: as ``columns``.
        """
        in_front = replace(self, convergence=0.0).columns(inverse_depth, width).trunc()
        return in_front - round(self.max_disparity / 100 * width * self.convergence)


class DisparityRange(NamedTuple):
    """The extent of a disparity map, in columns and relative to the width.

    Attributes:
        nearest: the largest disparity, in columns.
        farthest: the smallest disparity, in columns.
        typical_nearest: the 99th percentile, in columns: what a comfort rule should judge, blind to single pixels.
        typical_farthest: the 1st percentile, in columns.
        width: of the grid, in columns.
    """

    nearest: float
    farthest: float
    typical_nearest: float
    typical_farthest: float
    width: int

    @property
    def nearest_per_mille(self) -> float:
        return 1000 * self.nearest / self.width

    @property
    def farthest_per_mille(self) -> float:
        return 1000 * self.farthest / self.width


def describe(columns: Tensor, width: int) -> DisparityRange:
    """Measure how far a disparity map reaches.

    Args:
        columns: disparity in columns, any shape, any floating dtype.
        width: of the grid that is shifted, in columns.

    Returns:
        Extremes and percentiles; the percentiles are taken over an even subset of a large map.

    Raises:
        ValueError: no values, values that are not finite, or ``width`` below 1.
    """
    if width < 1:
        raise ValueError(f"width: got {width}. Give the number of columns, 1 or more.")
    if columns.numel() == 0:
        raise ValueError(f"columns: holds no value, {tuple(columns.shape)}. Give at least one map.")
    extremes = torch.stack(columns.aminmax())
    expect_finite("columns", extremes)
    flat = columns.flatten()
    subset = flat[:: -(-flat.numel() // _SAMPLES)].float()
    typical = subset.quantile(subset.new_tensor([0.01, 0.99]))
    return DisparityRange(extremes[1].item(), extremes[0].item(), typical[1].item(), typical[0].item(), width)


def resize_nearest(map: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a depth or disparity map without mixing values across its edges.

    Every output pixel takes the value of the input pixel under its centre. Values are kept as they are: disparity
    in columns must still be multiplied by the ratio of the widths.

    Args:
        map: (B, 1, h, w), any floating dtype.
        size: (H, W) of the result.

    Returns:
        (B, 1, H, W), the same dtype; ``map`` itself when it has that size.

    Raises:
        ValueError: the shape does not fit, or a size below 1.
    """
    expect_shape("map", map, "B 1 H W")
    if min(size) < 1:
        raise ValueError(f"size: got {size}. Give rows and columns, 1 or more each.")
    return map if map.shape[-2:] == size else functional.interpolate(map, size=size, mode="nearest-exact")


def match_frames(depth: Tensor, frames: int) -> Tensor:
    """Fit a depth clip to the number of frames of an image or latent clip.

    An equal count stays as it is, and a single map serves every frame. A causal video autoencoder makes
    T' = (T - 1) / r + 1 latent frames of T, the first of frame 0 alone and each later one of r frames: latent
    frame k takes the map in the middle of frames r (k - 1) + 1 to r k, the earlier of two for even r.

    Args:
        depth: (T, 1, h, w), any dtype.
        frames: the number of frames wanted.

    Returns:
        (frames, 1, h, w); a view of ``depth`` where none has to be picked.

    Raises:
        ValueError: the counts fit in none of these ways.
    """
    expect_shape("depth", depth, "T 1 H W")
    count = depth.shape[0]
    if frames < 1:
        raise ValueError(f"frames: got {frames}. Give 1 or more.")
    if count in (1, frames):
        return depth.expand(frames, -1, -1, -1)
    ratio, rest = divmod(count - 1, frames - 1) if frames > 1 else (0, 1)
    if rest or ratio < 2:
        raise ValueError(
            f"depth: {count} maps do not fit {frames} frames. Give one map, one for each frame, or, for a video "
            f"latent of {frames} frames, one for each frame of the video."
        )
    later = torch.arange(frames - 1, device=depth.device) * ratio + (ratio + 1) // 2
    return depth[torch.cat([later.new_zeros(1), later])]


def disparity_preview(columns: Tensor, limit: float | None = None) -> Tensor:
    """Draw a disparity map: warm in front of the screen, cool behind it, light grey on it.

    Args:
        columns: (B, 1, H, W) disparity in columns, any floating dtype.
        limit: the disparity in columns at which colours saturate; ``None`` takes the largest magnitude in the batch.

    Returns:
        (B, 3, H, W) float32 in [0, 1].

    Raises:
        ValueError: the shape does not fit, values are not finite, or ``limit`` is not above 0.
    """
    expect_shape("columns", columns, "B 1 H W")
    expect_finite("columns", columns)
    if limit is None:
        limit = columns.abs().max().item() or 1.0
    if not limit > 0:
        raise ValueError(f"limit: got {limit}. Give a number of columns above 0.")
    table = torch.tensor(_COOL_TO_WARM, device=columns.device)
    half = len(_COOL_TO_WARM) // 2
    position = (columns[:, 0].float() / limit).clamp_(-1, 1).mul_(half).add_(half)  # (B, H, W)
    lower = position.floor().clamp_(max=2 * half - 1)
    share = (position - lower).unsqueeze(-1)
    index = lower.long()
    return torch.lerp(table[index], table[index + 1], share).movedim(-1, 1)
