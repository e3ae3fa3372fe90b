"""Stereo Shift Sampler as a guest: what it shows, what it leaves behind, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.tiny import sampling as tiny

pytestmark = pytest.mark.usefixtures("host")


def guide(sampler: Any, callback: Any = None, prompts: Any = None) -> Tensor:
    """A run through a guider, as SamplerCustomAdvanced makes it."""
    import comfy.sample
    import comfy.samplers

    guider = comfy.samplers.CFGGuider(tiny.load("sd15"))
    guider.set_conds(*(prompts or (tiny.conditioning("sd15", seed) for seed in (1, 2))))
    guider.set_cfg(3.0)
    latent = tiny.empty("sd15")
    noise = comfy.sample.prepare_noise(latent, 5)
    sigmas = tiny.schedule("sd15", 5)
    return guider.sample(noise, latent, sampler, sigmas, callback=callback, disable_pbar=True, seed=5)


def test_progress_counts_the_whole_schedule_and_previews_show_both_eyes():
    shown: list[tuple[int, tuple[int, ...], int]] = []
    guide(tiny.stereo(), lambda step, x0, _, total: shown.append((step, tuple(x0.shape), total)))
    alone, side_by_side, pair = (1, 4, 4, 8), (1, 4, 4, 16), (2, 4, 4, 8)
    before, both = [(step, alone, 9) for step in range(5)], [(step, side_by_side, 9) for step in (5, 6, 7)]
    assert shown == [*before, *both, (8, pair, 9)]


def test_a_preview_has_the_left_eye_on_the_left():
    previews: list[Tensor] = []
    guide(tiny.stereo(mask_every=0.0), lambda _, x0, *__: previews.append(x0))
    plain: list[Tensor] = []
    guide(tiny.inner("euler"), lambda _, x0, *__: plain.append(x0))
    left, right = previews[6].chunk(2, dim=-1)  # the pair's second step, after the left view's own five
    assert tiny.error(left, plain[2]) < 1e-4 < tiny.error(right, plain[2])


def test_a_guider_and_the_pair_flag_in_the_model_options(monkeypatch: pytest.MonkeyPatch):
    model = tiny.load("sd15")
    flags: list[Any] = []
    apply = model.model.apply_model

    def watch(x: Tensor, *args: Any, transformer_options: dict[str, Any], **kwargs: Any) -> Tensor:
        flags.append((transformer_options["stereo_pair"], len(transformer_options["sample_sigmas"])))
        return apply(x, *args, transformer_options=transformer_options, **kwargs)

    monkeypatch.setattr(model.model, "apply_model", watch)
    pair = guide(tiny.stereo())
    assert pair.shape == (2, 4, 4, 8)
    assert flags == [(False, 6)] * 5 + [(True, 6)] * 4


def test_a_controlnet_prepares_its_hint_anew_for_the_pair():
    from comfy.controlnet import ControlBase

    class Hint(ControlBase):
        def get_control(self, x: Tensor, t: Tensor, cond: Any, batched: int, options: Any) -> None:  # noqa: ARG002
            if self.cond_hint is None:
                self.cond_hint = len(x)  # as the host: made for the first batch it sees, then kept
                made.append(len(x))

        def get_models(self) -> list[Any]:
            return []

        def cleanup(self) -> None:
            self.cond_hint = None

    made: list[int] = []
    hint = Hint()
    positive, negative = (
        [[text, {**extras, "control": hint}] for text, extras in tiny.conditioning("sd15", seed)] for seed in (1, 2)
    )
    guide(tiny.stereo(), prompts=(positive, negative))
    assert made == [2, 4]


class Stop(Exception):
    pass


def fails(*_: Any) -> None:
    raise Stop


def interrupts(step: int, *_: Any) -> None:
    import comfy.model_management

    if step == 2:
        comfy.model_management.interrupt_current_processing(True)


@pytest.mark.parametrize("ending", ["success", "exception", "interrupt", "refusal"])
def test_a_run_leaves_nothing_behind(ending: str):
    import comfy.model_management

    model = tiny.load("sd15")
    before = guide(tiny.inner("euler"))
    options, attributes = repr(model.model_options), {**vars(model.model)}
    weights = {name: value.clone() for name, value in model.model.state_dict().items()}
    state = torch.random.get_rng_state()

    if ending == "success":
        guide(tiny.stereo("ddim"))
    elif ending == "exception":
        with pytest.raises(Stop):
            guide(tiny.stereo(), fails)
    elif ending == "interrupt":
        steps: list[int] = []

        def interrupt(step: int, *rest: Any) -> None:
            steps.append(step)
            interrupts(step, *rest)

        with pytest.raises(comfy.model_management.InterruptProcessingException):
            guide(tiny.stereo(), interrupt)
        assert steps == [0, 1, 2], "the run must stop before its next model call"
    else:
        with pytest.raises(ValueError, match="of another shape"):
            guide(tiny.stereo(depth=tiny.depth_step(1, 32, 32)))

    assert torch.equal(torch.random.get_rng_state(), state), "the global random stream was used"
    assert torch.equal(guide(tiny.inner("euler")), before)
    assert repr(model.model_options) == options and vars(model.model).keys() == attributes.keys()
    assert all(torch.equal(value, weights[name]) for name, value in model.model.state_dict().items())


def test_the_schedule_that_was_given_is_not_written_to():
    sigmas = tiny.schedule("sd3", 6)
    given = sigmas.clone()
    tiny.sample("sd3", tiny.stereo("uni_pc", shift_at=0.3, mask_every=0.3), sigmas=sigmas)
    assert torch.equal(sigmas, given)


def test_memory_is_asked_for_the_pair(monkeypatch: pytest.MonkeyPatch):
    import comfy.model_management
    import comfy.sampler_helpers

    asked: list[int] = []
    prepare = comfy.sampler_helpers.prepare_sampling

    def watch(model: Any, shape: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(shape[0])
        return prepare(model, shape, *args, **kwargs)

    monkeypatch.setattr(comfy.sampler_helpers, "prepare_sampling", watch)
    sampler = tiny.stereo()
    before = guide(sampler)
    assert asked == [1]
    asked.clear()
    monkeypatch.setattr(comfy.model_management, "is_device_cpu", lambda _: False)
    full = {False: 1.0, True: (1.0, 1.0)}
    monkeypatch.setattr(
        comfy.model_management, "get_free_memory", lambda _=None, torch_free_too=False: full[torch_free_too]
    )
    after = guide(sampler)
    assert asked == [1, 2]
    assert tiny.error(after, before) < 1e-4


@pytest.fixture
def trajectory(pack: Any) -> Any:
    make = pack("stereo_core.trajectory").Trajectory
    return lambda batch=1: make(tiny.schedule("sd15", 4), tuple(torch.zeros(batch, 4, 4, 8) for _ in range(5)))


REFUSALS = {
    "NaN": ({}, {"samples": torch.full((1, 4, 4, 8), float("nan"))}, "latent_image: holds NaN"),
    "another model's": ({}, {"samples": torch.ones(1, 16, 4, 8)}, "latent_image: is the latent of another model"),
    "a video": ({}, {"samples": torch.ones(1, 4, 3, 4, 8)}, "latent_image: is a latent of a video"),
    "depth of another shape": ({"depth": torch.zeros(1, 64, 32, 3)}, {}, "depth is 32x64, of another shape"),
    "two maps for three pictures": (
        {"depth": torch.zeros(2, 32, 64, 3)},
        {"samples": torch.zeros(3, 4, 4, 8)},
        "depth holds 2 maps for 3 pictures",
    ),
    "both views already": (
        {},
        {"samples": torch.zeros(4, 4, 4, 8), "batch_index": [0, 1, 0, 1]},
        "latent_image: already holds both views",
    ),
    "no step": ({}, {"sigmas": torch.tensor([1.0])}, "sigmas: the schedule has no step"),
    "sound": ({}, {"samples": torch.zeros(1, 4, 32)}, "latent_image: is no latent of pictures"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_input_is_refused_with_what_to_do(case: str):
    widgets, inputs, message = REFUSALS[case]
    samples = inputs.get("samples")
    rest = {name: value for name, value in inputs.items() if name != "samples"}
    with pytest.raises(ValueError, match=message):
        tiny.sample("sd15", tiny.stereo(**widgets), samples, **rest)


def test_a_trajectory_must_fit(trajectory: Any):
    with pytest.raises(ValueError, match="trajectory: holds no state at noise level"):
        tiny.sample("sd15", tiny.stereo(trajectory=trajectory()), sigmas=5)
    with pytest.raises(ValueError, match="trajectory: is of 2 latents of 8x4"):
        tiny.sample("sd15", tiny.stereo(trajectory=trajectory(2)))
    with pytest.raises(ValueError, match="shift_both"):
        tiny.stereo(trajectory=trajectory(), shift_both=True)


def test_a_sampler_with_its_own_loop_is_refused_by_its_class():
    import comfy.samplers

    class Loop(comfy.samplers.Sampler):
        pass

    with pytest.raises(ValueError, match="sampler: a Loop runs its own loop"):
        tiny.stereo(Loop())


def test_context_windows_over_the_batch_are_refused():
    model = tiny.load("sd15").clone()
    model.model_options["context_handler"] = type("Windows", (), {"dim": 0, "should_use_context": lambda *_: False})()
    with pytest.raises(ValueError, match="context windows"):
        tiny.sample("sd15", tiny.stereo(), model=model)
