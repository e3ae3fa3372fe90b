"""Context windows of the host around a pair: windows of frames work, windows over the batch are refused in time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.tiny import sampling as tiny
from tests.host.tiny.families import load
from tools.host.in_process import pack_module

pytestmark = pytest.mark.usefixtures("host")

FRAMES = 5


def windowed(name: str, dim: int, freenoise: bool = False) -> Any:
    from comfy_extras.nodes_context_windows import ContextWindowsManualNode

    options = ("standard_static", 1, False, "pyramid", dim, freenoise)
    return ContextWindowsManualNode.execute(load(name), 3, 1, *options)[0]


def clip(batch: int = 1) -> Tensor:
    return torch.randn(1, 16, FRAMES, 4, 8, generator=torch.Generator().manual_seed(9)).repeat(batch, 1, 1, 1, 1)


def run(model: Any, sampler: Any, batch: int = 1, **latent: Any) -> Tensor:
    return tiny.sample("wan", sampler, clip(batch), sigmas=3, model=model, **latent)[0]


@pytest.mark.parametrize("mode", ["none", "left_kv", "joint"])
@pytest.mark.parametrize("freenoise", [False, True])
def test_without_disparity_both_views_are_the_plain_run(couple, mode: str, freenoise: bool):
    model = windowed("wan", 2, freenoise)
    plain = run(model, "euler")
    assert tiny.error(plain, run(load("wan"), "euler")) > 1e-3
    coupled = model if mode == "none" else couple(model, mode)
    for view in run(coupled, tiny.stereo(max_disparity=0.0, shift="sub_column")).chunk(2):
        assert tiny.error(view, plain) < 1e-4


@pytest.mark.parametrize("mode", ["left_kv", "left_query"])
def test_with_depth_the_left_view_is_the_plain_run(couple, mode: str):
    model = windowed("wan", 2)
    left, right = run(couple(model, mode), tiny.stereo()).chunk(2)
    plain = run(model, "euler")
    assert tiny.error(left, plain) < 1e-4 and tiny.error(right, plain) > 1e-2


def test_a_pair_in_a_plain_sampler(couple):
    plain = run(windowed("wan", 2), "euler")
    for view in run(couple(windowed("wan", 2), "joint"), "euler", 2, batch_index=[0, 0]).chunk(2):
        assert tiny.error(view, plain) < 1e-4


@pytest.mark.parametrize("attention", ["left_query", "none"])
def test_windows_over_the_batch_are_refused_before_the_left_clip(
    host: dict[str, type], monkeypatch: pytest.MonkeyPatch, attention: str
):
    recording = pack_module("nodes.sampling.recording")
    ran: list[bool] = []
    monkeypatch.setattr(recording.RecordingSampler, "sample", lambda *_, **__: ran.append(True))
    schema = host["Stereo_StereoVideoKSampler"].define_schema()
    values = {one.id: one.default for one in schema.inputs if getattr(one, "default", None) is not None}
    given = {
        "model": windowed("svd", 0),
        "positive": tiny.conditioning("svd", 1),
        "negative": tiny.conditioning("svd", 2),
        "latent_image": {"samples": torch.zeros(4, 4, 4, 8)},
        "depth": tiny.depth_step(),
        "attention": attention,
        "steps": 6,
    }
    node = host["Stereo_StereoVideoKSampler"].execute
    if attention == "none":
        with pytest.raises(Exception) as caught:  # the recorder is a stand-in
            node(**{**values, **given})
        assert ran and "context windows" not in str(caught.value)
    else:
        with pytest.raises(ValueError, match="context windows over the batch would cut across the two views"):
            node(**{**values, **given})
        assert not ran
