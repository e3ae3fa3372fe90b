"""A network is known by its weights, and a file by its size, time and ends."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
from torch import nn


def test_a_network_is_known_by_its_weights(pack: Callable[[str], ModuleType]):
    fingerprint = pack("nodes.film.identity").network_fingerprint

    def network(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(40, 40), nn.BatchNorm1d(40), nn.Linear(40, 1))

    assert fingerprint(network(0)) == fingerprint(network(0))
    changed = network(0)
    with torch.no_grad():
        changed[0].weight[-1, -1] += 1e-6
    others = {fingerprint(each) for each in (network(1), changed, network(0).half())}
    assert len(others | {fingerprint(network(0))}) == 4


def test_a_file_is_known_by_its_size_time_and_ends(pack: Callable[[str], ModuleType], tmp_path: Path):
    identity = pack("nodes.film.identity").file_identity
    data = bytes(2**20) + b"middle" + bytes(2**20)

    def written(data: bytes, time: int = 1) -> str:
        path = tmp_path / "film"
        path.write_bytes(data)
        os.utime(path, (time, time))
        return identity(str(path))

    assert written(data) == written(data)
    changed = {
        written(data),
        written(data, 2),
        written(data[:-1] + b"1"),
        written(b"1" + data[1:]),
        written(data + b"1"),
    }
    assert len(changed) == 5
    assert identity(io.BytesIO(data)) == identity(io.BytesIO(data)) != identity(io.BytesIO(data[1:]))
