"""DDIM Inversion on the host's own models: its way back, its states, and what it leaves behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.tiny import inversion as tiny

FLOW = ("sd3", "flux", "wan")


def schedule(model: Any, steps: int = 4) -> Tensor:
    import comfy.samplers

    return comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "normal", steps)


def invert(host: dict[str, type], *inputs: Any) -> Any:
    return host["Stereo_DDIMInversion"].execute(*inputs).result


def sample(model: Any, positive: Any, sigmas: Tensor, start: Any, cfg: float = 1.0) -> Tensor:
    import comfy.samplers
    from comfy_extras.nodes_custom_sampler import SamplerCustom

    euler = comfy.samplers.sampler_object("euler")
    run = SamplerCustom.execute(model, False, 0, cfg, positive, positive, euler, sigmas, start)
    return run.result[0]["samples"]


def error(a: Tensor, b: Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


@pytest.mark.parametrize("name", tiny.SHAPES)
def test_euler_at_the_same_sigmas_returns_the_latent(host: dict[str, type], name: str):
    model, text, latent = tiny.load(name), tiny.conditioning(name, 1), tiny.latent(name)
    sigmas = schedule(model, 8)
    errors = []
    for refine in (0, 8):
        noise, trajectory, levels = invert(host, model, text, latent, sigmas, refine)
        assert noise["samples"].shape == latent["samples"].shape and noise["samples"].isfinite().all()
        errors.append(error(sample(model, text, levels, noise), latent["samples"]))
        assert errors[-1] < 1.0
    assert errors[1] < (1e-5 if name in FLOW else 1e-2) and errors[1] < errors[0] / 20

    assert torch.equal(trajectory.sigmas, levels) and torch.equal(levels[1:], sigmas[1:])
    assert levels[0] == (pytest.approx(0.9999) if name in FLOW else sigmas[0])
    assert torch.equal(trajectory.at(0.0), model.model.process_latent_in(latent["samples"]))
    assert trajectory.at(float(sigmas[0])) is trajectory.states[0], "the schedule as given finds the states too"
    assert all(state.device.type == "cpu" for state in trajectory.states)


@pytest.mark.parametrize("name", ["sd2_v", "wan"])
def test_its_states_are_those_the_sampler_passes_through(host: dict[str, type], name: str):
    import comfy.sample
    import comfy.samplers

    model, text = tiny.load(name), tiny.conditioning(name, 1)
    noise, trajectory, levels = invert(host, model, text, tiny.latent(name), schedule(model, 8), 8)
    passed = []
    comfy.sample.sample_custom(
        model,
        torch.zeros_like(noise["samples"]),
        1.0,
        comfy.samplers.sampler_object("euler"),
        levels,
        text,
        text,
        noise["samples"],
        callback=lambda *step: passed.append(step[2].clone()),
        disable_pbar=True,
    )
    assert len(passed) == len(trajectory.states) - 1
    for sampled, inverted in zip(passed, trajectory.states, strict=False):
        assert error(sampled, inverted) < 1e-2


@pytest.mark.parametrize("name", ["sd15", "sd2_v"])
def test_it_is_equation_9_on_the_bare_network(host: dict[str, type], name: str):
    """DDIM inversion with alphas and integer timesteps, past all of the host's sampling."""
    model, text, latent = tiny.load(name), tiny.conditioning(name, 1), tiny.latent(name)
    times = [999, 600, 250, 20]
    sampling = model.get_model_object("model_sampling")
    sigmas = sampling.sigmas[times].clone()
    _, trajectory, _ = invert(host, model, text, latent, sigmas, 0)

    alphas = 1 / (1 + sigmas.double() ** 2)
    z = trajectory.states[-1].double() * alphas[-1].sqrt()
    for level in range(2, -1, -1):
        now, then = alphas[level + 1], alphas[level]
        out = model.model.diffusion_model(z.float(), torch.tensor([times[level + 1]]).float(), context=text[0][0])
        noise = out.double() if name == "sd15" else now.sqrt() * out.double() + (1 - now).sqrt() * z
        slope = (1 / then - 1).sqrt() - (1 / now - 1).sqrt()
        z = (then / now).sqrt() * z + then.sqrt() * slope * noise
        assert error(trajectory.states[level].double() * then.sqrt(), z) < 1e-4


def test_a_diffusion_models_noise_starts_the_advanced_ksampler(host: dict[str, type]):
    import comfy.samplers

    model, text, latent = tiny.load("sd2_v"), tiny.conditioning("sd2_v", 1), tiny.latent("sd2_v")
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "normal", 3)
    noise, _, levels = invert(host, model, text, latent, sigmas, 0)
    advanced = host["KSamplerAdvanced"]()
    (out,) = advanced.sample(model, "disable", 0, 3, 1.0, "euler", "normal", text, text, noise, 0, 1000, "disable")
    assert torch.equal(out["samples"], sample(model, text, levels, noise))


def test_pictures_of_a_batch_are_inverted_each_by_itself(host: dict[str, type]):
    model, text, both = tiny.load("sd3"), tiny.conditioning("sd3", 1), tiny.latent("sd3", batch=2)
    _, together, _ = invert(host, model, text, both, schedule(model), 2)
    for entry in range(2):
        one = {"samples": both["samples"][entry : entry + 1]}
        _, alone, _ = invert(host, model, text, one, schedule(model), 2)
        assert error(together.states[0][entry : entry + 1], alone.states[0]) < 1e-5


