"""Stereo Shift Sampler in the real host: against plain runs and the paper, for every family and sampler."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.tiny import sampling as tiny
from tests.host.tiny.samplers import REFUSED, SAMPLERS, WITHOUT_MEMORY
from tools.host.in_process import pack_module

pytestmark = pytest.mark.usefixtures("host")

# What a doubled batch alone changes in these networks' float arithmetic over a run, relative to the largest value.
BATCH_ERROR = 1e-5


class Recorder:
    """The host's euler, and its states at all levels."""

    def __init__(self) -> None:
        from comfy.samplers import KSAMPLER

        self.states: list[Tensor] = []
        self.sampler = KSAMPLER(self.sample_euler)  # by its name it goes step by step

    def sample_euler(self, model: Any, x: Tensor, sigmas: Tensor, *, callback: Any, **rest: Any) -> Tensor:
        from comfy.k_diffusion.sampling import sample_euler

        def record(report: dict[str, Any]) -> None:
            self.states.append(report["x"].clone())
            callback(report)

        x = sample_euler(model, x, sigmas, callback=record, **rest)
        self.last = x
        return x


def record(name: str, samples: Tensor | None = None, steps: int = 4) -> tuple[Any, Tensor]:
    """A plain run's trajectory and its result."""
    recorder = Recorder()
    plain, _ = tiny.sample(name, recorder.sampler, samples, sigmas=steps)
    states = (*recorder.states, recorder.last.clone())
    return pack_module("stereo_core.trajectory").Trajectory(tiny.schedule(name, steps), states), plain


@pytest.mark.parametrize("name", tiny.SHAPES)
def test_without_disparity_both_views_are_the_plain_run(name: str):
    plain, _ = tiny.sample(name, "euler")
    twice, _ = tiny.sample(name, "euler", tiny.empty(name, 2), batch_index=[0, 0])

    at_once, _ = tiny.sample(name, tiny.stereo(max_disparity=0.0, shift_at=0.0, mask_every=0.0))
    assert torch.equal(at_once[:1], plain) and tiny.error(at_once, twice) <= BATCH_ERROR
    later, denoised = tiny.sample(name, tiny.stereo(max_disparity=0.0))
    left, right = later.chunk(2)
    assert torch.equal(left, plain) and tiny.error(right, plain) <= BATCH_ERROR
    assert denoised.shape == later.shape


def test_a_shift_moves_the_right_view_alone():
    plain, _ = tiny.sample("sd15", "euler")
    pair, _ = tiny.sample("sd15", tiny.stereo())
    left, right = pair.chunk(2)
    assert torch.equal(left, plain)
    assert tiny.error(right, plain) > 0.1
    both, _ = tiny.sample("sd15", tiny.stereo(shift_both=True))
    assert min(tiny.error(view, plain) for view in both.chunk(2)) > 0.1


def unidirectional(q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any]) -> Tensor:
    """Algorithm 1, unidirectional: softmax of both views' queries over the left view's keys, written out."""

    def heads(tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (options["n_heads"], -1)).transpose(1, 2)

    chunks = len(options["cond_or_uncond"])
    k, v = (torch.cat([torch.cat([part.chunk(2)[0]] * 2) for part in tokens.chunk(chunks)]) for tokens in (k, v))
    scores = heads(q) @ heads(k).transpose(-1, -2) / heads(q).shape[-1] ** 0.5
    return (scores.softmax(-1) @ heads(v)).transpose(1, 2).flatten(-2)


def paper(disparity: Tensor, shift: int, renew: set[int], attention: bool) -> Any:
    """StereoDiffusion as printed: DDIM (Eq. 1), the shift (Eq. 3) left blank, masked denoising (Eq. 6 and 7)."""
    from comfy.samplers import KSAMPLER

    every_block = {(part, number): unidirectional for part in ("input", "middle", "output") for number in range(12)}

    def shifted(z: Tensor) -> tuple[Tensor, Tensor]:
        out, mask = torch.zeros_like(z), torch.zeros_like(z, dtype=torch.bool)
        for y in range(z.shape[2]):
            for x in range(z.shape[3]):  # to the left: the nearer comes later where two meet
                target = x - int(disparity[y, x])
                if target >= 0:
                    out[:, :, y, target], mask[:, :, y, target] = z[:, :, y, x], True
        return out, mask

    def run(model: Any, x: Tensor, sigmas: Tensor, extra_args: Any, callback: Any, disable: bool) -> Tensor:  # noqa: ARG001
        options = extra_args["model_options"]
        attending = {**options["transformer_options"], "patches_replace": {"attn1": every_block}}
        paired = {**extra_args, "model_options": {**options, "transformer_options": attending}}
        shares = 1 / (1 + sigmas**2)
        z = x * shares[0].sqrt()
        for t in range(len(sigmas) - 1):
            if t == shift:
                blank, mask = shifted(z)
                z = torch.cat([z, blank])
            if t in renew:
                left, right = z.chunk(2)
                z = torch.cat([left, torch.where(mask, shifted(left)[0], right)])
            now, then = shares[t], shares[t + 1]
            arguments = paired if attention and t >= shift else extra_args
            clean = model(z / now.sqrt(), sigmas[t].expand(len(z)), **arguments)
            noise = (z - now.sqrt() * clean) / (1 - now).sqrt()
            z = then.sqrt() * clean + (1 - then).sqrt() * noise
            states.append(z)
        return z

    states: list[Tensor] = []
    return KSAMPLER(run), states


