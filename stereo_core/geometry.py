"""Inverse depth to disparity in columns: how deep the stereo is, and how far a map of it reaches."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from .checks import expect_finite, expect_shape


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

    def disparity(self, inverse_depth: Tensor, width: int) -> Tensor:
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
        disparity = inverse_depth.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        if self.exponent != 1:
            for frame in disparity:  # powers round by their place in memory: alone, equal frames stay equal
                frame.pow_(self.exponent)
        return disparity.sub_(self.convergence).mul_(self.max_disparity / 100 * width)

    def whole_disparity(self, inverse_depth: Tensor, width: int) -> Tensor:
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
            ValueError: as ``disparity``.
        """
        in_front = replace(self, convergence=0.0).disparity(inverse_depth, width).trunc()
        return in_front - round(self.max_disparity / 100 * width * self.convergence)

    def least_whole_percent(self, inverse_depth: Tensor, width: int, truncated: bool) -> float:
        """Return the least ``max_disparity``, in percent rounded up to a tenth, that moves a whole column of a grid.

        Args:
            inverse_depth: (B, 1, H, W) in [0, 1], not all of it at the convergence.
            width: of the grid, in columns.
            truncated: whole columns are cut off towards zero, as ``whole_disparity`` does; else the nearest ones.
        """
        if truncated:
            fraction = float((inverse_depth.float() ** self.exponent).max())
            # Beside them the convergence moves the whole view, at half a column.
            fraction = max(fraction, 2 * self.convergence)
            needed = 1.0
        else:
            fraction = float((inverse_depth.float() ** self.exponent - self.convergence).abs().max())
            needed = 0.5
        return math.ceil(1000 * needed / (width * fraction) + 1e-6) / 10


class DisparityRange(NamedTuple):
    """The extent of a disparity map, in columns and relative to the width.

    Attributes:
        nearest: the largest disparity, in columns.
        farthest: the smallest disparity, in columns.
        width: of the grid, in columns.
    """

    nearest: float
    farthest: float
    width: int

    @property
    def nearest_per_mille(self) -> float:
        """The largest disparity, in thousandths of the width."""
        return 1000 * self.nearest / self.width

    @property
    def farthest_per_mille(self) -> float:
        """The smallest disparity, in thousandths of the width."""
        return 1000 * self.farthest / self.width


def describe(disparity: Tensor, width: int) -> DisparityRange:
    """Measure how far a disparity map reaches.

    Args:
        disparity: in columns, any shape, any floating dtype.
        width: of the grid that is shifted, in columns.

    Returns:
        The extremes.

    Raises:
        ValueError: no values, values that are not finite, or ``width`` below 1.
    """
    if width < 1:
        raise ValueError(f"width: got {width}. Give the number of columns, 1 or more.")
    if disparity.numel() == 0:
        raise ValueError(f"disparity: holds no value, {tuple(disparity.shape)}. Give at least one map.")
    farthest, nearest = torch.stack(disparity.aminmax())
    expect_finite("disparity", torch.stack([farthest, nearest]))
    return DisparityRange(nearest.item(), farthest.item(), width)
