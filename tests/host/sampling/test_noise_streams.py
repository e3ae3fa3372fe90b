"""Both views get the same noise: what a recorded left view got at a step, the right view gets at that step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.tiny import sampling as tiny
from tests.host.tiny import stereo_video as video

pytestmark = pytest.mark.usefixtures("host")

# What a doubled batch alone, and taking states apart, change in these networks' float arithmetic over a run.
FLOAT_ERROR = 5e-5

STEPS = 10
ONCE, REPEATED = {"most_repeats": 1, "fewest_repeats": 1}, {"most_repeats": 3, "fewest_repeats": 2}
SINGLE_STEP = ("euler_ancestral", "dpmpp_sde", "lcm")
"""Draws afresh, from a path, and makes a state of nothing but clean estimate and noise."""


@pytest.mark.parametrize("widgets", [ONCE, REPEATED, {**REPEATED, "form": "code"}])
@pytest.mark.parametrize("inner", SINGLE_STEP)
@pytest.mark.parametrize("name", ["sd15", "clip"])
def test_without_disparity_the_right_view_is_the_left(name: str, inner: str, widgets: dict[str, Any]):
    trajectory, plain = video.record(name, inner, sigmas=STEPS)
    sampler = video.both(trajectory, inner, max_disparity=0.0, **widgets)
    pair, _ = tiny.sample(video.family(name), sampler, video.zeros(name), sigmas=STEPS)
    assert torch.equal(pair[: len(plain)], plain)
    assert tiny.error(pair[len(plain) :], plain) <= FLOAT_ERROR


@pytest.mark.parametrize("inner", SINGLE_STEP)
def test_a_shift_beside_a_recorded_view_draws_what_that_drew(inner: str):
    trajectory, plain = video.record("sd15", inner, sigmas=STEPS)
    sampler = tiny.stereo(inner, trajectory=trajectory, max_disparity=0.0, mask_every=0.0)
    pair, _ = tiny.sample("sd15", sampler, sigmas=STEPS, seed=6)
    assert torch.equal(pair[:1], plain)
    assert tiny.error(pair[1:], plain) <= FLOAT_ERROR


@pytest.mark.parametrize("inner", ["dpmpp_2m_sde", "dpmpp_3m_sde", "er_sde", "sa_solver"])
def test_a_sampler_with_a_memory_keeps_the_views_equal_where_it_is_not_cut(inner: str):
    trajectory, plain = video.record("sd15", inner, sigmas=STEPS)
    sampler = video.restart(trajectory, inner, iterations=1, restart_until=0.0, max_disparity=0.0)
    pair, _ = tiny.sample("sd15", sampler, sigmas=STEPS)
    assert tiny.error(pair[1:], plain) <= FLOAT_ERROR


def part(name: str, sampler: Any, sigmas: Tensor, samples: Tensor, noise: Any = None) -> Tensor:
    """The host's SamplerCustomAdvanced; new noise only where it is given."""
    import comfy.samplers
    from comfy_extras.nodes_custom_sampler import DisableNoise, SamplerCustomAdvanced

    family = video.family(name)
    guider = comfy.samplers.CFGGuider(tiny.load(family))
    guider.set_conds(*(tiny.conditioning(family, seed) for seed in (1, 2)))
    guider.set_cfg(3.0)
    noise = DisableNoise.execute().args[0] if noise is None else noise
    return SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, {"samples": samples}).args[0]["samples"]


def new_noise(seed: int = 5) -> Any:
    from comfy_extras.nodes_custom_sampler import RandomNoise

    return RandomNoise.execute(seed).args[0]


