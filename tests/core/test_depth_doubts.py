"""Maps that are no depth maps are noticed, and depth maps are not taken for them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stereo_core.depth_doubts import Doubt, doubt_depth


def ramp() -> Tensor:
    return torch.linspace(0, 1, 96).expand(1, 3, 64, 96).clone()


def colour_map() -> Tensor:
    """Red where it is near, blue where it is far."""
    near = ramp()[:, :1]
    return torch.cat([near, 1 - (2 * near - 1).abs(), 1 - near], dim=1)


def mask() -> Tensor:
    columns = torch.arange(96)
    return ((columns > 20) & (columns < 70)).float().expand(1, 3, 64, 96).clone()


def picture() -> Tensor:
    return torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def grey_with_a_stray_pixel() -> Tensor:
    depth = torch.full((1, 3, 64, 96), 0.4)
    depth[..., 0, 0] = 1.0
    return depth


CASES = {
    "a ramp": (ramp(), ()),
    "a ramp after JPEG": (ramp() + 0.02 * (picture() - 0.5), ()),
    "layers": ((ramp() * 5).floor() / 5, ()),
    "a block before a wall that rises": (torch.maximum(ramp() * 0.3, mask()), ()),
    "false colours": (colour_map(), (Doubt.COLOURED,)),
    "one grey": (torch.full((1, 3, 64, 96), 0.4), (Doubt.FLAT,)),
    "one grey and a stray pixel": (
        grey_with_a_stray_pixel(),
        (Doubt.FLAT,),
    ),
    "a mask": (mask(), (Doubt.MASK,)),
    "the picture": (picture().mean(1, keepdim=True).expand(-1, 3, -1, -1), (Doubt.PICTURE,)),
    "the picture itself, in colour": (picture(), (Doubt.COLOURED, Doubt.PICTURE)),
}


@pytest.mark.parametrize("case", CASES)
def test_what_looks_wrong(case: str):
    depth, expected = CASES[case]
    assert doubt_depth(depth, picture()) == expected


def test_the_picture_at_another_size_is_noticed():
    small = torch.nn.functional.interpolate(picture(), size=(32, 48), mode="area").mean(1, keepdim=True)
    assert doubt_depth(small.expand(-1, 3, -1, -1), picture()) == (Doubt.PICTURE,)
