"""Null-Text Optimization on the host's own models: what it wins, how samplers use it, and what it leaves behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.tiny import inversion as tiny

CFG = 7.5


class Case:
    """A model, its texts and an inverted picture."""

    def __init__(self, host: dict[str, type], name: str, steps: int = 3, batch: int = 1) -> None:
        import comfy.samplers

        self.host, self.model = host, tiny.load(name)
        self.positive, self.blank = tiny.conditioning(name, 1), tiny.conditioning(name, 2)
        self.latent = tiny.latent(name, batch=batch)
        sigmas = comfy.samplers.calculate_sigmas(self.model.get_model_object("model_sampling"), "normal", steps)
        self.noise, self.trajectory, self.sigmas = (
            host["Stereo_DDIMInversion"].execute(self.model, self.positive, self.latent, sigmas, 2).result
        )

    def optimize(self, inner_steps: int = 3, rate: float = 1e-2, epsilon: float = 0.0, **changes: Any) -> Any:
        given = {"model": self.model, "negative": self.blank, "trajectory": self.trajectory, **changes}
        node = self.host["Stereo_NullTextOptimization"]
        return node.execute(
            given["model"],
            self.positive,
            given["negative"],
            given["trajectory"],
            CFG,
            inner_steps,
            rate,
            epsilon,
        ).result

    def sample(self, negative: Any, model: Any = None) -> Tensor:
        import comfy.samplers
        from comfy_extras.nodes_custom_sampler import SamplerCustom

        euler = comfy.samplers.sampler_object("euler")
        return SamplerCustom.execute(
            model or self.model, False, 0, CFG, self.positive, negative, euler, self.sigmas, self.noise
        ).result[0]["samples"]

    def error(self, negative: Any) -> float:
        return (self.sample(negative) - self.latent["samples"]).square().mean().item()


def losses(text: str) -> list[tuple[float, float]]:
    """Start and end of each step, from the node's text."""
    words = [line.split() for line in text.splitlines()]
    return [(float(line[3]), float(line[5])) for line in words]


@pytest.mark.parametrize(("name", "gain"), [("sd15", 10), ("sd2_v", 10), ("sd3", 1.2), ("wan", 4)])
def test_guided_sampling_comes_nearer_to_the_picture(host: dict[str, type], name: str, gain: float):
    """The gains are what random networks allow, whose text moves little."""
    case = Case(host, name)
    negative, text = case.optimize(8, 0.1)
    steps = losses(text)
    assert len(negative) == len(steps) == 3
    assert all(end < start for start, end in steps)
    assert case.error(negative) < case.error(case.blank) / gain
    # The sampler ends where the optimisation did: every step found its own embedding.
    reached = case.model.model.process_latent_in(case.sample(negative))
    left = (reached - case.trajectory.states[-1]).square().mean().item()
    assert left == pytest.approx(steps[-1][1], rel=0.02)


def test_each_noise_level_finds_its_own_entry_alone(host: dict[str, type]):
    import comfy.sampler_helpers
    import comfy.samplers

    for name in ("sd15", "sd3"):
        case = Case(host, name, steps=6)
        negative, _ = case.optimize(1, epsilon=1e9)
        entries = comfy.sampler_helpers.convert_cond(negative)
        comfy.samplers.calculate_start_end_timesteps(case.model.model, entries)
        for step, sigma in enumerate(case.sigmas[:-1]):
            active = [
                i
                for i, entry in enumerate(entries)
                if comfy.samplers.get_area_and_mult(entry, case.noise["samples"], sigma[None]) is not None
            ]
            assert active == [step]


@pytest.mark.parametrize("batched", [True, False])
def test_the_sampler_shows_the_model_each_steps_embedding(
    host: dict[str, type], batched: bool, monkeypatch: pytest.MonkeyPatch
):
    case = Case(host, "sd3")
    negative, _ = case.optimize(2)
    if not batched:
        monkeypatch.setattr(case.model.model, "memory_required", lambda *_, **__: float("inf"))
    shown, chunks = [], set()

    def watch(apply: Any, call: dict[str, Any]) -> Tensor:
        texts = call["c"]["c_crossattn"].chunk(len(call["cond_or_uncond"]))
        shown.extend(t for t, kind in zip(texts, call["cond_or_uncond"], strict=True) if kind == 1)
        chunks.add(len(texts))
        return apply(call["input"], call["timestep"], **call["c"])

    watched = case.model.clone()
    watched.set_model_unet_function_wrapper(watch)
    out = case.sample(negative, watched)
    assert chunks == ({2} if batched else {1})
    assert len(shown) == 3
    for text, (embedding, _) in zip(shown, negative, strict=True):
        assert torch.equal(text, embedding)
    torch.testing.assert_close(out, case.sample(negative), rtol=1e-4, atol=1e-4)


