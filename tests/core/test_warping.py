from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stereo_core.warping import View, forward_warp

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "stereo"


def nested_loop(source: Tensor, disparity: Tensor, view: View) -> tuple[Tensor, Tensor]:
    """The definition: scan against the shift, truncate the offset, let the last write stay."""
    batch, _, height, width = source.shape
    image, filled = torch.zeros_like(source), torch.zeros_like(disparity, dtype=torch.bool)
    sign = -1 if view is View.RIGHT else 1
    order = range(width) if view is View.RIGHT else range(width - 1, -1, -1)
    values = disparity.tolist()
    for b in range(batch):
        for y in range(height):
            for x in order:
                target = x + int(sign * values[b][0][y][x])
                if 0 <= target < width:
                    image[b, :, y, target] = source[b, :, y, x]
                    filled[b, 0, y, target] = True
    return image, filled


def assert_equals_loop(source: Tensor, disparity: Tensor) -> None:
    for view in View:
        image, filled = nested_loop(source, disparity, view)
        warp = forward_warp(source, disparity, view)
        assert warp.image.dtype == source.dtype
        assert torch.equal(warp.filled, filled)
        assert torch.equal(warp.image, image)


@pytest.mark.parametrize("seed", range(80))
def test_it_equals_the_nested_loop(seed: int) -> None:
    random = np.random.default_rng(seed)
    batch, channels, height = (int(n) for n in random.integers(1, (4, 6, 9)))
    width = int(random.integers(1, 40))
    generator = torch.Generator().manual_seed(seed)
    dtype = (torch.float32, torch.float16, torch.bfloat16, torch.float64)[seed % 4]
    source = torch.randn(batch, channels, height, width, generator=generator).to(dtype)
    scale, exponent, convergence = random.uniform(-1.5, 1.5) * width, random.uniform(0.3, 3), random.uniform(0, 1)
    depth = torch.rand(batch, 1, height, width, generator=generator)
    disparity = scale * (depth**exponent - (convergence if seed % 3 else 0.0))
    disparity_dtype = (torch.float32, torch.float16, torch.bfloat16, torch.float64)[(seed // 4) % 4]
    assert_equals_loop(source, disparity.to(disparity_dtype))


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (1, 700), (40, 1), (19, 301)])
def test_it_equals_the_nested_loop_at_odd_sizes(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(1, 2, *size, generator=generator)
    assert_equals_loop(source, torch.randn(1, 1, *size, generator=generator) * 12)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.integers(1, 12).flatmap(
        lambda width: st.lists(
            st.lists(st.floats(-1e6, 1e6, width=32), min_size=width, max_size=width), min_size=1, max_size=3
        )
    )
)
def test_it_equals_the_nested_loop_for_any_finite_disparity(rows: list[list[float]]) -> None:
    disparity = torch.tensor(rows)[None, None]
    source = torch.arange(1.0, disparity.numel() + 1).view_as(disparity)
    assert_equals_loop(source, disparity)
    assert_equals_loop(source, disparity.remainder(7) - 3)


@pytest.mark.parametrize("scene, scale", [("Cones", 4), ("Teddy", 4), ("Art", 3)])
def test_it_equals_the_nested_loop_on_real_disparity(scene: str, scale: int) -> None:
    if not DATA.is_dir():
        pytest.skip("the Middlebury pairs (shared/data/stereo) are not beside the project")
    from PIL import Image

    left = np.asarray(Image.open(DATA / scene / "left.png"))[::24].copy()
    disparity = np.asarray(Image.open(DATA / scene / "disp_left.png"))[::24].astype(np.float32) / scale
    source = torch.from_numpy(left).permute(2, 0, 1)[None].float() / 255
    assert_equals_loop(source, torch.from_numpy(disparity)[None, None])


def test_values_are_copied_untouched() -> None:
    source = torch.tensor([float("nan"), float("inf"), -0.0, 0.0, -1e-40]).view(1, 1, 1, 5)
    warp = forward_warp(source, torch.full_like(source, 2.0))
    assert torch.equal(warp.image[..., :3].view(torch.int32), source[..., 2:].view(torch.int32))
    assert torch.equal(warp.image[..., 3:], torch.zeros(1, 1, 1, 2))
    assert warp.filled.flatten().tolist() == [True, True, True, False, False]


def test_disparity_is_read_as_precisely_as_it_is_given() -> None:
    source = torch.arange(601.0).view(1, 1, 1, 601)
    # 602 columns, just outside the frame, round to 600 in bfloat16.
    assert not forward_warp(source, torch.full_like(source, 1e4).bfloat16()).filled.any()
    almost_three = torch.full_like(source, 3, dtype=torch.float64) - 1e-9
    assert forward_warp(source, almost_three).image[0, 0, 0, 0] == 2


def test_the_source_is_not_written() -> None:
    source, disparity = torch.rand(1, 3, 4, 9), torch.rand(1, 1, 4, 9) * 4
    before = source.clone(), disparity.clone()
    forward_warp(source, disparity)
    assert torch.equal(source, before[0]) and torch.equal(disparity, before[1])


@pytest.mark.parametrize("view", list(View))
def test_no_disparity_returns_the_source(view: View) -> None:
    source = torch.randn(3, 4, 5, 17)
    warp = forward_warp(source, torch.zeros(3, 1, 5, 17), view)
    assert torch.equal(warp.image, source)
    assert warp.filled.all()


def test_the_two_views_mirror_each_other() -> None:
    generator = torch.Generator().manual_seed(2)
    source = torch.rand(1, 3, 8, 33, generator=generator)
    disparity = torch.randn(1, 1, 8, 33, generator=generator) * 5
    right = forward_warp(source, disparity, View.RIGHT)
    left = forward_warp(source.flip(-1), disparity.flip(-1), View.LEFT)
    assert torch.equal(left.image.flip(-1), right.image)
    assert torch.equal(left.filled.flip(-1), right.filled)


def test_frames_are_independent_and_repeatable() -> None:
    generator = torch.Generator().manual_seed(3)
    source = torch.rand(3, 2, 16, 200, generator=generator)
    disparity = torch.rand(3, 1, 16, 200, generator=generator) * 20
    whole = forward_warp(source, disparity).image
    assert not torch.equal(whole[0], whole[1])
    for index in range(3):
        one = slice(index, index + 1)
        assert torch.equal(forward_warp(source[one], disparity[one]).image, whole[one])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_disparity_that_is_not_finite_is_refused(value: float) -> None:
    disparity = torch.zeros(1, 1, 2, 3)
    disparity[0, 0, 1, 2] = value
    with pytest.raises(ValueError, match="disparity: holds NaN or infinite"):
        forward_warp(torch.zeros(1, 3, 2, 3), disparity)


def test_errors_name_the_argument() -> None:
    source = torch.zeros(1, 3, 2, 8)
    with pytest.raises(ValueError, match=r"disparity: expected \(B, 1, H, W\) with B=1, H=2, W=8, got \(1, 2, 8\)"):
        forward_warp(source, torch.zeros(1, 2, 8))
    with pytest.raises(ValueError, match=r"source: expected \(B, C, H, W\)"):
        forward_warp(source[0], torch.zeros(1, 1, 2, 8))
    with pytest.raises(ValueError, match="sideways"):
        forward_warp(source, torch.zeros(1, 1, 2, 8), "sideways")  # type: ignore[arg-type]