@pytest.mark.parametrize("name", ["sd15", "sd2_v"])
@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("cfg", [1.0, 7.5])
def test_every_state_is_the_papers(host: dict[str, type], name: str, attention: bool, cfg: float):
    steps, sigmas = 10, tiny.schedule(name, 10)
    disparity = torch.zeros(4, 8)
    disparity[1:3, 2:6] = 2.0
    literal, states = paper(disparity, 2, {4, 6, 8}, attention)
    expected, _ = tiny.sample(name, literal, sigmas=sigmas, cfg=cfg)

    model = tiny.load(name)
    if attention:
        model = host["Stereo_CrossViewAttentionPatch"].execute(model, "left_kv", 0.0, 1.0, "", False).args[0]
    recorder = Recorder()
    sampler = tiny.stereo(recorder.sampler, fill="zeros")
    pair, _ = tiny.sample(name, sampler, sigmas=sigmas, cfg=cfg, model=model)
    seen = [*recorder.states[:2], *recorder.states[steps:]]  # the left view alone comes first, in all steps
    assert len(seen) == steps and tiny.error(pair, expected) <= BATCH_ERROR
    for step in range(1, steps):
        before = seen[step] / (1 + sigmas[step] ** 2).sqrt()
        if step in (2, 4, 6, 8):
            before = before.chunk(2)[0]  # the right view has been edited since the step before
        assert tiny.error(before, states[step - 1][: len(before)]) <= BATCH_ERROR, step


@pytest.mark.parametrize("name", ["sd15", "sd3", "wan"])
@pytest.mark.parametrize("inner", ["euler", "dpmpp_2m", "euler_ancestral"])
def test_replay_gives_the_left_view_to_the_bit(name: str, inner: str):
    trajectory, plain = record(name)
    pair, _ = tiny.sample(name, tiny.stereo(inner, trajectory=trajectory))
    assert torch.equal(pair[:1], plain) and not torch.equal(pair[1:], plain)


@pytest.mark.parametrize(("rows", "columns"), [(5, 7), (2, 16), (12, 4)])
@pytest.mark.parametrize("name", ["sd15", "sd3"])
def test_pictures_of_a_batch_do_not_touch_each_other(name: str, rows: int, columns: int):
    depth = tiny.depth_step(3, rows * 8, columns * 8)
    depth[1] = 1 - depth[1]
    depth[2] = 1.0
    samples = tiny.empty(name, 3, (rows, columns))
    together, _ = tiny.sample(name, tiny.stereo(depth=depth), samples, batch_index=[0, 1, 2])
    for index in range(3):
        one = [index]
        alone, _ = tiny.sample(name, tiny.stereo(depth=depth[one]), samples[one], batch_index=one)
        assert tiny.error(together[[index, index + 3]], alone) <= BATCH_ERROR


# One family is enough for those that begin anew.
@pytest.mark.parametrize(
    ("name", "inner"),
    [
        *(("sd3", inner) for inner in [*SAMPLERS, *sorted(REFUSED)]),
        *(("sd15", inner) for inner in sorted(WITHOUT_MEMORY)),
    ],
)
def test_every_sampler_makes_a_pair_or_is_refused_by_name(name: str, inner: str):
    if inner in REFUSED:
        with pytest.raises(ValueError, match=f"sampler: {inner} chooses its own steps"):
            tiny.stereo(inner)
        return
    widgets = {"max_disparity": 0.0, "shift_at": 0.3, "mask_every": 0.3}
    pair, denoised = tiny.sample(name, tiny.stereo(inner, **widgets), sigmas=6)
    assert pair.isfinite().all() and pair.shape == denoised.shape == (2, *tiny.SHAPES[name])
    assert tiny.error(*pair.chunk(2)) <= BATCH_ERROR, "noise that the sampler draws must be the same for both eyes"
    plain, _ = tiny.sample(name, inner, sigmas=6)
    assert torch.equal(pair[:1], plain)


