"""True places of masks, against the library's own search."""

import pytest
import torch

from stereo_core.masks import true_places


@pytest.mark.parametrize("shape", [(0,), (7,), (8,), (3, 5), (4, 16), (9, 17)])
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_equals_nonzero(shape: tuple[int, ...], share: float) -> None:
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < share
    assert torch.equal(true_places(mask), mask.flatten().nonzero().flatten())


@pytest.mark.parametrize("start", [0, 1, 3, 8])
def test_parts_of_a_mask(start: int) -> None:
    mask = torch.rand(12, 24, generator=torch.Generator().manual_seed(1)) < 0.2
    for part in (mask.flatten()[start:], mask[:, start:], mask.T[start:]):
        assert torch.equal(true_places(part), part.flatten().nonzero().flatten())