def test_the_text_matters_and_a_mask_is_left_out(host: dict[str, type]):
    model, latent = tiny.load("sd3"), tiny.latent("sd3")
    masked = {**latent, "noise_mask": torch.zeros(1, 64, 64), "batch_index": [3]}
    one, _, _ = invert(host, model, tiny.conditioning("sd3", 1), masked, schedule(model), 0)
    same, _, _ = invert(host, model, tiny.conditioning("sd3", 1), latent, schedule(model), 0)
    other, _, _ = invert(host, model, tiny.conditioning("sd3", 2), latent, schedule(model), 0)
    assert one.keys() == {"samples", "batch_index"}
    assert torch.equal(one["samples"], same["samples"])
    assert not torch.equal(one["samples"], other["samples"])


def test_a_picture_gets_the_time_axis_of_a_video_model(host: dict[str, type]):
    model, text = tiny.load("wan"), tiny.conditioning("wan", 1)
    picture = {"samples": torch.randn(1, 16, 8, 8)}
    noise, trajectory, _ = invert(host, model, text, picture, schedule(model), 0)
    assert noise["samples"].shape == trajectory.states[0].shape == (1, 16, 1, 8, 8)


@pytest.mark.parametrize("end", ["success", "error", "interrupt"])
def test_it_leaves_the_model_and_the_host_as_they_were(
    host: dict[str, type], end: str, monkeypatch: pytest.MonkeyPatch
):
    import comfy.model_management
    import latent_preview

    model, text, latent = tiny.load("sd3"), tiny.conditioning("sd3", 1), tiny.latent("sd3")
    sigmas, given = schedule(model), latent["samples"].clone()

    def plain() -> Tensor:
        return sample(model, text, sigmas.clamp_max(0.9), latent, cfg=4.0)

    before, options = plain(), repr(model.model_options)
    callbacks = {
        "error": lambda *_: (_ for _ in ()).throw(RuntimeError("in the middle")),
        "interrupt": lambda *_: comfy.model_management.interrupt_current_processing(True),
    }
    if end in callbacks:
        monkeypatch.setattr(latent_preview, "prepare_callback", lambda *_: callbacks[end])
        expected = {"error": RuntimeError, "interrupt": comfy.model_management.InterruptProcessingException}[end]
        with pytest.raises(expected):
            invert(host, model, text, latent, sigmas, 1)
        monkeypatch.undo()
    else:
        invert(host, model, text, latent, sigmas, 1)
    assert torch.equal(plain(), before)
    assert repr(model.model_options) == options
    assert torch.equal(latent["samples"], given) and torch.equal(sigmas, schedule(model))


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("sd3", (1, 4, 8, 8), "latent: is the latent of another model: it has 4 channels"),
        ("sd3", (1, 16, 2, 8, 8), "latent: is a latent of a video, and the model makes single pictures"),
        ("wan", (1, 4, 2, 8, 8), "it has 4 channels, and this model's latents have 16"),
        ("wan", (16, 8, 8), "latent: is no latent of pictures"),
    ],
)
def test_a_latent_of_another_model_is_refused(host: dict[str, type], name: str, shape: tuple[int, ...], message: str):
    model = tiny.load(name)
    with pytest.raises(ValueError, match=message):
        invert(host, model, tiny.conditioning(name, 1), {"samples": torch.ones(shape)}, schedule(model), 0)


def test_an_empty_latent_is_refused(host: dict[str, type]):
    model = tiny.load("sd3")
    with pytest.raises(ValueError, match="latent: is empty"):
        invert(host, model, tiny.conditioning("sd3", 1), {"samples": torch.zeros(1, 16, 8, 8)}, schedule(model), 0)


@pytest.mark.parametrize(
    ("sigmas", "message"),
    [
        ([], "sigmas: the schedule has no step"),
        ([0.0, 0.5, 1.0], "sigmas: every noise level must be finite"),
        ([1.0, 0.99995, 0.0], "second noise level, 0.99995, is not below 0.9999"),
    ],
)
def test_a_schedule_that_cannot_be_inverted_is_refused(host: dict[str, type], sigmas: list[float], message: str):
    model = tiny.load("sd3")
    with pytest.raises(ValueError, match=message):
        invert(host, model, tiny.conditioning("sd3", 1), tiny.latent("sd3"), torch.tensor(sigmas), 0)


@pytest.mark.parametrize("batch", [1, 2])
def test_a_model_that_couples_views_inverts_as_the_plain_one(host: dict[str, type], batch: int):
    model, text, latent = tiny.load("sd15"), tiny.conditioning("sd15", 1), tiny.latent("sd15", batch=batch)
    coupled = host["Stereo_CrossViewAttentionPatch"].execute(model, "joint", 0.0, 1.0, "", False).result[0]
    plain, patched = (invert(host, one, text, latent, schedule(model), 0)[1] for one in (model, coupled))
    assert all(torch.equal(*states) for states in zip(plain.states, patched.states, strict=True))
