"""The video samplers in the real host: against the paper's procedure, each other, and plain runs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from stereo_core.seeds import Stream, derive_seed, make_generator
from tests.host.tiny import sampling as tiny
from tests.host.tiny import stereo_video as video
from tools.host.in_process import pack_module

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


def block() -> Tensor:
    """The disparity of ``tiny.depth_step`` at the widgets' settings."""
    disparity = torch.full((4, 8), -2)
    disparity[1:3, 2:6] = 0
    return disparity


def literal(name: str, trajectory: Any, *, code: bool = False, eta: float = 0.0, **plan: Any) -> video.Literal:
    stream = make_generator(5, Stream.RESTART)
    fixed = [torch.randn(video.SHAPES[name], generator=stream) for _ in range(3)]
    plan = {**(SHORT if name == "svd" else LONG), **plan}
    flow = video.family(name) == "wan"

    def repeated(step: int) -> torch.Generator:
        return make_generator(5, Stream.REFINE, step)

    def taken(step: int, repeat: int) -> torch.Generator:
        # The host's samplers seed theirs with one more.
        return torch.Generator().manual_seed(derive_seed(5, Stream.REPEAT, step, repeat + 1) + 1)

    streams = {"fixed": fixed, "repeated": repeated, "taken": taken}
    return video.Literal(trajectory.states, block(), **plan, code=code, eta=eta, flow=flow, **streams)


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


def left_query(q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any]) -> Tensor:
    """Eq. 9: softmax of the left view's queries over the right one's keys, written out."""

    def heads(tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (options["n_heads"], -1)).transpose(1, 2)

    q = torch.cat([torch.cat([part.chunk(2)[0]] * 2) for part in q.chunk(len(options["cond_or_uncond"]))])
    scores = heads(q) @ heads(k).transpose(-1, -2) / heads(q).shape[-1] ** 0.5
    return (scores.softmax(-1) @ heads(v)).transpose(1, 2).flatten(-2)


def coupled(host: dict[str, type], name: str, start: float = 0.0, end: float = 1.0) -> Any:
    patch = host["Stereo_CrossViewAttentionPatch"]
    return patch.execute(tiny.load(name), "left_query", start, end, "", False).args[0]


@pytest.mark.parametrize("inner", ["euler", "euler_ancestral"])
def test_with_attention_it_is_the_papers_too(host: dict[str, type], inner: str):
    trajectory, plain = video.record("sd15", inner, sigmas=STEPS)
    paper = literal("sd15", trajectory, eta=float(inner != "euler"))
    paper.attention = left_query
    expected, _ = tiny.sample("sd15", paper.sampler(), sigmas=STEPS)
    pair, _ = tiny.sample("sd15", video.both(trajectory, inner), sigmas=STEPS, model=coupled(host, "sd15"))
    assert torch.equal(pair[:1], plain)
    assert tiny.error(pair, expected) <= FLOAT_ERROR
    alone, _ = tiny.sample("sd15", video.both(trajectory, inner), sigmas=STEPS)
    assert tiny.error(alone, expected) > 0.01, "the attention must matter"


@pytest.mark.parametrize("name", ["sd15", "clip"])
@pytest.mark.parametrize("inner", ["euler", "euler_ancestral"])
def test_without_disparity_the_right_view_is_the_left(name: str, inner: str):
    trajectory, plain = video.record(name, inner, sigmas=STEPS)
    widgets = {"max_disparity": 0.0, "most_repeats": 1, "fewest_repeats": 1}
    for sampler in (
        video.restart(trajectory, inner, iterations=1, restart_until=0.0, max_disparity=0.0),
        video.both(trajectory, inner, **widgets),
    ):
        pair, _ = tiny.sample(video.family(name), sampler, video.zeros(name), sigmas=STEPS)
        assert torch.equal(pair[: len(plain)], plain)
        assert tiny.error(pair[len(plain) :], plain) <= FLOAT_ERROR


