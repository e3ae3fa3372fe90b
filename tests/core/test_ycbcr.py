"""Video's colours against BT.709 written out in whole numbers of the standard."""

from __future__ import annotations

import pytest
import torch

from stereo_core.ycbcr import to_ycbcr

# Black, white, red, green, blue, and what 8 bits of BT.709 in limited range are for them (Y, Cb, Cr).
KNOWN = {
    (0, 0, 0): (16, 128, 128),
    (1, 1, 1): (235, 128, 128),
    (1, 0, 0): (63, 102, 240),
    (0, 1, 0): (173, 42, 26),
    (0, 0, 1): (32, 240, 118),
}


@pytest.mark.parametrize(("color", "planes"), KNOWN.items())
@pytest.mark.parametrize("subsampled", [False, True])
def test_known_colours(color: tuple[float, ...], planes: tuple[int, ...], subsampled: bool):
    image = torch.tensor(color, dtype=torch.float32).view(3, 1, 1).expand(3, 4, 6)
    for plane, value in zip(to_ycbcr(image, 8, subsampled), planes, strict=True):
        assert plane.dtype == torch.uint8 and (plane == value).all()


# The same of BT.2020, in 10 bits.
WIDE = {
    (0, 0, 0): (64, 512, 512),
    (1, 1, 1): (940, 512, 512),
    (1, 0, 0): (294, 387, 960),
    (0, 1, 0): (658, 189, 100),
    (0, 0, 1): (116, 960, 476),
}


@pytest.mark.parametrize(("color", "planes"), WIDE.items())
def test_known_wide_colours(color: tuple[float, ...], planes: tuple[int, ...]):
    image = torch.tensor(color, dtype=torch.float32).view(3, 1, 1).expand(3, 4, 6)
    for plane, value in zip(to_ycbcr(image, 10, wide=True), planes, strict=True):
        assert (plane == value).all()


@pytest.mark.parametrize(("bits", "most"), [(8, 1.7), (10, 0.45)])
def test_every_colour_comes_back_to_within_the_steps_of_its_samples(bits: int, most: float):
    """BT.709's inverse; a sample is off by half a step, which is up to 1.64 levels of blue in 8 bits."""
    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    scale = 2 ** (bits - 8)
    y, cb, cr = (plane.double() / scale for plane in to_ycbcr(image, bits, subsampled=False))
    y, cb, cr = (y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
    red, blue = y + 1.5748 * cr, y + 1.8556 * cb
    green = (y - 0.2126 * red - 0.0722 * blue) / 0.7152
    assert (torch.stack([red, green, blue]) - image).abs().max() * 255 < most


def test_halved_colour_lies_on_the_first_of_two_columns_and_between_two_rows():
    """A ramp in blue: the sample of columns 2c and 2c + 1 has the ramp's value at 2c."""
    ramp = torch.linspace(0, 1, 32).expand(8, -1)
    image = torch.stack([torch.zeros(8, 32), torch.zeros(8, 32), ramp])
    whole, half = to_ycbcr(image, 10, subsampled=False)[1], to_ycbcr(image, 10)[1]
    assert half.shape == (4, 16) and (half[:, 1:] - whole[:4, 2::2]).abs().max() <= 1
    rows = torch.stack([torch.zeros(8, 32), torch.zeros(8, 32), torch.linspace(0, 1, 8).view(8, 1).expand(8, 32)])
    whole, half = to_ycbcr(rows, 10, subsampled=False)[1], to_ycbcr(rows, 10)[1]
    assert (half - (whole[0::2, 0::2] + whole[1::2, 0::2]) / 2).abs().max() <= 1


def test_what_lies_outside_is_clipped():
    image = torch.tensor([-1.0, 2.0, 0.5]).view(3, 1, 1).expand(3, 2, 2)
    assert all(map(torch.equal, to_ycbcr(image), to_ycbcr(image.clamp(0, 1))))


@pytest.mark.parametrize(
    ("image", "options", "said"),
    [
        (torch.zeros(3, 3, 4), {}, "4x3"),
        (torch.zeros(1, 4, 4), {}, "expected"),
        (torch.zeros(3, 4, 4), {"bits": 9}, "8 or 10"),
    ],
)
def test_what_has_no_such_planes_is_refused(image: torch.Tensor, options: dict[str, int], said: str):
    with pytest.raises(ValueError, match=said):
        to_ycbcr(image, **options)
