"""Stereo clips in every video family: SVD, Wan 2.1 and 2.2, LTXV, Hunyuan Video, as the host's loaders load them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.tiny.video import FRAMES, STEPS, VIDEO, WIDGETS, Studio, depth, error
from tools.host.node_inputs import gather

KSAMPLER = ("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise", "attention")
MODES = ("none", "left_query", "left_kv", "right_joint", "joint")

FLOAT_ERROR = 5e-6
"""What a doubled batch alone changes in these networks' float arithmetic over a run, relative to the largest value."""

TEXT_OUTWEIGHED = 0.1
"""What joint attention to equal views changes in a model whose text is in the same attention, likewise."""


@pytest.fixture(scope="module")
def studio(host: dict[str, type]) -> Callable[[str], Studio]:
    return cache(lambda name: Studio(host, name))


@pytest.fixture(scope="module")
def recorded(studio: Callable[[str], Studio]) -> Callable[..., tuple[Tensor, Any]]:
    def record(name: str, sampler: str = "euler") -> tuple[Tensor, Any]:
        with torch.inference_mode():
            return studio(name).record(sampler)

    return cache(record)


@pytest.mark.parametrize("mode", ["none", "left_query", "joint"])
@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral"])
@pytest.mark.parametrize("name", VIDEO)
def test_the_left_clip_is_the_recorded_one_to_the_bit(studio: Any, recorded: Any, name: str, sampler: str, mode: str):
    at, (left, trajectory) = studio(name), recorded(name, sampler)
    pair = at.sample(at.both(trajectory, sampler), mode)["samples"]
    assert pair.shape == (2 * len(left), *left.shape[1:])
    assert torch.equal(pair[: len(left)], left)
    right = pair[len(left) :]
    assert right.isfinite().all() and error(right, left) > 0.05


