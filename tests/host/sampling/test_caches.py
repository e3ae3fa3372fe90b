"""Caches that skip evaluations: the left view is the plain run with them, the pair is made without, and told so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.tiny import sampling as tiny
from tests.host.tiny import stereo_video as video

pytestmark = pytest.mark.usefixtures("host")

STEPS = 6


class FirstCache:
    """As TeaCache of another pack: a wrapper that answers with what it remembers, every other time."""

    def patch(self, model: Any) -> Any:
        kept: dict[str, Any] = {}

        def unet_wrapper(apply: Callable[..., Tensor], args: dict[str, Any]) -> Tensor:
            kept["calls"] = kept.get("calls", 0) + 1
            if kept["calls"] % 2 == 0:
                return args["input"] + kept["difference"]
            out = apply(args["input"], args["timestep"], **args["c"])
            kept["difference"] = out - args["input"]
            return out

        clone = model.clone()
        clone.set_model_unet_function_wrapper(unet_wrapper)
        return clone


def cached(model: Any, name: str) -> Any:
    from comfy_extras.nodes_easycache import EasyCacheNode, LazyCacheNode

    if name == "FirstCache":
        return FirstCache().patch(model)
    node = {"EasyCache": EasyCacheNode, "LazyCache": LazyCacheNode}[name]
    return node.execute(model, 3.0, 0.0, 1.0, False)[0]


def evaluations(monkeypatch: pytest.MonkeyPatch, name: str, run: Callable[[], Any]) -> tuple[Any, list[int]]:
    """A run's result, and how many latents each evaluation of the network had, with guidance."""
    network, batches = tiny.load(name).model.diffusion_model, []
    forward = type(network)._forward

    def watch(self: Any, x: Tensor, *args: Any, **named: Any) -> Tensor:
        batches.append(len(x) // 2)
        return forward(self, x, *args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(type(network), "_forward", watch)
        result = run()
    return result, batches


@pytest.mark.parametrize("entries", [1, 2])
@pytest.mark.parametrize("name", ["EasyCache", "LazyCache", "FirstCache"])
def test_the_left_view_is_cached_and_the_pair_is_not(monkeypatch: pytest.MonkeyPatch, name: str, entries: int):
    latent = tiny.empty("sd15", entries, (8, 16))

    def sample(sampler: Any) -> tuple[Tensor, list[int]]:
        model = cached(tiny.load("sd15"), name)  # another one each time: FirstCache keeps its memory
        run = lambda: tiny.sample("sd15", sampler, latent, sigmas=STEPS, model=model)[0]  # noqa: E731
        return evaluations(monkeypatch, "sd15", run)

    plain, costs = sample("euler")
    assert len(costs) < STEPS
    pair, costs_of_pair = sample(tiny.stereo(depth=tiny.depth_step(entries, 64, 128), shift_at=0.5, mask_every=0.0))
    assert torch.equal(pair[:entries], plain)
    assert costs_of_pair == [*costs, *[2 * entries] * (STEPS // 2)]


@pytest.mark.parametrize("name", ["EasyCache", "LazyCache", "FirstCache"])
def test_a_right_view_is_made_without(name: str):
    trajectory = video.record("sd15", sigmas=STEPS)[0]
    sampler = video.both(trajectory, restart_until=0.5, warp_every=0.34, last_warp=0.67)
    with_cache, without = (
        tiny.sample("sd15", sampler, sigmas=STEPS, model=model)[0]
        for model in (cached(tiny.load("sd15"), name), tiny.load("sd15"))
    )
    assert torch.equal(with_cache, without)


def test_a_cached_left_view_can_be_recorded():
    model = cached(tiny.load("sd15"), "EasyCache")
    recorder = tiny.recorder("euler")
    recorded = tiny.sample("sd15", recorder, tiny.empty("sd15"), sigmas=STEPS, model=model)[0]
    assert torch.equal(recorded, tiny.sample("sd15", "euler", tiny.empty("sd15"), sigmas=STEPS, model=model)[0])


def test_the_nodes_say_so(host: dict[str, type], monkeypatch: pytest.MonkeyPatch):
    told: list[str] = []
    place = sys.modules[host["Stereo_StereoShiftSampler"].__module__.rsplit(".", 1)[0] + ".widgets.geometry"]
    monkeypatch.setattr(place, "show_text", lambda _, text: told.append(text))
    model = cached(cached(tiny.load("sd15"), "LazyCache"), "FirstCache")
    said = "LazyCache, FirstCache: off for the pair, or the right view would repeat the left one"
    trajectory = video.record("sd15", sigmas=STEPS)[0]
    for sampler in (tiny.stereo(), video.both(trajectory, restart_until=0.5)):
        tiny.sample("sd15", sampler, sigmas=STEPS, model=model)
        assert told[-1].splitlines()[-1] == said
    tiny.sample("sd15", tiny.stereo(), sigmas=STEPS)
    assert "off" not in told[-1]
