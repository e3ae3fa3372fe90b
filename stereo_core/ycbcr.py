"""Pictures as video stores them: luma and colour difference of BT.709 or BT.2020 in limited range."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .checks import expect_shape

# What red and blue contribute to luma; green is the rest.
_BT709, _BT2020 = (0.2126, 0.0722), (0.2627, 0.0593)


def to_ycbcr(
    image: Tensor, bits: int = 8, subsampled: bool = True, wide: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Turn a picture into the three planes that an encoder takes.

    With :math:`k = 2^{bits - 8}` (Rec. ITU-R BT.709-6, items 3.2 to 3.4 and 4.6, whose numbers these are; for ``wide``
    pictures BT.2020-2, table 4, non-constant luminance),

    .. math:: Y = k (16 + 219 Y'), \quad C_B = k (128 + 224 \frac{B' - Y'}{1.8556}), \quad
              C_R = k (128 + 224 \frac{R' - Y'}{1.5748})

    rounded to whole numbers. Where colour is ``subsampled`` (4:2:0), each of its samples stands for two columns and two
    rows, and lies on the first of the columns, between the rows, where H.264, HEVC and AV1 put it unless they say
    otherwise. libswscale's own conversion is off by up to four levels of 10 bits.

    Args:
        image: (3, H, W), R'G'B' in [0, 1]; what lies outside is clipped. H and W even where ``subsampled``.
        bits: of a sample, 8 or 10.
        subsampled: halve the colour planes in both directions.
        wide: the colours are those of BT.2020.

    Returns:
        (H, W), and twice that or (H / 2, W / 2), uint8 or, for 10 bits, int16; on the device of ``image``.

    Raises:
        ValueError: another shape or number of bits, or an odd size where ``subsampled``.
    """
    expect_shape("image", image, "3 H W")
    height, width = image.shape[-2:]
    if bits not in (8, 10):
        raise ValueError(f"bits: video has 8 or 10 of them here, not {bits}.")
    if subsampled and (height % 2 or width % 2):
        raise ValueError(f"image: {width}x{height} has no half size. Give an even width and height.")
    red, green, blue = image.float().clamp(0, 1)
    of_red, of_blue = _BT2020 if wide else _BT709
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    colour = torch.stack([(blue - luma) / (2 * (1 - of_blue)), (red - luma) / (2 * (1 - of_red))])
    if subsampled:
        colour = _halved(colour)
    scale = 2 ** (bits - 8)
    dtype = torch.uint8 if bits == 8 else torch.int16
    first, second = colour.mul_(224).add_(128).mul_(scale).round_().to(dtype)
    return luma.mul_(219).add_(16).mul_(scale).round_().to(dtype), first, second


def _halved(colour: Tensor) -> Tensor:
    """Mean of two rows, and of columns by 1 2 1 about every other one."""
    rows = (colour[:, 0::2] + colour[:, 1::2]) / 2
    padded = functional.pad(rows, (1, 0), mode="replicate")
    return (padded[..., 0:-1:2] + 2 * padded[..., 1::2] + padded[..., 2::2]) / 4