@pytest.mark.parametrize("inner", ["euler", "lcm", "heun", "dpmpp_2m", "dpmpp_3m_sde", "ipndm", "uni_pc"])
def test_the_left_view_is_the_plain_picture_to_the_bit(inner: str):
    sigmas = tiny.schedule("sd15", 8)
    pair, _ = tiny.sample("sd15", tiny.stereo(inner), sigmas=sigmas)
    plain, _ = tiny.sample("sd15", inner, sigmas=sigmas)
    assert torch.equal(pair[:1], plain) and not torch.equal(pair[1:], plain)


def test_noise_that_the_sampler_draws_moves_with_the_view():
    sampler = tiny.stereo("euler_ancestral", torch.ones(1, 32, 64, 3), mask_every=0.0)
    sigmas = tiny.schedule("sd15", 8)[:5]
    pair, _ = tiny.sample("sd15", sampler, sigmas=sigmas, model=tiny.load_sure("sd15", 0.2))
    left, right = pair.chunk(2)
    torch.testing.assert_close(right[..., :6], left[..., 2:])  # all near: two columns to the left
    assert tiny.error(right[..., :6], left[..., :6]) > 0.1


def test_a_function_that_makes_its_own_random_stream_gets_another_seed_for_each_piece():
    from comfy.k_diffusion.sampling import sample_euler
    from comfy.samplers import KSAMPLER

    seeds: list[int] = []

    def run(model: Any, x: Tensor, sigmas: Tensor, extra_args: Any, **rest: Any) -> Tensor:
        seeds.append(extra_args["seed"])
        return sample_euler(model, x, sigmas, extra_args=extra_args, **rest)

    tiny.sample("sd3", tiny.stereo(KSAMPLER(run)), sigmas=6, seed=5)
    assert seeds[0] == 5 and len(set(seeds)) == len(seeds) > 2


@pytest.mark.parametrize("inner", ["uni_pc", "uni_pc_bh2"])
def test_a_single_step_of_uni_pc_is_its_first_order(inner: str):
    pair, _ = tiny.sample("sd3", tiny.stereo(inner), sigmas=4)
    assert pair.isfinite().all()
    trajectory, plain = record("sd3")
    pair, _ = tiny.sample("sd3", tiny.stereo(inner, trajectory=trajectory, mask_every=0.0))
    by_euler, _ = tiny.sample("sd3", tiny.stereo("euler", trajectory=trajectory, mask_every=0.0))
    assert torch.equal(pair[:1], plain) and torch.equal(pair, by_euler)


@pytest.mark.parametrize("name", ["sd15", "sd3"])
def test_noise_in_the_holes_is_as_strong_as_the_state(name: str):
    recorder = Recorder()
    widgets = {"fill": "noise", "shift_at": 0.5, "mask_every": 0.0, "convergence": 0.0}
    size = (4, 64)
    depth = torch.ones(1, 4, 64, 3)
    tiny.sample(name, tiny.stereo(recorder.sampler, depth, **widgets), tiny.empty(name, 1, size))
    left, right = recorder.states[4].chunk(2)  # the first of the pair, after the left view's own four
    sigma = tiny.schedule(name, 4)[2]
    expected = ((1 - sigma) ** 2 + sigma**2 if name == "sd3" else 1 + sigma**2).sqrt()
    torch.testing.assert_close(right[..., -19:].std(), expected, rtol=0.1, atol=0)
    assert torch.equal(right[..., :-19], left[..., 19:])


def test_prompt_and_seed_change_the_pair_and_the_seed_repeats_it():
    sampler = tiny.stereo("euler_ancestral", fill="noise")
    first, _ = tiny.sample("sd15", sampler)
    assert torch.equal(tiny.sample("sd15", sampler)[0], first)
    for change in ({"seed": 6}, {"prompt": 7}, {"cfg": 5.0}):
        other, _ = tiny.sample("sd15", sampler, **change)
        assert all(tiny.error(*views) > 1e-2 for views in zip(other.chunk(2), first.chunk(2), strict=True)), change


