"""A network is known by its weights."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import torch
from torch import nn


def test_a_network_is_known_by_its_weights(pack: Callable[[str], ModuleType]):
    fingerprint = pack("nodes.film.fingerprints").network_fingerprint

    def network(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(40, 40), nn.BatchNorm1d(40), nn.Linear(40, 1))

    assert fingerprint(network(0)) == fingerprint(network(0))
    changed = network(0)
    with torch.no_grad():
        changed[0].weight[-1, -1] += 1e-6
    others = {fingerprint(each) for each in (network(1), changed, network(0).half())}
    assert len(others | {fingerprint(network(0))}) == 4
