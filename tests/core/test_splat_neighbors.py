"""The nearest neighbors of Gaussians, against the distances of all pairs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stereo_core.splat_neighbors import neighbors


def points(count: int) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(count))


def coinciding() -> Tensor:
    """As where faded Gaussians were moved onto others."""
    some = points(400)
    some[:150] = some[0]
    some[300:] = some[200:300]
    return some


def far_apart() -> Tensor:
    some = points(300)
    some[5] = 1e4
    some[200:] += 30
    return some


CLOUDS = {
    "many": points(1500),
    "in a plane": points(600) * torch.tensor([1.0, 0.0, 1.0]),
    "at the same place": coinciding(),
    "far apart": far_apart(),
    "all at one place": torch.zeros(100, 3),
    "one leaf": points(32),
    "one more than a leaf": points(33),
    "nine": points(9),
}


@pytest.mark.parametrize("cloud", CLOUDS.values(), ids=CLOUDS)
def test_neighbors_are_as_near_as_those_of_all_pairs(cloud: Tensor):
    near = neighbors(cloud)
    apart = (cloud[:, None].double() - cloud.double()).square().sum(dim=-1).fill_diagonal_(torch.inf)
    assert near.shape == (len(cloud), 8)
    assert all(len({*row}) == 8 and own not in row for own, row in enumerate(near.tolist()))
    found, true = apart.gather(1, near).sort().values, apart.topk(8, largest=False).values
    torch.testing.assert_close(found, true, rtol=1e-5, atol=0)


@pytest.mark.parametrize("count", [0, 1, 2, 8])
def test_of_few_positions_all_others_are_neighbors(count: int):
    assert [sorted(row) for row in neighbors(points(count)).tolist()] == [
        [other for other in range(count) if other != own] for own in range(count)
    ]
