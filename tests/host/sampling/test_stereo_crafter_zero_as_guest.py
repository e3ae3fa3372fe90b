"""The video samplers as guests: what they cost and show, what they leave behind, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.tiny import sampling as tiny
from tests.host.tiny import stereo_video as video

pytestmark = pytest.mark.usefixtures("host")

STEPS = 6
# Three steps are restarted, of the others the second is taken three times: 6 steps, and 3 + 3 + 2 more.
WIDGETS = {"restart_until": 0.5, "warp_every": 0.34, "last_warp": 0.67}
TOTAL = 14


@pytest.fixture
def trajectory() -> Any:
    return video.record("sd15", sigmas=STEPS)[0]


def guide(sampler: Any, callback: Any = None, prompts: Any = None, model: Any = None) -> Tensor:
    """A run through a guider, as SamplerCustomAdvanced makes it."""
    import comfy.sample
    import comfy.samplers

    guider = comfy.samplers.CFGGuider(model or tiny.load("sd15"))
    guider.set_conds(*(prompts or (tiny.conditioning("sd15", seed) for seed in (1, 2))))
    guider.set_cfg(3.0)
    latent = tiny.empty("sd15")
    noise = comfy.sample.prepare_noise(latent, 5)
    sigmas = tiny.schedule("sd15", STEPS)
    return guider.sample(noise, latent, sampler, sigmas, callback=callback, disable_pbar=True, seed=5)


@pytest.mark.parametrize("inner", ["euler", "euler_ancestral", "dpmpp_2m"])
def test_progress_counts_every_iteration_and_previews_show_both_eyes(trajectory: Any, inner: str):
    shown: list[tuple[int, tuple[int, ...], int]] = []
    sampler = video.both(trajectory, inner, form="code", **WIDGETS)
    guide(sampler, lambda step, x0, _, total: shown.append((step, tuple(x0.shape), total)))
    side_by_side, pair = (1, 4, 4, 16), (2, 4, 4, 8)
    assert shown == [*((step, side_by_side, TOTAL) for step in range(TOTAL - 1)), (TOTAL - 1, pair, TOTAL)]


def test_a_sampler_that_does_not_report_ends_with_the_pair_all_the_same(trajectory: Any):
    from comfy.samplers import KSAMPLER

    def silent(model: Any, x: Tensor, sigmas: Tensor, *, extra_args: Any, **_: Any) -> Tensor:
        return tiny.inner("euler").sampler_function(model, x, sigmas, extra_args=extra_args, disable=True)

    shown: list[tuple[int, Tensor]] = []
    pair = guide(
        video.restart(trajectory, KSAMPLER(silent), **{"restart_until": 0.5}), lambda n, x0, *_: shown.append((n, x0))
    )
    [(step, last)] = shown
    assert step == STEPS + 5 and last.shape == pair.shape


def test_a_preview_has_the_left_eye_on_the_left(trajectory: Any):
    previews: list[Tensor] = []
    guide(video.both(trajectory, **WIDGETS), lambda _, x0, *__: previews.append(x0))
    plain: list[Tensor] = []
    guide(tiny.inner("euler"), lambda _, x0, *__: plain.append(x0))
    for iteration in range(3):
        left, right = previews[3 * iteration + 2].chunk(2, dim=-1)
        assert tiny.error(left, plain[2]) < 1e-3 < tiny.error(right, plain[2])


def evaluations(monkeypatch: pytest.MonkeyPatch, run: Callable[[], Any]) -> list[int]:
    """The batch of every evaluation of the model, with guidance two entries a latent."""
    model, batches = tiny.load("sd15").model, []
    apply = model.apply_model

    def watch(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        batches.append(len(x))
        return apply(x, *args, **kwargs)

    monkeypatch.setattr(model, "apply_model", watch)
    run()
    monkeypatch.undo()
    return batches


def test_the_left_view_is_evaluated_only_where_the_right_one_looks_at_it(
    host: dict[str, type], trajectory: Any, monkeypatch: pytest.MonkeyPatch
):
    sampler = video.both(trajectory, form="code", **WIDGETS)
    assert evaluations(monkeypatch, lambda: guide(sampler)) == [2] * TOTAL

    def cost(start: float, end: float) -> list[int]:
        patch = host["Stereo_CrossViewAttentionPatch"]
        model = patch.execute(tiny.load("sd15"), "left_query", start, end, "", False).args[0]
        return evaluations(monkeypatch, lambda: guide(sampler, model=model))

    assert cost(0.0, 1.0) == [4] * TOTAL
    assert cost(0.0, 0.5) == cost_by_steps({0, 1, 2})
    # Step 2 alone begins within, and step 1 ends there.
    assert cost(0.3, 0.4) == cost_by_steps({1, 2})


def cost_by_steps(paired: set[int]) -> list[int]:
    """Batches where these steps need both views."""
    order = [*[0, 1, 2] * 3, 3, 4, 4, 4, 5]
    return [4 if step in paired else 2 for step in order]


@pytest.mark.parametrize("inner", ["euler", "euler_ancestral"])
def test_every_repeat_is_evaluated_and_shown(inner: str, monkeypatch: pytest.MonkeyPatch):
    shown: list[int] = []
    sampler = video.both(video.record("sd15", inner, sigmas=STEPS)[0], inner, **WIDGETS)
    costs = evaluations(monkeypatch, lambda: guide(sampler, lambda step, *_: shown.append(step)))
    assert len(costs) == TOTAL and shown == [*range(TOTAL)]


def test_with_a_hint_the_right_view_is_evaluated_alone(trajectory: Any):
    from comfy.controlnet import ControlBase

    class Hint(ControlBase):
        def get_control(self, x: Tensor, t: Tensor, cond: Any, batched: int, options: Any) -> None:  # noqa: ARG002
            seen.append(len(x) // batched)

        def get_models(self) -> list[Any]:
            return []

        def cleanup(self) -> None:
            pass

    seen: list[int] = []
    hint = Hint()
    prompts = [[[text, {**extras, "control": hint}] for text, extras in tiny.conditioning("sd15", n)] for n in (1, 2)]
    guide(video.refine(trajectory, form="code"), prompts=prompts)
    assert set(seen) == {1}


@pytest.mark.parametrize("at", [0, 2, 4, 8, 9, 11, 12])
def test_an_interrupt_stops_before_the_next_step(trajectory: Any, at: int):
    import comfy.model_management

    steps: list[int] = []

    def interrupt(step: int, *_: Any) -> None:
        steps.append(step)
        if step == at:
            comfy.model_management.interrupt_current_processing(True)

    sampler = video.both(trajectory, form="code", **WIDGETS)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        guide(sampler, interrupt)
    assert steps == list(range(at + 1))


class Stop(Exception):
    pass


def fails(step: int, *_: Any) -> None:
    if step == 10:
        raise Stop


@pytest.mark.parametrize("ending", ["success", "exception", "refusal"])
def test_a_run_leaves_nothing_behind(trajectory: Any, ending: str):
    model = tiny.load("sd15")
    before = guide(tiny.inner("euler"))
    options, attributes = repr(model.model_options), {**vars(model.model)}
    levels, states = trajectory.sigmas.clone(), [state.clone() for state in trajectory.states]
    random = torch.random.get_rng_state()

    sampler = video.both(trajectory, "euler_ancestral", **WIDGETS)
    first = guide(sampler)
    if ending == "success":
        assert torch.equal(guide(sampler), first), "a sampler keeps nothing from run to run"
    elif ending == "exception":
        with pytest.raises(Stop):
            guide(sampler, fails)
    else:
        with pytest.raises(ValueError, match="last_warp of Stereo Refine Options: 0.3 of 6 steps is before step 3"):
            guide(video.both(trajectory, **{**WIDGETS, "last_warp": 0.3}))

    assert torch.equal(torch.random.get_rng_state(), random), "the global random stream was used"
    assert torch.equal(guide(tiny.inner("euler")), before)
    assert repr(model.model_options) == options and vars(model.model).keys() == attributes.keys()
    assert torch.equal(trajectory.sigmas, levels)
    assert all(torch.equal(now, then) for now, then in zip(trajectory.states, states, strict=True))


REFUSALS = {
    "clip and depth": ("clip", {"depth": torch.zeros(2, 32, 64, 3)}, {}, "depth holds 2 maps for a clip of 9 frames"),
    "frames and depth": ("svd", {"depth": torch.zeros(3, 32, 64, 3)}, {}, "depth holds 3 maps for 2 pictures"),
    "restart beyond the sigmas": (
        "sd15",
        {},
        {"cut": 2},
        "restart_until of Stereo Video Options: the restart ends after step 3 of 6",
    ),
    "last warp in the restart": (
        "sd15",
        {"last_warp": 0.3},
        {},
        "last_warp of Stereo Refine Options: 0.3 of 6 steps is before step 3, and the restart ends",
    ),
    "other sigmas": ("sd15", {}, {"sigmas": 5}, "trajectory: holds no state at noise level"),
    "other size": ("sd15", {}, {"samples": torch.zeros(1, 4, 4, 10)}, "trajectory: is of one latent of 8x4"),
    "other count": ("sd15", {}, {"samples": torch.zeros(3, 4, 4, 8)}, "trajectory: .* is 3 latents of 8x4"),
    "other seed": ("sd15", {}, {"seed": 6}, "latent_image: with its noise, it is not the left view"),
    "noise on a pair": (
        "sd15",
        {},
        {"samples": torch.ones(2, 4, 4, 8), "batch_index": [0, 0], "from": 3},
        "latent_image: .* A pair takes no new noise",
    ),
    "no step": ("sd15", {}, {"cut": 0}, "sigmas: the schedule has no step"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_input_is_refused_with_what_to_do(case: str):
    name, widgets, inputs, message = REFUSALS[case]
    family = video.family(name)
    trajectory, _ = video.record(name, sigmas=2 if name == "svd" else STEPS)
    inputs = {"samples": video.zeros(name), "sigmas": 2 if name == "svd" else STEPS, **inputs}
    if "cut" in inputs:
        inputs["sigmas"] = tiny.schedule(family, STEPS)[: inputs.pop("cut") + 1]
    if "from" in inputs:
        inputs["sigmas"] = tiny.schedule(family, STEPS)[inputs.pop("from") :]
    inner = widgets.get("sampler", "euler")
    widgets = {name: value for name, value in widgets.items() if name != "sampler"}
    with pytest.raises(ValueError, match=message):
        tiny.sample(family, video.both(trajectory, inner, **{**WIDGETS, **widgets}), **inputs)


def test_skipped_steps_are_refused():
    trajectory, _ = video.record("sd15", sigmas=STEPS)
    with pytest.raises(ValueError, match="sigmas: skip noise levels that trajectory holds"):
        tiny.sample("sd15", video.both(trajectory), sigmas=tiny.schedule("sd15", STEPS)[[0, 1, 2, 4, 5, 6]])


def test_samplers_and_trajectories_that_do_not_serve(trajectory: Any):
    import comfy.samplers

    with pytest.raises(ValueError, match="trajectory: nothing is connected"):
        video.restart(None)
    with pytest.raises(ValueError, match="sampler: dpm_fast chooses its own steps"):
        video.restart(trajectory, "dpm_fast")
    with pytest.raises(ValueError, match="sampler: a Loop runs its own loop"):
        video.refine(trajectory, type("Loop", (comfy.samplers.Sampler,), {})())
    with pytest.raises(ValueError, match="fewest_repeats is 3 and most_repeats 2"):
        video.refine(trajectory, most_repeats=2, fewest_repeats=3)


def test_nothing_connected_is_the_papers_sampler(trajectory: Any):
    for build in (video.restart, video.refine):
        assert build(trajectory, None).inner.sampler_function.__name__ == "sample_euler_ancestral"


def test_uni_pc_takes_both_views():
    trajectory, plain = video.record("sd15", "uni_pc", sigmas=STEPS)
    pair, _ = tiny.sample("sd15", video.both(trajectory, "uni_pc", **WIDGETS), sigmas=STEPS)
    assert torch.equal(pair[:1], plain) and pair.isfinite().all()


def test_a_refining_sampler_as_its_sampler_is_both_in_one(trajectory: Any):
    refining = video.refine(trajectory, **{name: WIDGETS[name] for name in ("warp_every", "last_warp")})
    joined = video.restart(trajectory, refining, restart_until=0.5)
    assert torch.equal(guide(joined), guide(video.both(trajectory, **WIDGETS)))


@pytest.mark.parametrize("preset", ["576x1024", "custom"])
def test_the_nodes_say_the_steps_that_a_schedule_gets(
    host: dict[str, type], preset: str, monkeypatch: pytest.MonkeyPatch
):
    import sys

    told: list[str] = []
    tell = sys.modules[host["Stereo_NoisyRestartSampler"].__module__.rsplit(".", 1)[0] + ".widgets.geometry"]
    monkeypatch.setattr(tell, "show_text", lambda _, text: told.append(text))
    trajectory, _ = video.record("sd15", sigmas=STEPS)
    refining = video.refine(trajectory, preset=preset, **{name: WIDGETS[name] for name in ("warp_every", "last_warp")})
    guide(video.restart(trajectory, refining, preset=preset, restart_until=0.5))
    assert (
        told[-1].splitlines()[-3:]
        == {
            # Noise to signal is 14.6, 6.0, 2.9, 1.6, 0.93 and 0.49.
            "576x1024": [
                "restart: 1 of 6 steps, 2 times",
                "warps after 2, 4 of 6 steps; the step that follows is taken 2, 1 times",
                "8 steps of one view, 1.3 times a plain run of 6 steps",
            ],
            "custom": [
                "restart: 3 of 6 steps, 3 times",
                "warps after 4 of 6 steps; the step that follows is taken 3 times",
                "14 steps of one view, 2.3 times a plain run of 6 steps",
            ],
        }[preset]
    )
