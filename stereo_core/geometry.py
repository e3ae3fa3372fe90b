"""Inverse depth to disparity in columns: how deep the stereo is, and how far a map of it reaches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor

from .checks import expect_finite, expect_shape


class Screen(str, Enum):
    """What lies on the screen: how ``convergence`` is read."""

    VALUE = "value"
    """The depth of that value."""
    PERCENTILE = "percentile"
    """The depth that this share of the picture lies behind."""
    SUBJECT = "subject"
    """What stands out in the middle of the picture, whatever ``convergence``; see ``find_convergence``."""


@dataclass(frozen=True, slots=True)
class StereoGeometry:
    r"""How deep the stereo is.

    .. math:: d = \frac{s}{100}\, W\, (D^\alpha - c)

    Attributes:
        max_disparity: s, how far the nearest point moves against the farthest, in percent of the width, -100 to
            100; negative exchanges near and far.
        convergence: c, the value of :math:`D^\alpha` that lies on the screen, 0 (far) to 1 (near); for ``PERCENTILE``
            the share of the picture that lies behind the screen.
        exponent: :math:`\alpha`, above 0; over 1 keeps the background flat and pulls the foreground out.
        screen: how ``convergence`` is read; all but ``VALUE`` need the maps, see ``find_convergence``.

    Raises:
        ValueError: a value is out of its range.

    Source:
        StereoDiffusion (Wang et al., CVPRW 2024), Eq. 2 and 3, for c = 0 and exponent 1.
    """

    max_disparity: float = 3.0
    convergence: float = 0.5
    exponent: float = 1.0
    screen: Screen = Screen.VALUE

    def __post_init__(self) -> None:
        if not abs(self.max_disparity) <= 100:
            raise ValueError(f"max_disparity: got {self.max_disparity}. Give percent of the width, -100 to 100.")
        if not 0 <= self.convergence <= 1:
            raise ValueError(f"convergence: got {self.convergence}. Give a value from 0 (far) to 1 (near).")
        if not (self.exponent > 0 and math.isfinite(self.exponent)):
            raise ValueError(f"exponent: got {self.exponent}. Give a finite value above 0; 1 is linear.")
        Screen(self.screen)

    def disparity(self, inverse_depth: Tensor, width: int, convergence: float | Tensor | None = None) -> Tensor:
        """Turn inverse depth into disparity.

        Args:
            inverse_depth: (B, 1, H, W) in [0, 1], 1 nearest, any floating dtype.
            width: of the grid that will be shifted, in columns.
            convergence: that of each map, (B, 1, 1, 1), where it was found; ``None`` for the number.

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
        return disparity.sub_(self._or_own(convergence)).mul_(self.max_disparity / 100 * width)

    def whole_disparity(self, inverse_depth: Tensor, width: int, convergence: float | Tensor | None = None) -> Tensor:
        r"""Turn inverse depth into whole columns, for grids as coarse as a latent's.

        The papers truncate :math:`s/100\, W D^\alpha` to whole columns. Truncated after the convergence is taken
        off, one column on either side of the screen would be lost as well; so the convergence, one shift of the
        whole view, is rounded by itself. At c = 0 this is the papers' shift.

        Args:
            inverse_depth: (B, 1, H, W) in [0, 1], 1 nearest, any floating dtype.
            width: of the grid that will be shifted, in columns.
            convergence: as ``disparity`` has it.

        Returns:
            (B, 1, H, W) float32 whole columns, positive in front of the screen.

        Raises:
            ValueError: as ``disparity``.
        """
        in_front = self.disparity(inverse_depth, width, 0.0).trunc()
        behind = torch.as_tensor(self._or_own(convergence), dtype=torch.float64)
        return in_front - (self.max_disparity / 100 * width * behind).round().to(in_front)

    def least_whole_percent(
        self, inverse_depth: Tensor, width: int, truncated: bool, convergence: float | Tensor | None = None
    ) -> float:
        """Return the least ``max_disparity``, in percent rounded up to a tenth, that moves a whole column of a grid.

        Args:
            inverse_depth: (B, 1, H, W) in [0, 1], not all of it at the convergence.
            width: of the grid, in columns.
            truncated: whole columns are cut off towards zero, as ``whole_disparity`` does; else the nearest ones.
            convergence: as ``disparity`` has it.
        """
        screen = torch.as_tensor(self._or_own(convergence))
        if truncated:
            fraction = float((inverse_depth.float() ** self.exponent).max())
            # Beside them the convergence moves the whole view, at half a column.
            fraction = max(fraction, 2 * float(screen.max()))
            needed = 1.0
        else:
            fraction = float((inverse_depth.float() ** self.exponent - screen.to(inverse_depth.device)).abs().max())
            needed = 0.5
        return math.ceil(1000 * needed / (width * fraction) + 1e-6) / 10

    def _or_own(self, convergence: float | Tensor | None) -> float | Tensor:
        return self.convergence if convergence is None else convergence


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
