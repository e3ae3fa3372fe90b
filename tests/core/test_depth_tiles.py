"""Depth of large pictures: tiles refine it, and leave it where the whole picture has it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stereo_core.depth_tiles import Tiling, tiled_inverse_depth, tiled_size, tiles_of

HEIGHT, WIDTH, SIDE = 192, 256, 64


def scene() -> Tensor:
    """(1, 3, H, W): inverse depth in each channel, a slope with two things before it."""
    y, x = torch.meshgrid(torch.linspace(0, 1, HEIGHT), torch.linspace(0, 1, WIDTH), indexing="ij")
    depth = 0.2 + 0.2 * x + 0.1 * y
    depth[40:120, 60:101] = 0.8
    depth[130:170, 170:230] = 0.6
    return depth.expand(1, 3, -1, -1)


def model(bend: float = 0.0, far: float = 0.0) -> Callable[[Tensor], Tensor]:
    """A model that sees the true depth, small and soft, in a scale of its own for every picture it is given."""
    generator = torch.Generator().manual_seed(3)

    def infer(pictures: Tensor) -> Tensor:
        depth = pictures[:, :1]
        size = [round(side * SIDE / max(depth.shape[-2:])) for side in depth.shape[-2:]]
        small = F.interpolate(depth, size, mode="bilinear", antialias=True)
        scale, offset, slope = torch.rand(3, generator=generator)
        seen = small * (0.6 + 0.8 * scale) + offset + bend * slope * torch.linspace(0, 1, size[1])
        return seen.where(small > far, torch.zeros(()))

    return infer


def error(found: Tensor, true: Tensor, where: Tensor | None = None) -> float:
    """Mean difference after the best scale and offset."""
    values = F.interpolate(found, true.shape[-2:], mode="bilinear").flatten()
    columns = torch.stack([values, torch.ones_like(values)], 1)
    left = (columns @ torch.linalg.lstsq(columns, true.reshape(-1, 1)).solution - true.reshape(-1, 1)).abs().flatten()
    return left[where.flatten() if where is not None else slice(None)].mean().item()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [(2160, 3840), (3840, 2160), (17, 300), (256, 256)])
def test_tiles_are_of_one_size_cover_the_picture_and_overlap(size: tuple[int, int], count: int):
    tiles = tiles_of(size, Tiling(count))
    seen = torch.zeros(size)
    for rows, columns in tiles:
        seen[rows, columns] += 1
    assert (
        seen.min() == 1
        and len({(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in tiles}) == 1
    )
    longer = {(tile[0].start, tile[1].start)[size[1] >= size[0]] for tile in tiles}
    assert len(longer) == count and (count == 1 or seen.max() > 1)


def test_one_tile_is_what_the_model_gives():
    assert torch.equal(tiled_inverse_depth(scene(), model(), Tiling(1)), model()(scene()))


@pytest.mark.parametrize("count", [2, 3])
def test_edges_are_finer_and_surfaces_stay(count: int):
    true = scene()[:, :1]
    edges = F.max_pool2d(true, 9, 1, 4) + F.max_pool2d(-true, 9, 1, 4) > 0.1
    whole, tiled = (tiled_inverse_depth(scene(), model(bend=0.1), Tiling(each)) for each in (1, count))
    flat = (F.interpolate(model()(scene()), (HEIGHT, WIDTH), mode="bilinear"), F.interpolate(tiled, (HEIGHT, WIDTH)))
    assert error(tiled, true, edges) < 0.8 * error(whole, true, edges)
    assert (flat[0] - flat[1])[..., 5:30, 5:50].abs().max() < 0.1 * flat[0].std()


def test_a_slope_has_no_seams_whatever_scale_each_tile_has():
    picture = torch.linspace(0.1, 0.9, WIDTH).expand(1, 3, HEIGHT, WIDTH)
    tiled = tiled_inverse_depth(picture, model(), Tiling(3))
    steps = tiled[0, 0, HEIGHT // 3].diff()[6:-6]
    assert steps.std() < 0.05 * steps.mean()


def test_what_is_at_infinity_stays_there():
    picture = scene().clone()
    picture[..., :30, :] = 0
    tiled = tiled_inverse_depth(picture, model(far=0.05), Tiling(2))
    rows = tiled.shape[-2] * 30 // HEIGHT
    assert (tiled[..., : rows - 2, :] == 0).all() and (tiled[..., rows + 2 :, :] > 0).all()


def test_what_only_a_tile_takes_for_infinity_is_where_the_whole_picture_has_it():
    whole = tiled_inverse_depth(scene(), model(), Tiling(1))

    def infer(pictures: Tensor) -> Tensor:
        if pictures.shape[-1] == WIDTH:
            return whole
        small = F.interpolate(pictures[:, :1], (48, SIDE), mode="bilinear", antialias=True)
        return (small - small.min() - 0.03).clamp(min=0)  # 0 is the farthest that this tile shows

    tiled = tiled_inverse_depth(scene(), infer, Tiling(3))
    assert (tiled > 0.8 * whole.min()).all()


def test_a_picture_of_one_pixel_has_tiles():
    picture = torch.full((1, 3, 1, 1), 0.5)
    assert tiled_inverse_depth(picture, lambda shown: shown[:, :1], Tiling(2)).item() == 0.5


def test_pictures_are_independent_and_the_size_is_told():
    other = scene().flip(-1)
    exact = lambda pictures: F.avg_pool2d(pictures[:, :1], 4)  # noqa: E731
    both = tiled_inverse_depth(torch.cat([scene(), other]), exact, Tiling(2))
    alone = tiled_inverse_depth(other, exact, Tiling(2))
    torch.testing.assert_close(both[1:], alone)
    rows, columns = tiles_of((HEIGHT, WIDTH), Tiling(2))[0]
    maps = ((rows.stop - rows.start) // 4, (columns.stop - columns.start) // 4)
    assert tuple(both.shape[-2:]) == tiled_size((HEIGHT, WIDTH), maps, Tiling(2))
    assert tiled_size((100, 100), (100, 100), Tiling(4)) == (100, 100)