def repeated_columns(state: Tensor) -> bool:
    """Whether two neighbouring columns of any entry and frame are the same."""
    return (state[..., 1:] == state[..., :-1]).all(dim=1).all(dim=-2).any().item()


class Watch:
    """The host's euler, and the states it is given."""

    def __init__(self) -> None:
        from comfy.samplers import KSAMPLER

        self.states: list[Tensor] = []
        self.sampler = KSAMPLER(self.run)

    def run(self, model: Any, x: Tensor, sigmas: Tensor, **rest: Any) -> Tensor:
        from comfy.k_diffusion.sampling import sample_euler

        self.states.append(x.clone())
        return sample_euler(model, x, sigmas, **rest)


def test_border_padding_would_be_found():
    state = torch.randn(1, 4, 4, 8)
    padded = torch.cat([state[..., 1:], state[..., -1:]], dim=-1)
    assert repeated_columns(padded) and not repeated_columns(state)
    clip = torch.randn(1, 16, 3, 4, 8)
    clip[:, :, 1, :, 0] = clip[:, :, 1, :, 1]
    assert repeated_columns(clip)


@pytest.mark.parametrize("name", ["sd15", "clip"])
@pytest.mark.parametrize(("columns", "convergence"), [(1, 0.0), (2, 0.0), (1, 1.0), (2, 1.0)])
def test_no_filling_repeats_columns(name: str, columns: int, convergence: float):
    trajectory, _ = video.record(name, sigmas=STEPS)
    depth = torch.full((1, 32, 64, 3), 1 - convergence)
    widgets = {"max_disparity": 12.5 * columns, "convergence": convergence}
    watched = 0
    for build in (video.restart, video.refine, video.both):
        for form, fill in (("unrepeated", "left"), ("unrepeated", "noise")):
            watch = Watch()
            own = {"fill": fill} if build is not video.restart else {}
            sampler = build(trajectory, watch.sampler, depth, **widgets, form=form, **own)
            pair, _ = tiny.sample(video.family(name), sampler, video.zeros(name), sigmas=STEPS)
            assert not any(repeated_columns(state) for state in [*watch.states, pair])
            watched += len(watch.states)
    assert watched > 60


def split(name: str, samplers: tuple[Any, Any], at: int, latent: dict[str, Any]) -> Tensor:
    """The first sampler on the first steps, the second one on the others."""
    from comfy_extras.nodes_custom_sampler import SamplerCustom, SplitSigmas

    family = video.family(name)
    model, prompts = tiny.load(family), [tiny.conditioning(family, seed) for seed in (1, 2)]
    parts = SplitSigmas.execute(tiny.schedule(family, steps(name)), at).args
    for sampler, sigmas, fresh in zip(samplers, parts, (True, False), strict=True):
        latent = SamplerCustom.execute(model, fresh, 5, 3.0, *prompts, sampler, sigmas, latent).args[0]
    return latent["samples"]


@pytest.mark.parametrize("name", ["sd15", "svd", "clip"])
def test_one_after_the_other_on_a_split_schedule_is_both_in_one(name: str):
    widgets = SHORT_WIDGETS if name == "svd" else {}
    first = {key: value for key, value in widgets.items() if key in video.RESTART}
    second = {key: value for key, value in widgets.items() if key in video.REFINE}
    trajectory, plain = video.record(name, sigmas=steps(name))
    family = video.family(name)
    at_once, _ = tiny.sample(family, video.both(trajectory, **widgets), video.zeros(name), sigmas=steps(name))
    samplers = (video.restart(trajectory, **first), video.refine(trajectory, **second))
    chained = split(name, samplers, 2 if name == "svd" else 3, {"samples": video.zeros(name)})
    assert torch.equal(chained[: len(plain)], plain)
    assert tiny.error(chained, at_once) <= FLOAT_ERROR