@pytest.mark.parametrize("name", VIDEO)
def test_half_precision_and_two_samplers_in_a_row_leave_the_left_clip_as_it_is(studio: Any, recorded: Any, name: str):
    at, (left, _) = studio(name), recorded(name)
    sigmas = at.sigmas()
    _, trajectory = at.record(precision="half")
    first = at.sample(at.restart(trajectory), "left_query", sigmas[: STEPS // 2 + 1])
    pair = at.sample(at.refine(trajectory, last_warp=0.625), "left_query", sigmas[STEPS // 2 :], first)["samples"]
    assert torch.equal(pair[: len(left)], left)
    assert error(pair[len(left) :], left) > 0.05


class Spy:
    """The host's euler, from another state if one is given; the batches it began with."""

    def __init__(self, start: Tensor | None = None) -> None:
        from comfy.samplers import KSAMPLER

        self.start, self.began = start, []
        self.sampler = KSAMPLER(self.run)

    def run(self, model: Any, x: Tensor, sigmas: Tensor, extra_args: Any = None, **rest: Any) -> Tensor:
        from comfy.k_diffusion.sampling import sample_euler

        x = x if self.start is None else self.start
        self.began.append(x.clone())
        return sample_euler(model, x, sigmas, extra_args=extra_args, **rest)


@pytest.mark.parametrize("name", VIDEO)
def test_once_and_without_warps_the_pair_is_the_plain_run_of_both_views(studio: Any, recorded: Any, name: str):
    at, (left, trajectory) = studio(name), recorded(name)
    spy = Spy()
    pair = at.sample(at.free(trajectory, spy.sampler))["samples"]
    shifted = spy.began[0]
    assert shifted.shape == left.shape and not torch.equal(shifted, trajectory.states[0])
    alone = at.sample(Spy(shifted).sampler)["samples"]
    assert torch.equal(pair, torch.cat([left, alone]))
    # As one batch, which the host cannot make of two clips of SVD: one view after the other is its plain run.
    if name != "svd":
        twice = at.sample(Spy(torch.cat([trajectory.states[0], shifted])).sampler)["samples"]
        assert error(pair, twice) <= FLOAT_ERROR


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", VIDEO)
def test_without_disparity_the_right_clip_is_the_left_one(studio: Any, recorded: Any, name: str, mode: str):
    at, (left, trajectory) = studio(name), recorded(name)
    whole = at.sample(at.both(trajectory, max_disparity=0.0), mode)["samples"]
    free = at.sample(at.free(trajectory, max_disparity=0.0), mode)["samples"]
    # Where a layer attends to text as well, keys that come twice outweigh the text: joint modes alter it a little.
    allowed = TEXT_OUTWEIGHED if name == "hunyuan_video" and mode.endswith("joint") else FLOAT_ERROR
    for pair in (whole, free):
        assert torch.equal(pair[: len(left)], left)
        assert error(pair[len(left) :], left) <= allowed


class Frames:
    """What a model's network is told about frames, and how many entries it gets, at every evaluation."""

    def __init__(self, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: set[tuple[int, int]] = set()
        apply = model.model.apply_model

        def watch(x: Tensor, t: Tensor, **conds: Any) -> Tensor:
            chunks = len(conds["transformer_options"]["cond_or_uncond"])
            self.seen.add((int(conds["num_video_frames"]), len(x) // chunks))
            return apply(x, t, **conds)

        monkeypatch.setattr(model.model, "apply_model", watch)


@pytest.mark.parametrize(("mode", "entries"), [("none", FRAMES), ("left_query", 2 * FRAMES)])
def test_svd_keeps_the_number_of_frames(
    studio: Any, recorded: Any, mode: str, entries: int, monkeypatch: pytest.MonkeyPatch
):
    at, (_, trajectory) = studio("svd"), recorded("svd")
    frames, sigmas = Frames(at.model, monkeypatch), at.sigmas()
    at.sample(at.both(trajectory), mode)
    first = at.sample(at.restart(trajectory), mode, sigmas[:4])
    at.sample(at.refine(trajectory), mode, sigmas[3:], first)
    assert frames.seen == {(FRAMES, entries)}


@pytest.mark.parametrize("mode", ["none", "left_query"])
@pytest.mark.parametrize("guidance", ["VideoLinearCFGGuidance", "VideoTriangleCFGGuidance"])
def test_both_eyes_of_svd_get_the_same_guidance_by_frame(studio: Any, guidance: str, mode: str):
    from comfy_extras import nodes_video_model

    at = studio("svd")
    model = getattr(nodes_video_model, guidance)().patch(at.model, 1.0)[0]
    left, trajectory = at.record(model=model)
    assert error(left, at.record()[0]) > 1e-3, "this guidance changes nothing here"
    for sampler in (at.both, at.free):
        pair = at.sample(sampler(trajectory, max_disparity=0.0), mode, model=model)["samples"]
        assert torch.equal(pair[:FRAMES], left) and error(pair[FRAMES:], left) <= FLOAT_ERROR
    first = at.sample(at.restart(trajectory, max_disparity=0.0), mode, at.sigmas()[:4], model=model)
    rest = at.refine(trajectory, max_disparity=0.0)
    pair = at.sample(rest, mode, at.sigmas()[3:], first, model=model)["samples"]
    assert error(pair[FRAMES:], left) <= FLOAT_ERROR


@pytest.mark.parametrize("mode", ["none", "left_query"])
def test_two_experts_share_one_schedule(studio: Any, mode: str):
    high, low = studio("wan"), studio("wan_low_noise")
    sigmas = high.sigmas()
    parts = sigmas[:4], sigmas[3:]
    left_high, before = high.record(sigmas=parts[0])
    left, trajectory = low.record(sigmas=parts[1], latent={"samples": left_high}, before=before)
    assert len(trajectory.states) == STEPS + 1

    first = high.sample(high.restart(trajectory), mode, parts[0])
    assert torch.equal(first["samples"][:1], left_high)
    pair = low.sample(low.refine(trajectory), mode, parts[1], first)["samples"]
    assert torch.equal(pair[:1], left) and error(pair[1:], left) > 0.05
    other = high.sample(high.refine(trajectory), mode, parts[1], first)["samples"]
    assert error(other[1:], pair[1:]) > 0.05, "the second expert was not used"


@pytest.mark.parametrize("cut", [2, 3, 4, 5])  # from where the restart ends to before the last warp
def test_a_split_schedule_with_one_model_is_the_whole_one_with_every_warp(studio: Any, recorded: Any, cut: int):
    at, (_, whole) = studio("wan"), recorded("wan")
    early, late = at.sigmas()[: cut + 1], at.sigmas()[cut:]
    first_left, before = at.record(sigmas=early)
    _, joined = at.record(sigmas=late, latent={"samples": first_left}, before=before)
    expected = at.sample(at.both(whole), "left_query")["samples"]
    refining = at.refine(joined)
    first = at.sample(at.restart(joined, refining), "left_query", early)
    pair = at.sample(refining, "left_query", late, first)["samples"]
    assert error(pair, expected) <= FLOAT_ERROR


@pytest.mark.parametrize("name", ["svd", "ltxv"])
def test_the_one_node_way_takes_clips(host: dict[str, type], studio: Any, name: str):
    at, conditions = studio(name), [studio(name).family.conditioning(seed) for seed in (1, 2)]
    chosen = (5, 4, 3.0, "euler", "simple")
    plain = host["KSampler"]().sample(at.model, *chosen, *conditions, at.latent(), 1.0)[0]["samples"]
    restart = {"preset": "custom", "iterations": 1, "restart_until": 0.25, "fill": "left", "shift": "truncated"}
    refine = {"warp_every": 0.25, "last_warp": 0.5, "most_repeats": 2, "fewest_repeats": 1}
    given = gather("Stereo_StereoVideoKSampler", depth(name), {**WIDGETS, **restart, **refine})
    node, whole = host["Stereo_StereoVideoKSampler"], (*chosen, 1.0, "left_query")
    seed_to_attention = dict(zip(KSAMPLER, whole, strict=True))
    pair = node.execute(at.model, *conditions, at.latent(), **given, **seed_to_attention).args[0]["samples"]
    assert pair.shape == (2 * len(plain), *plain.shape[1:])
    assert torch.equal(pair[: len(plain)], plain) and error(pair[len(plain) :], plain) > 0.05


class Stop(Exception):
    pass


@pytest.mark.parametrize("ending", ["success", "error", "interrupt"])
@pytest.mark.parametrize("name", VIDEO)
def test_nothing_is_left_behind(studio: Any, recorded: Any, name: str, ending: str):
    import comfy.model_management

    at, (left, trajectory) = studio(name), recorded(name)
    model, latent, conditions = at.model, at.latent(), [at.family.conditioning(seed) for seed in (1, 2)]
    options, patches, attributes = repr(model.model_options), repr(model.patches), set(vars(model.model))
    weights = {key: value.clone() for key, value in model.model.state_dict().items()}
    states, random = [state.clone() for state in trajectory.states], torch.random.get_rng_state()
    guider, calls = at.guider(at.couple("left_query")), []
    original = {key: [dict(entry) for entry in entries] for key, entries in guider.original_conds.items()}

    def callback(step: int, *_: Any) -> None:
        calls.append(step)
        if len(calls) == 4 and ending == "error":
            raise Stop
        if len(calls) == 4 and ending == "interrupt":
            comfy.model_management.interrupt_current_processing(True)

    noise = torch.randn(left.shape, generator=torch.Generator().manual_seed(5))  # as the host draws it
    pair = at.both(trajectory)
    raises = {"error": Stop, "interrupt": comfy.model_management.InterruptProcessingException}.get(ending)
    run = partial(guider.sample, noise, latent["samples"], pair, at.sigmas(), disable_pbar=True, seed=5)
    if raises:
        with pytest.raises(raises):
            run(callback=callback)
        assert len(calls) == 4, "the run must stop before its next model call"
    else:
        run(callback=callback)

    assert torch.equal(torch.random.get_rng_state(), random), "the global random stream was used"
    assert repr(model.model_options) == options and repr(model.patches) == patches
    assert set(vars(model.model)) == attributes
    assert all(torch.equal(value, weights[key]) for key, value in model.model.state_dict().items())
    assert all(torch.equal(a, b) for a, b in zip(trajectory.states, states, strict=True))
    assert not latent["samples"].any()
    for key, entries in guider.original_conds.items():
        for now, then in zip(entries, original[key], strict=True):
            assert now.keys() == then.keys() and all(now[field] is then[field] for field in now)
    for now, then in zip(conditions, (at.family.conditioning(seed) for seed in (1, 2)), strict=True):
        assert torch.equal(now[0][0], then[0][0]) and now[0][1].keys() == then[0][1].keys()
    assert torch.equal(at.record()[0], left)
