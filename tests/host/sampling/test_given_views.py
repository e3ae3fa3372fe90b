"""Conditions of a pair prepared for one view: what the model gets is what a run that began with one view gives it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.tiny import families as tiny
from tools.host.in_process import pack_module

FRAMES = 3


@pytest.fixture(scope="module")
def svd(host: dict[str, type]) -> Any:  # noqa: ARG001
    return tiny.load("svd")


def prepare(*args: Any) -> None:
    pack_module("nodes.sampling.given_views").prepare_for_one_view(*args)


class Once:
    """A sampler that evaluates the model at the first level, on both views, and keeps what the network was given."""

    def __init__(self, prepared: bool) -> None:
        self.prepared, self.given = prepared, {}

    def sample(self, guider: Any, sigmas: Tensor, extra_args: Any, _callback: Any, noise: Tensor, *rest: Any) -> Tensor:
        if self.prepared:
            prepare(guider, noise, rest[0], rest[1], extra_args["seed"])
        pair = noise if len(noise) == 2 * FRAMES else torch.cat([noise, noise])
        model = guider.inner_model
        apply = model.apply_model
        model.apply_model = lambda x, t, **conds: self.given.update(conds) or apply(x, t, **conds)
        try:
            return guider(pair, sigmas[0].expand(len(pair)), model_options=extra_args["model_options"])
        finally:
            model.apply_model = apply


def run(model: Any, entries: int, prepared: bool, conditions: list[Any], mask: bool = False) -> tuple[Once, Tensor]:
    import comfy.sample
    import comfy.samplers

    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(conditions, conditions)
    once, latent = Once(prepared), torch.zeros(entries, *tiny.FAMILIES["svd"].latent)
    noise = torch.randn(FRAMES, *latent.shape[1:], generator=torch.Generator().manual_seed(3))
    noise = torch.cat([noise, noise])[:entries]
    masks = torch.ones(entries, 1, *latent.shape[2:]) if mask else None
    sigmas = torch.tensor([10.0, 1.0])
    return once, guider.sample(noise, latent, once, sigmas, masks, disable_pbar=True, seed=0)


def conditions(frames: int) -> list[Any]:
    """A picture for the clip, or one for each frame."""
    [[text, extras]] = tiny.FAMILIES["svd"].conditioning(1)
    stream = torch.Generator().manual_seed(4)
    return [[text, {**extras, "concat_latent_image": torch.randn(frames, 4, 4, 4, generator=stream)}]]


@pytest.mark.parametrize("frames", [1, FRAMES])
@pytest.mark.parametrize("mask", [False, True])
def test_two_clips_stay_two_clips_with_the_same_picture_for_both_eyes(svd: Any, frames: int, mask: bool):
    given = conditions(frames)
    expected, began_with_one = run(svd, FRAMES, False, given, mask)
    once, prepared = run(svd, 2 * FRAMES, True, given, mask)
    unprepared, taken_for_one_clip = run(svd, 2 * FRAMES, False, given, mask)

    assert torch.equal(prepared, began_with_one)
    assert once.given.keys() == expected.given.keys() and once.given["num_video_frames"] == FRAMES
    for name, value in expected.given.items():
        if isinstance(value, Tensor):
            assert torch.equal(once.given[name], value), name
    left, right = once.given["c_concat"].chunk(2)
    assert torch.equal(left, right) and torch.equal(left[:1], given[0][1]["concat_latent_image"][:1])
    # Without it the host sees one clip of six frames, and of a picture for each frame [a, a, b, b, c, c].
    assert unprepared.given["num_video_frames"] == 2 * FRAMES
    assert not torch.allclose(taken_for_one_clip, prepared)


def test_the_guider_is_as_before_after_the_run(svd: Any):
    given = conditions(FRAMES)
    kept = given[0][1]["concat_latent_image"].clone()
    run(svd, 2 * FRAMES, True, given)
    assert given[0][1].keys() == conditions(1)[0][1].keys()
    assert torch.equal(given[0][1]["concat_latent_image"], kept)
