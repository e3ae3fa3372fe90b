"""The video samplers in the real host: against the paper's procedure, each other, and plain runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from . import tiny_sampling as tiny
from . import tiny_stereo_video as video

pytestmark = pytest.mark.usefixtures("host")

# What a doubled batch alone, and taking states apart, change in these networks' float arithmetic over a run.
FLOAT_ERROR = 5e-5

STEPS = 10
LONG = {"restarted": 3, "iterations": 3, "repeats": {4: 3, 6: 2}}
# The network that is SVD's takes its time.
SHORT = {"restarted": 2, "iterations": 2, "repeats": {2: 2}}
SHORT_WIDGETS = {"iterations": 2, "restart_until": 0.5, "warp_every": 0.5, "last_warp": 0.5, "most_repeats": 2}


def steps(name: str) -> int:
    return 4 if name == "svd" else STEPS


@pytest.fixture(autouse=True)
def as_the_host_runs_nodes() -> Iterator[None]:
    with torch.inference_mode():
        yield


def block() -> Tensor:
    """The disparity of ``tiny.depth_step`` at the widgets' settings."""
    disparity = torch.full((4, 8), -2)
    disparity[1:3, 2:6] = 0
    return disparity


def literal(name: str, trajectory: Any, *, code: bool = False, eta: float = 0.0, **plan: Any) -> video.Literal:
    stream = torch.Generator().manual_seed(5 + video.module("nodes.right_view")._RESTART_STREAM)
    fixed = [torch.randn(video.SHAPES[name], generator=stream) for _ in range(3)]
    plan = {**(SHORT if name == "svd" else LONG), **plan}
    flow = video.family(name) == "wan"
    return video.Literal(trajectory.states, block(), **plan, code=code, eta=eta, flow=flow, fixed=fixed)


CASES = [
    *((name, form, "euler", 0.0) for name in ("sd15", "svd", "wan", "clip") for form in ("paper", "code")),
    *((name, form, "euler_ancestral", 1.0) for name in ("sd15", "svd") for form in ("paper", "code")),
]


@pytest.mark.parametrize(("name", "form", "inner", "eta"), CASES)
def test_the_right_view_is_the_papers(name: str, form: str, inner: str, eta: float):
    count = steps(name)
    trajectory, plain = video.record(name, inner, sigmas=count)
    paper = literal(name, trajectory, code=form == "code", eta=eta).sampler()
    expected, _ = tiny.sample(video.family(name), paper, video.zeros(name), sigmas=count)
    sampler = video.both(trajectory, inner, form=form, **(SHORT_WIDGETS if name == "svd" else {}))
    pair, denoised = tiny.sample(video.family(name), sampler, video.zeros(name), sigmas=count)
    assert torch.equal(pair[: len(plain)], plain)
    assert tiny.error(pair, expected) <= FLOAT_ERROR
    assert denoised.shape == pair.shape