def test_the_advanced_ksampler_takes_it_too(host: dict[str, type]):
    case = Case(host, "sd2_v")
    negative, _ = case.optimize(1)
    (out,) = host["KSamplerAdvanced"]().sample(
        case.model, "disable", 0, 3, CFG, "euler", "normal", case.positive, negative, case.noise, 0, 1000, "disable"
    )
    assert torch.equal(out["samples"], case.sample(negative))


def test_pictures_of_a_batch_get_embeddings_of_their_own(host: dict[str, type]):
    case = Case(host, "sd3", batch=2)
    negative, text = case.optimize(4, 0.1)
    assert negative[0][0].shape[0] == 2 and not torch.equal(negative[0][0][0], negative[0][0][1])
    assert all(end < start for start, end in losses(text))
    assert case.error(negative) < case.error(case.blank)


def test_patches_and_attention_overrides_of_the_model_are_kept(host: dict[str, type]):
    case = Case(host, "sd3")
    _, plain = case.optimize(1)
    calls = []

    def override(backend: Any, *inputs: Any, **options: Any) -> Tensor:
        calls.append(backend.__name__)
        return backend(*inputs, **options)

    patched = case.model.clone()
    key = "diffusion_model.final_layer.linear.weight"
    patched.add_patches({key: ("diff", (torch.full((64, 128), 1e-3),))})
    patched.model_options["transformer_options"]["optimized_attention_override"] = override
    _, other = case.optimize(1, model=patched)
    assert set(calls) == {"attention_pytorch"}
    assert losses(plain)[0][0] != pytest.approx(losses(other)[0][0], rel=1e-3)
    assert patched.model_options["transformer_options"]["optimized_attention_override"] is override


@pytest.mark.parametrize("end", ["success", "error", "interrupt", "no gradient"])
def test_it_leaves_the_model_and_the_host_as_they_were(
    host: dict[str, type], end: str, monkeypatch: pytest.MonkeyPatch
):
    import comfy.model_management
    import latent_preview

    case = Case(host, "flux" if end == "no gradient" else "sd3")
    before, options = case.sample(case.blank), repr(case.model.model_options)
    weights = {key: value.clone() for key, value in case.model.model.state_dict().items()}
    texts = case.positive[0][0].clone(), case.blank[0][0].clone()
    loaded = [entry.model for entry in comfy.model_management.current_loaded_models]

    def fail(*_: Any) -> None:
        raise RuntimeError("in the middle")

    def interrupt(*_: Any) -> None:
        comfy.model_management.interrupt_current_processing(True)

    if end == "success":
        case.optimize(1)
    elif end == "no gradient":
        with pytest.raises(ValueError, match="Flux overwrites values that its gradient needs.*Replay the trajectory"):
            case.optimize(1)
    else:
        monkeypatch.setattr(latent_preview, "prepare_callback", lambda *_: fail if end == "error" else interrupt)
        expected = RuntimeError if end == "error" else comfy.model_management.InterruptProcessingException
        # Whoever shows the error holds its frames, and with them the copy of the model.
        with pytest.raises(expected) as shown:
            case.optimize(1)
        assert shown.traceback
        monkeypatch.undo()

    assert comfy.model_management.in_training is False
    assert torch.is_inference_mode_enabled() and not torch.is_grad_enabled()
    assert [entry.model for entry in comfy.model_management.current_loaded_models] == loaded
    assert all(torch.equal(value, weights[key]) for key, value in case.model.model.state_dict().items())
    assert torch.equal(case.positive[0][0], texts[0]) and torch.equal(case.blank[0][0], texts[1])
    assert repr(case.model.model_options) == options
    assert torch.equal(case.sample(case.blank), before)


def test_what_does_not_fit_is_refused(host: dict[str, type]):
    case = Case(host, "sd3")
    wan = Case(host, "wan")
    with pytest.raises(ValueError, match="trajectory: is of another model: its latents are of videos with 16 channels"):
        case.optimize(trajectory=wan.trajectory)
    with pytest.raises(ValueError, match="negative: holds 3 prompts for a trajectory of 1 picture. Give one"):
        case.optimize(negative=tiny.conditioning("sd3", 2, batch=3))
    with pytest.raises(ValueError, match="got 2 entries"):
        case.optimize(negative=[*case.blank, *case.blank])
    optimized, _ = case.optimize(1)
    with pytest.raises(ValueError, match="got 3 entries limited to a part of it"):
        case.optimize(negative=optimized)
    nameless = case.model.clone()
    nameless.cached_patcher_init = None
    with pytest.raises(ValueError, match="loader cannot read it a second time"):
        case.optimize(model=nameless)
