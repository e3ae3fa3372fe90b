"""Anaglyphs: both views in one picture, separated by coloured glasses."""

from __future__ import annotations

from enum import Enum

import torch
from torch import Tensor

from .checks import expect_shape


class Anaglyph(str, Enum):
    """How the two views share the colour channels; the first colour is the left eye's filter."""

    RED_CYAN_DUBOIS = "red_cyan_dubois"
    RED_CYAN_COLOR = "red_cyan_color"
    RED_CYAN_HALF_COLOR = "red_cyan_half_color"
    RED_CYAN_GRAY = "red_cyan_gray"
    GREEN_MAGENTA_DUBOIS = "green_magenta_dubois"
    AMBER_BLUE_DUBOIS = "amber_blue_dubois"


_Matrix = tuple[tuple[float, float, float], ...]

# Matrices for the left and the right view: rows are output red, green, blue, columns input red, green, blue.
# Least-squares projections onto what a viewer sees through each filter, for sRGB primaries in linear light.
_DUBOIS: dict[Anaglyph, tuple[_Matrix, _Matrix]] = {
    Anaglyph.RED_CYAN_DUBOIS: (
        ((0.437, 0.449, 0.164), (-0.062, -0.062, -0.024), (-0.048, -0.050, -0.017)),
        ((-0.011, -0.032, -0.007), (0.377, 0.761, 0.009), (-0.026, -0.093, 1.234)),
    ),
    Anaglyph.GREEN_MAGENTA_DUBOIS: (
        ((-0.062, -0.158, -0.039), (0.284, 0.668, 0.143), (-0.015, -0.027, 0.021)),
        ((0.529, 0.705, 0.024), (-0.016, -0.015, -0.065), (0.009, 0.075, 0.937)),
    ),
    Anaglyph.AMBER_BLUE_DUBOIS: (
        ((1.062, -0.205, 0.299), (-0.026, 0.908, 0.068), (-0.038, -0.173, 0.022)),
        ((-0.016, -0.123, -0.017), (0.006, 0.062, -0.017), (0.094, 0.185, 0.911)),
    ),
}

_LUMA = (0.299, 0.587, 0.114)
_NONE = (0.0, 0.0, 0.0)
_RED, _GREEN, _BLUE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)

# The plain mixes are defined on encoded values, as on the screens that made them channel by channel.
_PLAIN: dict[Anaglyph, tuple[_Matrix, _Matrix]] = {
    Anaglyph.RED_CYAN_COLOR: ((_RED, _NONE, _NONE), (_NONE, _GREEN, _BLUE)),
    Anaglyph.RED_CYAN_HALF_COLOR: ((_LUMA, _NONE, _NONE), (_NONE, _GREEN, _BLUE)),
    Anaglyph.RED_CYAN_GRAY: ((_LUMA, _NONE, _NONE), (_NONE, _LUMA, _LUMA)),
}


def mix_anaglyph(left: Tensor, right: Tensor, kind: Anaglyph = Anaglyph.RED_CYAN_DUBOIS) -> Tensor:
    """Mix both views into one anaglyph.

    The Dubois kinds project the pair onto what reaches the eyes through the filters, in linear light: the values
    are decoded from sRGB, mixed, clipped and encoded again. The terms of both views are summed before they are clipped,
    so that the negative terms of one view cancel the ghost of the other, and grey stays grey where the views are equal.
    The plain kinds copy channels, or the Rec. 601 luma, of the encoded values.

    Args:
        left: (B, 3, H, W) sRGB in [0, 1], any floating dtype.
        right: (B, 3, H, W), the same size.
        kind: the glasses and the mix.

    Returns:
        (B, 3, H, W) in [0, 1], the dtype of ``left``.

    Raises:
        ValueError: a shape does not fit, or the kind is unknown.

    Source:
        E. Dubois, "A projection method to generate anaglyph stereo images", ICASSP 2001, with the matrices that he
        publishes for commercial red/cyan, green/magenta and amber/blue glasses and an sRGB screen.
    """
    kind = Anaglyph(kind)
    expect_shape("left", left, "B 3 H W")
    batch, _, height, width = left.shape
    expect_shape("right", right, "B 3 H W", B=batch, H=height, W=width)
    mixed = torch.empty_like(left)
    for index in range(batch):  # one frame at a time: memory may not hold another clip
        one, two = left[index].float(), right[index].float()
        if kind in _PLAIN:
            mixed[index] = _mix(one, two, _PLAIN[kind]).clamp_(0, 1)
        else:
            linear = _mix(srgb_to_linear(one), srgb_to_linear(two), _DUBOIS[kind])
            mixed[index] = linear_to_srgb(linear.clamp_(0, 1))
    return mixed


def srgb_to_linear(value: Tensor) -> Tensor:
    """Decode sRGB values in [0, 1] to linear light (IEC 61966-2-1)."""
    return torch.where(value <= 0.04045, value / 12.92, ((value.clamp_min(0) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(value: Tensor) -> Tensor:
    """Encode linear light in [0, 1] to sRGB values (IEC 61966-2-1)."""
    return torch.where(value <= 0.0031308, value * 12.92, 1.055 * value.clamp_min(0) ** (1 / 2.4) - 0.055)


def _mix(left: Tensor, right: Tensor, matrices: tuple[_Matrix, _Matrix]) -> Tensor:
    """Mix one frame (3, H, W) of each view."""
    for_left, for_right = (left.new_tensor(matrix).view(3, 3, 1, 1) for matrix in matrices)
    return (for_left * left).sum(dim=1) + (for_right * right).sum(dim=1)