@pytest.mark.parametrize("mode", [None, "left_kv", "right_joint", "left_query", "joint"])
@pytest.mark.parametrize("name", tiny.SHAPES)
def test_guidance_in_two_passes_gives_the_same_pair(
    host: dict[str, type], monkeypatch: pytest.MonkeyPatch, name: str, mode: str | None
):
    calls: list[int] = []
    loaded = model = tiny.load(name)
    if mode is not None:
        model = host["Stereo_CrossViewAttentionPatch"].execute(model, mode, 0.0, 1.0, "", False).args[0]
    apply = model.model.apply_model
    monkeypatch.setattr(model.model, "apply_model", lambda x, *a, **k: (calls.append(len(x)), apply(x, *a, **k))[1])
    alone = 1 if mode == "joint" else 4  # steps that the left view takes by itself; joint is to change it
    together, _ = tiny.sample(name, tiny.stereo(), model=model)
    assert calls == [2] * alone + [4] * 3
    calls.clear()
    monkeypatch.setattr(model.model, "memory_required", lambda *_, **__: 1e30)
    apart, _ = tiny.sample(name, tiny.stereo(), model=model)
    assert calls == [1] * 2 * alone + [2] * 6
    assert tiny.error(apart, together) <= BATCH_ERROR
    if mode != "joint":
        plain, _ = tiny.sample(name, "euler", model=loaded)
        assert torch.equal(apart[:1], plain)


def test_part_of_a_schedule_and_an_image_to_start_from():
    samples = torch.randn(tiny.empty("sd15").shape, generator=torch.Generator().manual_seed(1))
    late = tiny.schedule("sd15", 8)[4:]
    plain, _ = tiny.sample("sd15", "euler", samples, sigmas=late)
    pair, _ = tiny.sample("sd15", tiny.stereo(shift_at=0.0), samples, sigmas=late)
    assert torch.equal(pair[:1], plain)
    early = tiny.schedule("sd3", 8)[:4]
    plain, _ = tiny.sample("sd3", "euler", sigmas=early)
    pair, _ = tiny.sample("sd3", tiny.stereo(), sigmas=early)
    assert torch.equal(pair[:1], plain)


@pytest.mark.parametrize("inner", ["euler", "ddim"])
def test_a_mask_keeps_the_picture_in_both_views(inner: str):
    samples = torch.randn(tiny.empty("sd15", 2).shape, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(2, 1, 4, 8)
    mask[0, ..., 4:] = 1.0
    plain, _ = tiny.sample("sd15", inner, samples, noise_mask=mask)
    flat, _ = tiny.sample("sd15", tiny.stereo(inner, max_disparity=0.0), samples, noise_mask=mask)
    assert torch.equal(flat[:2], plain) and tiny.error(flat[2:], plain) <= BATCH_ERROR

    # All near: the view moves by two columns as a whole.
    pair, _ = tiny.sample("sd15", tiny.stereo(inner, torch.ones(1, 32, 64, 3)), samples, noise_mask=mask)
    right = pair[2:]
    torch.testing.assert_close(right[0, ..., :2], samples[0, ..., 2:4])
    torch.testing.assert_close(right[1, ..., :6], samples[1, ..., 2:])
    assert (right[1, ..., 6:] - samples[1, ..., 6:]).abs().min() > 1e-3, "holes are painted, whatever the mask"


def test_frames_in_the_batch_stay_one_clip_and_get_one_guidance():
    from comfy_extras.nodes_video_model import VideoLinearCFGGuidance

    model = VideoLinearCFGGuidance().patch(tiny.load("svd"), 1.0)[0]
    clip = torch.zeros(2, 4, 4, 4)
    plain, _ = tiny.sample("svd", "euler", clip, model=model, sigmas=2)
    pair, _ = tiny.sample(
        "svd", tiny.stereo(depth=tiny.depth_step(1, 32, 32), max_disparity=0.0), clip, model=model, sigmas=2
    )
    left, right = pair.chunk(2)
    assert torch.equal(left, plain) and tiny.error(right, plain) <= BATCH_ERROR


def test_a_video_is_shifted_frame_by_frame():
    clip = torch.zeros(1, 16, 3, 4, 8)
    depth = torch.zeros(9, 32, 64, 3)
    depth[5:] = 1.0  # the last of three latent frames
    plain, _ = tiny.sample("wan", "euler", clip)
    pair, _ = tiny.sample("wan", tiny.stereo(depth=depth, shift_at=1.0), clip)
    assert pair.shape == (2, 16, 3, 4, 8) and torch.equal(pair[:1], plain)
    flat, _ = tiny.sample("wan", tiny.stereo(depth=depth, shift_at=1.0, max_disparity=0.0), clip)
    changed = (pair[1] - flat[1]).abs().amax((0, 2, 3))
    assert changed[2] > changed[0]
    with pytest.raises(ValueError, match="depth holds 2 maps for a clip of 9 frames"):
        tiny.sample("wan", tiny.stereo(depth=depth[:2]), clip)
