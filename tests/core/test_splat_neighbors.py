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


@pytest.mark.parametrize("name", ["many", "at the same place", "all at one place"])
def test_in_small_parts_they_are_the_same(name: str, monkeypatch: pytest.MonkeyPatch):
    whole = neighbors(CLOUDS[name])
    monkeypatch.setattr("stereo_core.splat_neighbors._AT_ONCE", 2**8)
    apart = (CLOUDS[name][:, None] - CLOUDS[name]).square().sum(dim=-1)
    found = neighbors(CLOUDS[name])
    assert torch.equal(apart.gather(1, found).sort().values, apart.gather(1, whole).sort().values)


def test_each_leaf_is_compared_with_few_of_many_boxes(monkeypatch: pytest.MonkeyPatch):
    """Of eight times the points, about eight times as many: the tree leaves the others out together."""
    compared = []

    def maximum(one: Tensor, other: Tensor) -> Tensor:
        compared[-1] += one.numel()
        return torch.where(one > other, one, other)

    monkeypatch.setattr("stereo_core.splat_neighbors.torch.maximum", maximum)
    for count in (4096, 32768):
        compared.append(0)
        neighbors(points(count))
    assert compared[1] < 16 * compared[0]