def test_a_split_schedule_may_end_the_restart_early():
    trajectory, _ = video.record("sd15", sigmas=STEPS)
    at_once, _ = tiny.sample("sd15", video.restart(trajectory), sigmas=STEPS)
    chained = split(
        "sd15",
        (video.restart(trajectory), video.restart(trajectory, restart_until=0.0)),
        6,
        {"samples": video.zeros("sd15")},
    )
    assert tiny.error(chained, at_once) <= FLOAT_ERROR


@pytest.mark.parametrize("name", ["sd15", "clip"])
def test_a_mask_keeps_the_shifted_picture(name: str):
    shape = video.SHAPES[name]
    picture = torch.randn(shape, generator=torch.Generator().manual_seed(7))
    mask = torch.zeros(1, 4, 8)
    mask[:, :, :3] = 1.0
    family = video.family(name)
    trajectory, plain = video.record(name, samples=picture, sigmas=STEPS, noise_mask=mask)
    at_once, _ = tiny.sample(family, video.both(trajectory), picture, sigmas=STEPS, noise_mask=mask)
    assert torch.equal(at_once[:1], plain)
    # The background's columns 3 to 5 land on 5 to 7 in the first row; they were kept.
    kept = at_once[1:, ..., 0, 5:]
    torch.testing.assert_close(kept, picture[..., 0, 3:6], rtol=0, atol=1e-4)
    assert (at_once[1:, ..., 0, 2:4] - picture[..., 0, :2]).abs().max() > 0.1
    chained = split(
        name, (video.restart(trajectory), video.refine(trajectory)), 3, {"samples": picture, "noise_mask": mask}
    )
    torch.testing.assert_close(chained[1:, ..., 0, 5:], picture[..., 0, 3:6], rtol=0, atol=1e-3)
    assert torch.equal(chained[:1], plain) and tiny.error(chained, at_once) <= 0.05


def test_pictures_of_a_batch_do_not_touch_each_other():
    depth = tiny.depth_step(2)
    depth[1] = 1 - depth[1]
    samples = tiny.empty("sd15", 2)
    trajectory, plain = video.record("sd15", samples=samples, sigmas=STEPS, batch_index=[0, 1])
    # Noise drawn for a batch is not that drawn for one picture.
    once = {"iterations": 1, "most_repeats": 1, "fewest_repeats": 1}
    sampler = video.both(trajectory, depth=depth, **once)
    together, _ = tiny.sample("sd15", sampler, samples, sigmas=STEPS, batch_index=[0, 1])
    assert torch.equal(together[:2], plain)
    for index in (0, 1):
        part, _ = video.record("sd15", sigmas=STEPS, batch_index=[index])
        alone, _ = tiny.sample(
            "sd15",
            video.both(part, depth=depth[[index]], **once),
            tiny.empty("sd15"),
            sigmas=STEPS,
            batch_index=[index],
        )
        assert tiny.error(together[[index, index + 2]], alone) <= FLOAT_ERROR


def test_frames_in_the_batch_are_one_clip_with_one_border(monkeypatch: pytest.MonkeyPatch):
    """Only the first frame has a hole at the border, so the clip has no border to clean; two pictures have."""
    module = pack_module("nodes.sampling.stereo_crafter_zero")
    seen: list[Tensor] = []

    class Watched(module.LeftView):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            seen.append(self.border)

    monkeypatch.setattr(module, "LeftView", Watched)
    depth = torch.ones(2, 32, 64, 3)
    depth[0] = 0.0
    for name in ("svd", "sd15"):
        samples = torch.zeros(2, 4, 4, 8)
        trajectory, _ = video.record(name, samples=samples, sigmas=2)
        tiny.sample(video.family(name), video.restart(trajectory, depth=depth, restart_until=0.5), samples, sigmas=2)
    clip, pictures = seen
    assert not clip.any() and pictures[0].any() and not pictures[1].any()
