"""Stereo Shift Sampler in the real host: against plain runs, for every family and every sampler of the host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host import tiny_sampling as tiny

WIDGETS = {
    "max_disparity": 20.0,
    "convergence": 0.0,
    "exponent": 1.0,
    "shift_at": 0.2,
    "fill": "left",
    "mask_every": 0.2,
    "shift_both": False,
}
# What a batch of two alone changes in these networks' float arithmetic, relative to the result.
BATCH_ERROR = 2e-5


@pytest.fixture(scope="module")
def models(host: dict[str, type], tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ARG001
    folder = tmp_path_factory.mktemp("models")
    return lambda name: tiny.load(name, folder)


@pytest.fixture(autouse=True)
def as_the_host_runs_nodes() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture
def wrap(host: dict[str, type]) -> Any:
    """The node's SAMPLER around one of the host's."""

    def wrapped(inner: str | None = None, depth: Tensor | None = None, **widgets: Any) -> Any:
        options: dict[str, Any] = {**WIDGETS, **widgets}
        if inner is not None:
            options["sampler"] = tiny.inner(inner)
        map = tiny.depth_step(1, 64, 96) if depth is None else depth
        return host["Stereo_StereoShiftSampler"].execute(map, **options).args[0]

    return wrapped


def empty(name: str, batch: int = 1) -> Tensor:
    return torch.zeros(batch, *tiny.SHAPES[name])


def error(actual: Tensor, expected: Tensor) -> float:
    return ((actual - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize("name", tiny.SHAPES)
@pytest.mark.parametrize("cfg", [1.0, 3.0])
def test_without_disparity_both_views_are_the_plain_run(models: Any, wrap: Any, name: str, cfg: float):
    model = models(name)
    sigmas = tiny.schedule(model, 5)
    plain, _ = tiny.sample(model, name, tiny.inner("euler"), sigmas, empty(name), cfg=cfg)
    twice, _ = tiny.sample(model, name, tiny.inner("euler"), sigmas, empty(name, 2), cfg=cfg, batch_index=[0, 0])

    at_once, _ = tiny.sample(model, name, wrap(max_disparity=0.0, shift_at=0.0), sigmas, empty(name), cfg=cfg)
    assert torch.equal(at_once, twice)
    later, _ = tiny.sample(model, name, wrap(max_disparity=0.0), sigmas, empty(name), cfg=cfg)
    assert torch.equal(later[:1], later[1:])
    assert error(later[:1], plain) <= BATCH_ERROR, (error(later[:1], plain), error(twice[:1], plain))
