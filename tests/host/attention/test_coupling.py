"""Cross-view attention among other patches, in a part of the schedule, on bad input, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.host.attention.runs import Run
from tests.host.tiny.families import FAMILIES
from tests.host.tiny.sampling import depth_step
from tests.host.tiny.unets import NARROW
from tools.host.node_inputs import gather

SD15, FLUX, WAN, SVD = (FAMILIES[name] for name in ("sd15_two_levels", "flux", "wan", "svd"))
LAYER = "input_blocks.1.1.transformer_blocks.0.attn1.to_v"


def with_override(model: Any, override: Callable[..., Tensor]) -> Any:
    clone = model.clone()
    clone.model_options["transformer_options"]["optimized_attention_override"] = override
    return clone


def assert_left_kept_right_moved(ours: Tensor, plain: Tensor) -> None:
    (left, right), (plain_left, plain_right) = ours.chunk(2), plain.chunk(2)
    assert torch.equal(left, plain_left)
    assert not torch.allclose(right, plain_right, rtol=0, atol=1e-3 * plain.abs().max().item())


# --- the schedule -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sd15_two_levels", "flux", "wan"])
@pytest.mark.parametrize("bounds", [(0, 0), (0.5, 0.5), (1, 1)])
def test_outside_its_range_it_is_the_plain_model(loaded, couple, name: str, bounds: tuple[float, float]):
    run, model = Run(FAMILIES[name]), loaded(name)
    assert torch.equal(run(couple(model, "joint", *bounds)), run(model))


@pytest.mark.parametrize("name", ["sd15_two_levels", "flux"])
def test_told_that_no_pair_runs_it_is_the_plain_model(loaded, couple, name: str):
    run, model = Run(FAMILIES[name], switch=(False, False)), loaded(name)
    assert torch.equal(run(couple(model, "joint")), run(model))


@pytest.mark.parametrize("name", ["sd15_two_levels", "flux"])
@pytest.mark.parametrize(
    ("bounds", "steps"), [((0.5, 1), (False, False, True, True)), ((0.25, 0.75), (False, True, True, False))]
)
def test_the_range_counts_steps(loaded, couple, name: str, bounds: tuple[float, float], steps: tuple[bool, ...]):
    model = loaded(name)
    ranged = Run(FAMILIES[name], steps=4)(couple(model, "joint", *bounds))
    switched = Run(FAMILIES[name], steps=4, switch=steps)(couple(model, "joint"))
    assert torch.equal(ranged, switched)
    assert not torch.equal(ranged, Run(FAMILIES[name], steps=4)(couple(model, "joint")))


def test_two_in_a_row_share_the_schedule(loaded, couple):
    run, model = Run(FLUX, steps=4), loaded("flux")
    both = run(couple(couple(model, "left_kv", 0, 0.5), "left_query", 0.5, 1))
    assert_left_kept_right_moved(both, run(model))
    assert not torch.equal(both, run(couple(model, "left_kv", 0, 0.5)))
    assert not torch.equal(both, run(couple(model, "left_query", 0.5, 1)))


# --- other patches ----------------------------------------------------------------------------------------------


def test_lora_before_or_after(loaded, couple):
    import comfy.sd

    stream = torch.Generator().manual_seed(5)
    prefix = f"lora_unet_{LAYER.replace('.', '_')}"
    lora = {
        f"{prefix}.lora_up.weight": torch.randn(NARROW, 4, generator=stream),
        f"{prefix}.lora_down.weight": torch.randn(4, NARROW, generator=stream),
    }

    def adapted(model: Any) -> Any:
        return comfy.sd.load_lora_for_models(model, None, lora, 0.1, 0)[0]

    run, model = Run(SD15), loaded("sd15_two_levels")
    ours = run(couple(adapted(model), "left_kv"))
    assert torch.equal(ours, run(adapted(couple(model, "left_kv"))))
    assert_left_kept_right_moved(ours, run(adapted(model)))
    assert not torch.allclose(ours, run(couple(model, "left_kv")), atol=1e-3)


@pytest.mark.parametrize("ours_first", [True, False])
def test_another_attention_patch_of_a_unet_stays(loaded, couple, ours_first: bool):
    def shorten(model: Any) -> Any:
        clone = model.clone()
        clone.set_model_attn1_patch(lambda n, context, value, _: (n, context[:, ::2], value[:, ::2] * 0.5))
        return clone

    run, model = Run(SD15), loaded("sd15_two_levels")
    ours = run(couple(shorten(model), "left_kv") if not ours_first else shorten(couple(model, "left_kv")))
    assert_left_kept_right_moved(ours, run(shorten(model)))


@pytest.mark.parametrize("mode", ["left_kv", "joint", "right_joint", "left_query"])
def test_a_replaced_attention_of_a_unet_is_coupled_too(loaded, couple, mode: str):
    def replace_middle(model: Any) -> Any:
        def attention(q: Tensor, k: Tensor, v: Tensor, extra: dict[str, Any]) -> Tensor:
            q, k, v = (t.unflatten(-1, (extra["n_heads"], -1)).transpose(1, 2) for t in (q, k, v))
            return nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)

        clone = model.clone()
        clone.set_model_attn1_replace(attention, "middle", 0)
        return clone

    run, model = Run(SD15), loaded("sd15_two_levels")
    ours = run(couple(model, mode))
    torch.testing.assert_close(run(couple(replace_middle(model), mode)), ours, rtol=0, atol=1e-3)
    torch.testing.assert_close(run(replace_middle(couple(model, mode))), ours, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["sd15_two_levels", "flux", "wan"])
def test_the_users_attention_is_what_runs(loaded, couple, name: str):
    calls: list[int] = []

    def halved(func: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        calls.append(len(q))
        return func(q * 0.5, k, v, *args, **kwargs)

    run, model = Run(FAMILIES[name]), loaded(name)
    plain = run(with_override(model, halved))
    plain_calls = len(calls)
    assert_left_kept_right_moved(run(couple(with_override(model, halved), "left_kv")), plain)
    assert_left_kept_right_moved(run(with_override(couple(model, "left_kv"), halved)), plain)
    assert len(calls) == 3 * plain_calls > 0


@pytest.mark.parametrize("ours_first", [True, False])
@pytest.mark.parametrize(("name", "key"), [("flux", ("single_block", 0)), ("wan", ("double_block", 1))])
def test_a_replaced_block_of_a_transformer_stays(loaded, couple, name: str, key: tuple[str, int], ours_first: bool):
    def dimmed(model: Any) -> Any:
        def block(args: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
            out = extra["original_block"](args)
            return {**out, "img": out["img"] * 0.5}

        clone = model.clone()
        clone.set_model_patch_replace(block, "dit", *key)
        return clone

    run, model = Run(FAMILIES[name]), loaded(name)
    ours = run(couple(dimmed(model), "left_kv") if not ours_first else dimmed(couple(model, "left_kv")))
    assert_left_kept_right_moved(ours, run(dimmed(model)))


def test_a_control_net_stays(loaded, couple):
    import comfy.controlnet

    class Constant(comfy.controlnet.ControlBase):
        def get_control(self, x_noisy: Tensor, *_: Any) -> dict[str, list[Tensor]]:
            return {"middle": [torch.full((len(x_noisy), NARROW, 4, 8), 0.5)]}

    class Controlled(type(SD15)):
        def conditioning(self, seed: int) -> list[list[Any]]:
            return [[text, {**extras, "control": Constant()}] for text, extras in super().conditioning(seed)]

    run = Run(Controlled(**vars(SD15)))
    ours, plain = run(couple(loaded("sd15_two_levels"), "left_kv")), run(loaded("sd15_two_levels"))
    assert_left_kept_right_moved(ours, plain)
    assert not torch.allclose(plain, Run(SD15)(loaded("sd15_two_levels")), atol=1e-3)


def test_hypertile_is_refused(loaded, couple):
    from comfy_extras.nodes_hypertile import HyperTile

    tiled = HyperTile.execute(loaded("sd15_two_levels"), 32, 2, 0, False)[0]
    with pytest.raises(ValueError, match="another patch has cut the tokens into .*HyperTile"):
        Run(replace(SD15, latent=(4, 16, 16)))(couple(tiled, "left_kv"))


def test_token_merging_goes_with_all_but_left_query(loaded, couple):
    from comfy_extras.nodes_tomesd import TomePatchModel

    merged = TomePatchModel.execute(loaded("sd15_two_levels"), 0.5).result[0]
    assert Run(SD15)(couple(merged, "left_kv")).isfinite().all()
    with pytest.raises(ValueError, match="mode: left_query .* merged 128 of them into"):
        Run(SD15)(couple(merged, "left_query"))


# --- references -------------------------------------------------------------------------------------------------


def test_reference_pictures_stay_with_their_entry(loaded, couple):
    seen: set[int] = set()

    def note(func: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        seen.add(k.shape[2])
        return func(q, k, v, *args, **kwargs)

    reference = [torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(6))]
    run = Run(replace(FLUX, extras={**FLUX.extras, "reference_latents": reference}))
    run(with_override(couple(loaded("flux"), "joint"), note))
    assert seen == {2 * (7 + 24 + 16)}  # text, own picture, reference, and again with the other picture


# --- bad input --------------------------------------------------------------------------------------------------


def plain_sampling(model: Any, tiny: Any, entries: int, pairs: bool = False, noise: float = 1.0) -> Tensor:
    """The host's own sampler on a batch of different latents, whose halves start from the same noise if ``pairs``."""
    import comfy.sample

    stream = torch.Generator().manual_seed(3)
    drawn = noise * torch.randn(entries, *tiny.latent, generator=stream)
    if pairs:
        drawn = drawn[: entries // 2].repeat(2, *[1] * len(tiny.latent))
    latent = torch.randn(drawn.shape, generator=stream)
    texts = (tiny.conditioning(1), tiny.conditioning(2))
    return comfy.sample.sample(model, drawn, 2, 3.0, "euler", "simple", *texts, latent, 0.6, disable_pbar=True, seed=0)


def test_a_batch_of_pairs_needs_no_sampler_of_ours(loaded, couple):
    model = loaded("sd15_two_levels")
    plain = plain_sampling(model, SD15, 4, pairs=True)
    assert_left_kept_right_moved(plain_sampling(couple(model, "left_kv"), SD15, 4, pairs=True), plain)


@pytest.mark.parametrize("name", ["sd15_two_levels", "flux", "wan"])
def test_two_pictures_are_not_taken_for_a_pair(loaded, couple, name: str):
    with pytest.raises(ValueError, match=r"two halves of this batch of 2 start from different noise.* Latent Stereo"):
        plain_sampling(couple(loaded(name), "left_kv"), FAMILIES[name], 2)


def test_a_pair_that_another_run_has_noised_goes_on(loaded, couple):
    model = loaded("sd15_two_levels")
    plain = plain_sampling(model, SD15, 2, noise=0.0)
    assert_left_kept_right_moved(plain_sampling(couple(model, "left_kv"), SD15, 2, noise=0.0), plain)


def test_the_latent_of_latent_stereo_shift_is_a_pair(host: dict[str, type], loaded, couple):
    import nodes

    shift = host["Stereo_LatentStereoShift"].execute
    latent = {"samples": torch.randn(2, 4, 8, 16, generator=torch.Generator().manual_seed(3)), "batch_index": [4, 7]}
    widgets = {"max_disparity": 30.0, "convergence": 0.0, "fill": "background", "seed": 0, "shift": "sub_column"}
    stereo = shift(latent, **gather("Stereo_LatentStereoShift", depth_step(1, 64, 128), widgets)).args[0]

    def sample(model: Any) -> Tensor:
        texts = (SD15.conditioning(1), SD15.conditioning(2))
        return nodes.KSampler().sample(model, 5, 2, 3.0, "euler", "simple", *texts, stereo, 0.6)[0]["samples"]

    model = loaded("sd15_two_levels")
    ours, plain = sample(couple(model, "left_kv")), sample(model)
    assert torch.equal(ours[:2], plain[:2])
    assert not torch.equal(ours[2:], plain[2:])  # the holes alone, and what they do to the rest


@pytest.mark.parametrize("name", ["sd15_two_levels", "flux", "wan"])
def test_an_odd_batch_is_refused(loaded, couple, name: str):
    with pytest.raises(ValueError, match=r"a batch of 3 cannot be split into left and right views\. Connect"):
        plain_sampling(couple(loaded(name), "left_kv"), FAMILIES[name], 3)


def test_one_clip_is_not_taken_for_a_pair(loaded, couple):
    with pytest.raises(ValueError, match="batch of 4 latents .* right clip of 4 frames each.* Stereo Shift Sampler"):
        plain_sampling(couple(loaded("svd"), "left_kv"), SVD, 4)


def test_context_windows_over_the_batch_are_refused(loaded, couple):
    model = couple(loaded("sd15_two_levels"), "left_kv")
    model.model_options["transformer_options"]["context_window"] = SimpleNamespace(dim=0)
    with pytest.raises(ValueError, match="context windows cut through the batch"):
        plain_sampling(model, SD15, 2)


def test_an_unknown_family_is_named(loaded, couple):
    from comfy.ldm.pixart.pixartms import PixArtMS

    model = loaded("sd15_two_levels").clone()
    model.add_object_patch("diffusion_model", PixArtMS.__new__(PixArtMS))
    with pytest.raises(ValueError, match=r"model: SD15 \(PixArtMS\) is a family .* It supports SD 1.x"):
        couple(model, "left_kv")


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("sd15_two_levels", {"start": 0.8, "end": 0.2}, "start_percent 0.8 lies after end_percent 0.2"),
        ("sd15_two_levels", {"blocks": "output.9"}, r"'output.9' is no block .* input.1, input.3, middle.0, output"),
        ("flux", {"blocks": "single.2"}, r"'single.2' is no block .* double.0-1, single.0-1"),
        ("wan", {"blocks": "middle"}, r"'middle' is no block .* block.0-1"),
        ("flux", {"temporal": True}, "temporal: Flux[A-Za-z]* has no separate attention over time"),
    ],
)
def test_bad_settings_are_refused(loaded, couple, name: str, settings: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        couple(loaded(name), "left_kv", **settings)


def test_joint_attention_counts_in_the_memory_estimate(loaded, couple, monkeypatch: pytest.MonkeyPatch):
    import comfy.model_base

    areas: list[int] = []

    def estimate(_: Any, shape: list[int], **__: Any) -> float:
        areas.append(shape[-1])
        return 0

    monkeypatch.setattr(comfy.model_base.BaseModel, "memory_required", estimate)
    for mode, widest in {"left_kv": 12, "left_query": 12, "joint": 14, "right_joint": 14}.items():
        areas.clear()
        Run(FLUX)(couple(loaded("flux"), mode))
        assert max(areas) == widest, mode


# --- what it leaves behind --------------------------------------------------------------------------------------


def traces(model: Any) -> dict[str, Any]:
    """Everything that patching could have changed: attributes of the network, and the patcher's own settings."""
    modules = {
        (name, attribute): id(value)
        for name, module in model.model.named_modules()
        for attribute, value in vars(module).items()
        if not isinstance(value, dict | list | bool | int | float | torch.device | torch.dtype) and value is not None
    }
    return {
        "modules": {key: value for key, value in modules.items() if not key[1].startswith("current_")},
        "weights": {
            name: (weight.data_ptr(), weight.sum().item()) for name, weight in model.model.state_dict().items()
        },
        "options": repr(model.model_options),
        "wrappers": repr(model.wrappers),
        "patches": repr(model.object_patches),
    }


@pytest.mark.parametrize("name", ["sd15_two_levels", "flux", "wan"])
@pytest.mark.parametrize("mode", ["joint", "left_kv"])
def test_the_model_is_untouched_after_success_error_and_interrupt(loaded, couple, name: str, mode: str):
    from comfy.model_management import InterruptProcessingException

    def interrupt(*_: Any) -> None:
        raise InterruptProcessingException

    calls: list[int] = []

    def fail(func: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        calls.append(0)
        if len(calls) == 3:
            raise RuntimeError("in the middle")
        return func(*args, **kwargs)

    run, model = Run(FAMILIES[name]), loaded(name)
    plain, before = run(model), traces(model)
    patched = couple(model, mode)
    ours = run(patched)
    with pytest.raises(RuntimeError, match="in the middle"):
        run(with_override(patched, fail))
    with pytest.raises(InterruptProcessingException):
        run(patched, callback=interrupt)
    assert traces(model) == before
    assert torch.equal(run(model), plain)
    assert torch.equal(run(patched), ours)