@pytest.mark.parametrize("name", ["sd15", "clip"])
@pytest.mark.parametrize("inner", ["euler", *SINGLE_STEP])
def test_two_samplers_in_a_row_are_one_run(name: str, inner: str):
    trajectory, plain = video.record(name, inner, sigmas=STEPS)
    sigmas = tiny.schedule(video.family(name), STEPS)
    at_once = part(name, video.both(trajectory, inner), sigmas, video.zeros(name), new_noise())
    first = part(name, video.restart(trajectory, inner), sigmas[:4], video.zeros(name), new_noise())
    chained = part(name, video.refine(trajectory, inner), sigmas[3:], first)
    assert torch.equal(chained[: len(plain)], plain)
    assert tiny.error(chained, at_once) <= FLOAT_ERROR
    assert tiny.error(at_once[len(plain) :], plain) > 0.05, "the views must differ"


class Seed:
    """No new noise, but a seed of its own."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def generate_noise(self, latent: dict[str, Any]) -> Tensor:
        return torch.zeros_like(latent["samples"])


@pytest.mark.parametrize("inner", SINGLE_STEP)
def test_two_recorded_parts_keep_their_own_noise(inner: str):
    name, sigmas = "sd15", tiny.schedule("sd15", STEPS)
    recorders = [tiny.recorder(inner) for _ in range(2)]
    left = part(name, recorders[0], sigmas[:6], video.zeros(name), new_noise())
    left = part(name, recorders[1], sigmas[5:], left, Seed(9))
    joined = recorders[0].trajectory.followed_by(recorders[1].trajectory)
    assert [(record.seed, record.first) for record in joined.noise] == [(5, 0), (9, 5)]
    # In one run across both, and in two that meet elsewhere.
    both = video.both(joined, inner, max_disparity=0.0)
    plain = video.restart(joined, inner, iterations=1, restart_until=0.0, max_disparity=0.0)
    for sampler in (both, plain):
        pair = part(name, sampler, sigmas, video.zeros(name), new_noise())
        assert torch.equal(pair[:1], left) and tiny.error(pair[1:], left) <= FLOAT_ERROR
    first = part(name, video.restart(joined, inner, max_disparity=0.0), sigmas[:4], video.zeros(name), new_noise())
    pair = part(name, video.refine(joined, inner, max_disparity=0.0), sigmas[3:], first, Seed(2))
    assert torch.equal(pair[:1], left) and tiny.error(pair[1:], left) <= FLOAT_ERROR


@pytest.fixture
def streams(pack: Any) -> Any:
    make = pack("nodes.sampling.noise_streams").NoiseStreams
    return lambda trajectory, inner, sigmas, seed=5: make(
        tiny.inner(inner), torch.zeros(1, 4, 4, 8), sigmas, seed, trajectory
    )


def test_another_sampler_than_the_recorded_one_draws_its_own(streams: Any):
    sigmas = tiny.schedule("sd15", STEPS)
    trajectory, _ = video.record("sd15", "euler", sigmas=STEPS)
    assert trajectory.noise[0].seed == 5 and not trajectory.noise[0].draws
    own = streams(trajectory, "euler_ancestral", sigmas, 7)
    drawn = [own.at(step)(sigmas[step], sigmas[step + 1]) for step in range(3)]
    assert not torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[1], drawn[2])
    assert torch.equal(own.at(1)(sigmas[1], sigmas[2]), drawn[1]), "a step that is taken again gets the same"
    assert torch.equal(own.at(2)(sigmas[2], sigmas[3]), drawn[2])
    assert streams(trajectory, "euler", sigmas).at(0) is None


@pytest.mark.parametrize("inner", ["euler_ancestral", "dpmpp_sde"])
def test_repeats_draw_by_themselves(streams: Any, inner: str):
    sigmas = tiny.schedule("sd15", STEPS)
    trajectory, _ = video.record("sd15", inner, sigmas=STEPS)
    whole, later = streams(trajectory, inner, sigmas), streams(trajectory, inner, sigmas[4:], 0)
    takes = [whole.at(5, take)(sigmas[5], sigmas[6]) for take in (1, 2, 0)]
    assert not any(torch.equal(takes[a], takes[b]) for a, b in ((0, 1), (1, 2), (0, 2)))
    for take, expected in zip((1, 2, 0), takes, strict=True):
        assert torch.equal(later.at(1, take)(sigmas[5], sigmas[6]), expected)
