"""Soft edges become steps on the picture's edges; sharp ones, slopes and flat maps stay as they are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from stereo_core import depth_edges
from stereo_core.depth_edges import sharpen_edges

HEIGHT, WIDTH, EDGE = 48, 96, 40


def split(near: float, far: float, edge: int = EDGE, channels: int = 1) -> Tensor:
    """(1, C, H, W): ``near`` to the left of the edge and ``far`` to its right."""
    values = torch.full((1, channels, HEIGHT, WIDTH), far)
    values[..., :edge] = near
    return values


def blurred(depth: Tensor, sigma: float = 2.5) -> Tensor:
    taps = torch.arange(-8, 9).float()
    kernel = (-0.5 * (taps / sigma) ** 2).exp()
    padded = functional.pad(depth, (8, 8, 0, 0), mode="replicate")
    return functional.conv2d(padded, (kernel / kernel.sum()).view(1, 1, 1, -1))


def noisy(picture: Tensor, seed: int = 0) -> Tensor:
    return picture + 0.02 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shift", [-2, -1, 0, 1, 2])
def test_a_ramp_becomes_a_step_on_the_pictures_edge(shift: int):
    """The map's edge lies up to two pixels from the picture's."""
    picture = noisy(split(0.8, 0.3, channels=3))
    sharp = sharpen_edges(blurred(split(9.0, 1.0, EDGE + shift)), picture, least=1.5)
    edge = (sharp > 5).sum(-1)
    assert (edge - EDGE).abs().max() <= 1 and (edge - EDGE).abs().float().mean() < 0.3
    assert ((sharp > 2) & (sharp < 8)).sum(-1).float().mean() <= 2  # of six columns before


def test_where_the_picture_tells_nothing_the_middle_of_the_ramp_is_the_edge():
    sharp = sharpen_edges(blurred(split(9.0, 1.0)), torch.full((1, 3, HEIGHT, WIDTH), 0.5), least=1.5)
    assert ((sharp > 5).sum(-1) == EDGE).all()


def unchanged() -> dict[str, Tensor]:
    slope = torch.linspace(0, 30, WIDTH).expand(1, 1, HEIGHT, WIDTH)
    steps = split(9.0, 1.0)
    steps[..., 20:40, 60:64] = 6.0
    noise = torch.rand(1, 1, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))
    return {"flat": torch.ones(1, 1, HEIGHT, WIDTH), "slope": slope, "steps": steps, "grain": noise}


@pytest.mark.parametrize("name", unchanged())
def test_what_is_no_soft_edge_stays_to_the_bit(name: str):
    depth = unchanged()[name]
    assert torch.equal(sharpen_edges(depth, noisy(split(0.8, 0.3, EDGE + 3, channels=3)), least=1.5), depth)


def test_steps_below_the_least_stay():
    depth = blurred(split(2.0, 1.0))
    picture = split(0.8, 0.3, channels=3)
    assert torch.equal(sharpen_edges(depth, picture, least=1.5), depth)
    assert not torch.equal(sharpen_edges(depth, picture, least=0.5), depth)


def test_scale_and_offset_of_the_map_do_not_matter():
    picture = noisy(split(0.8, 0.3, channels=3))
    depth = blurred(split(1.0, 0.25, EDGE + 1))
    once = sharpen_edges(depth, picture, least=0.1)
    torch.testing.assert_close(sharpen_edges(20 * depth - 7, picture, least=2.0), 20 * once - 7)


def test_frames_are_not_mixed_and_the_picture_may_be_grey():
    pictures = torch.cat([noisy(split(0.8, 0.3), seed) for seed in range(2)])
    depths = torch.cat([blurred(split(9.0, 1.0)), blurred(split(3.0, 8.0, 50))])
    both = sharpen_edges(depths, pictures, least=1.5)
    for frame in range(2):
        one = slice(frame, frame + 1)
        assert torch.equal(both[one], sharpen_edges(depths[one], pictures[one], least=1.5))


def test_a_large_picture_is_sharpened_at_its_own_pixels():
    """Cells are two pixels wide here; the step still lies on the picture's very column."""
    height, width, edge = 40, 1921, 901
    picture, depth = torch.full((1, 3, height, width), 0.3), torch.full((1, 1, height, width), 1.0)
    picture[..., :edge], depth[..., :edge] = 0.8, 9.0
    sharp = sharpen_edges(blurred(depth, 4.0), noisy(picture), least=1.5)
    assert ((sharp > 5).sum(-1) == edge).float().mean() > 0.9


def test_noise_of_a_still_picture_hardly_moves_the_edge():
    depth = blurred(split(9.0, 1.0))
    views = torch.cat([sharpen_edges(depth, noisy(split(0.5, 0.45, channels=3), seed), 1.5) for seed in range(6)])
    assert ((views > 5).sum(-1).float().std(0)).mean() < 0.7


def test_half_precision_is_kept():
    depth = blurred(split(1.0, 0.25)).half()
    assert sharpen_edges(depth, split(0.8, 0.3, channels=3).half(), least=0.1).dtype == torch.float16


def test_shapes_and_values_are_named():
    depth, picture = torch.zeros(1, 1, 8, 8), torch.zeros(1, 3, 8, 9)
    with pytest.raises(ValueError, match="picture: expected"):
        sharpen_edges(depth, picture, 1.0)
    with pytest.raises(ValueError, match="depth: expected"):
        sharpen_edges(depth[0], picture, 1.0)
    with pytest.raises(ValueError, match="least: got 0"):
        sharpen_edges(depth, picture[..., :8], 0.0)


def test_the_smallest_maps_are_taken():
    for size in ((1, 1), (1, 9), (3, 2)):
        depth = torch.rand(1, 1, *size)
        assert sharpen_edges(depth, depth, 0.01).shape == depth.shape


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (9, 40)])
@pytest.mark.parametrize("reach", [1, 2, 3, 4, 8])
def test_maxima_are_those_of_max_pooling_to_the_bit(size: tuple[int, int], reach: int):
    values = torch.randn(1, 1, *size, generator=torch.Generator().manual_seed(reach))
    around = functional.max_pool2d(values, 2 * reach + 1, 1, reach)
    assert torch.equal(depth_edges._most(values, reach), around)
    cells = functional.max_pool2d(values, reach, ceil_mode=True)
    assert torch.equal(depth_edges._most_in(values, reach), cells)
