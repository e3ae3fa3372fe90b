"""Depth Conditioning in the real host: what SD2-depth and a ControlNet are given at every step, and by whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.tiny.autoencoders import load_vae
from tests.host.tiny.families import FAMILIES, load
from tests.host.tiny.guides import load_qwen_control_net, make_control_net
from tests.host.tiny.unets import NARROW
from tools.host.node_inputs import gather

GEOMETRY = {"max_disparity": 25.0, "convergence": 0.0, "exponent": 1.0}
WIDGETS = {**GEOMETRY, "right_depth": "warped", "strength": 1.0, "start_percent": 0.0, "end_percent": 1.0}
HOLES = {**GEOMETRY, "fill": "left", "seed": 0, "shift": "sub_column"}
SHIFT = {**GEOMETRY, "shift_at": 0.5, "fill": "left", "mask_every": 0.0, "shift_both": False, "shift": "truncated"}
HEIGHT, WIDTH = 64, 96


@pytest.fixture(scope="module")
def models(host: dict[str, type]) -> dict[str, Any]:
    """SD2-depth, SD 1.x and a depth ControlNet, by the host's own loaders."""
    import folder_paths

    file = Path(folder_paths.get_folder_paths("controlnet")[0], "depth.safetensors")
    make_control_net(file, NARROW)
    with torch.inference_mode():
        control = host["ControlNetLoader"]().load_controlnet(file.name)[0]
    return {"sd2": load("sd2_depth"), "sd15": load("sd15"), "control": control}


def prompt(seed: int, width: int) -> list[Any]:
    return [[torch.randn(1, 77, width, generator=torch.Generator().manual_seed(seed)), {"pooled_output": None}]]


def block(near: float = 1.0, left: int = 40, frames: int = 1) -> Tensor:
    """Depth of a block in front of a wall that rises slowly to the right."""
    depth = torch.linspace(0, 0.2, WIDTH).expand(frames, HEIGHT, WIDTH).clone()
    depth[:, 16:48, left : left + 32] = near
    return depth.unsqueeze(-1).expand(-1, -1, -1, 3)


def latent(batch: int = 1) -> dict[str, Tensor]:
    return {"samples": torch.zeros(batch, 4, HEIGHT // 8, WIDTH // 8)}


def prepare(host: dict[str, type], depth: Tensor, width: int, latent: dict[str, Any], **inputs: Any) -> Any:
    given = gather("Stereo_DepthConditioning", depth, {**WIDGETS, **inputs})
    return host["Stereo_DepthConditioning"].execute(prompt(1, width), prompt(2, width), latent=latent, **given).args


def shift_latent(host: dict[str, type], latent: dict[str, Any], depth: Tensor) -> Any:
    node = "Stereo_LatentStereoShift"
    return host[node].execute(latent, **gather(node, depth, HOLES)).args


def concat(conditioning: list[Any]) -> Tensor:
    (entry,) = conditioning
    return entry[1]["noise_concat"]


def stereo(host: dict[str, type], model: Any, conditions: Any, batch: int = 1, cfg: float = 3.0) -> Tensor:
    """Four steps of a pair that is made after the second one."""
    import comfy.samplers
    from comfy_extras.nodes_custom_sampler import SamplerCustom

    sampler = host["Stereo_StereoShiftSampler"].execute(**gather("Stereo_StereoShiftSampler", block(), SHIFT)).args[0]
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "normal", 4)
    out = SamplerCustom.execute(model, True, 7, cfg, *conditions, sampler, sigmas, latent(batch))
    return out.args[0]["samples"]


def recording(model: Any, seen: list[Any]) -> Any:
    """A clone that notes, for cond and uncond each, the state and the fifth channel that the network is given."""
    model = model.clone()

    def wrapper(apply: Any, args: dict[str, Any]) -> Tensor:
        chunks = len(args["cond_or_uncond"])
        seen.extend(zip(args["input"].chunk(chunks), args["c"]["c_concat"].chunk(chunks), strict=True))
        return apply(args["input"], args["timestep"], **args["c"])

    model.set_model_unet_function_wrapper(wrapper)
    return model


def test_the_fifth_channel_is_the_map_at_latent_size_from_minus_one_to_one(host: dict[str, type]):
    depth = torch.cat([block(0.9), block(0.5, left=8)]) * 0.8 + 0.1
    for conditioning in prepare(host, depth, 1024, latent(2), right_depth="left"):
        channel, right = concat(conditioning).chunk(2)
        assert channel.shape == (2, 1, HEIGHT // 8, WIDTH // 8) and torch.equal(channel, right)
        torch.testing.assert_close(channel.amax((1, 2, 3)), torch.ones(2))
        torch.testing.assert_close(channel.amin((1, 2, 3)), -torch.ones(2))
        assert (channel[0, 0, 3, 5:9] > 0.9).all(), "near is high"


def test_the_right_map_is_the_left_one_moved_as_the_latent_is(host: dict[str, type]):
    depth = block()
    positive, _ = prepare(host, depth, 1024, latent(2))
    left, right = concat(positive).chunk(2)
    shifted, _ = shift_latent(host, {"samples": left[:1]}, depth)
    assert torch.equal(left[0], left[1]) and torch.equal(right[0], right[1])
    # The block of 4 latent columns at 5 to 8 moves by 3, a quarter of 12; it keeps its depth.
    near = right[0, 0, 3] > 0.8
    assert near.nonzero().flatten().tolist() == [2, 3, 4, 5]
    assert (left[0, 0, 3] > 0.8).nonzero().flatten().tolist() == [5, 6, 7, 8]
    moved = shifted["samples"][1, 0, 3] > 0.8
    assert torch.equal(near[2:5], moved[2:5])


def test_flat_depth_is_finite(host: dict[str, type]):
    positive, _ = prepare(host, torch.full((1, HEIGHT, WIDTH, 3), 0.4), 1024, latent())
    assert concat(positive).isfinite().all()


def test_what_the_prompts_held_is_kept_and_they_are_not_changed(host: dict[str, type]):
    positive = [[torch.zeros(1, 77, 1024), {"pooled_output": None, "mask": "kept"}]]
    given = gather("Stereo_DepthConditioning", block(), WIDGETS)
    out = host["Stereo_DepthConditioning"].execute(positive, prompt(2, 1024), latent=latent(), **given).args
    assert out[0][0][1]["mask"] == "kept" and out[0][0][0] is positive[0][0]
    assert positive[0][1].keys() == {"pooled_output", "mask"}


def test_an_ordinary_sampler_runs_sd2_depth_and_the_depth_matters(host: dict[str, type], models: dict[str, Any]):
    results = []
    for depth in (block(), block(left=8)):
        conditions = prepare(host, depth, 1024, latent())
        (out,) = host["KSampler"]().sample(models["sd2"], 3, 2, 3.0, "euler", "normal", *conditions, latent())
        results.append(out["samples"])
    assert all(result.isfinite().all() for result in results) and not torch.equal(*results)


@pytest.mark.parametrize("apart", [False, True], ids=["one pass", "two passes"])
@pytest.mark.parametrize("batch", [1, 2])
def test_sd2_depth_sees_each_eyes_own_depth(
    host: dict[str, type], models: dict[str, Any], batch: int, apart: bool, monkeypatch: pytest.MonkeyPatch
):
    import comfy.model_base

    if apart:  # the host splits what it thinks does not fit
        monkeypatch.setattr(comfy.model_base.BaseModel, "memory_required", lambda _, x, **__: 1e18 * (x[0] > 2 * batch))
    depth = torch.cat([block(), block(left=16)])[:batch]
    conditions = prepare(host, depth, 1024, latent(batch))
    left, right = concat(conditions[0]).chunk(2)
    assert not torch.equal(left, right)
    seen: list[Any] = []
    samples = stereo(host, recording(models["sd2"], seen), conditions, batch)
    assert samples.shape[0] == 2 * batch and samples.isfinite().all()
    assert [len(x) for x, _ in seen] == 8 * [batch] + 4 * [2 * batch]
    for x, channel in seen:
        torch.testing.assert_close(channel, left if len(x) == batch else torch.cat([left, right]))


def test_left_gives_both_eyes_the_left_map(host: dict[str, type], models: dict[str, Any]):
    depth = torch.cat([block(), block(left=16)])
    conditions = prepare(host, depth, 1024, latent(2), right_depth="left")
    left = concat(conditions[0])[:2]
    seen: list[Any] = []
    stereo(host, recording(models["sd2"], seen), conditions, 2)
    assert {len(x) for x, _ in seen} == {2, 4}
    for x, channel in seen:
        torch.testing.assert_close(channel, left if len(x) == 2 else torch.cat([left, left]))
    with_hint = prepare(host, depth, 768, latent(2), right_depth="left", control_net=models["control"])
    with Hints(models["control"]) as hints:
        stereo(host, models["sd15"], with_hint, 2, 1.0)
    assert [len(hint) for hint in hints.seen] == [2, 2, 2, 2, 4, 4]
    assert all(torch.equal(hint, depth.movedim(-1, 1).repeat(len(hint) // 2, 1, 1, 1)) for hint in hints.seen)


def test_a_latent_that_holds_both_views_gets_a_map_for_each(host: dict[str, type], models: dict[str, Any]):
    pair, _ = shift_latent(host, latent(2), block())
    conditions = prepare(host, block(), 1024, pair)
    left, right = concat(conditions[0]).chunk(2)
    assert len(left) == 2 and not torch.equal(left, right)
    seen: list[Any] = []
    host["KSampler"]().sample(recording(models["sd2"], seen), 3, 2, 3.0, "euler", "normal", *conditions, pair)
    assert all(torch.equal(channel, torch.cat([left, right])) for _, channel in seen)


class Hints:
    """Notes the hints that a ControlNet's network gets, one for each entry of its batch."""

    def __init__(self, control: Any) -> None:
        self.seen: list[Tensor] = []
        self.handle = control.control_model.register_forward_pre_hook(self.note, with_kwargs=True)

    def note(self, _network: Any, _args: Any, kwargs: dict[str, Any]) -> None:
        hint = kwargs["hint"]
        self.seen.append(hint.expand(len(kwargs["x"]), *hint.shape[1:]))

    def __enter__(self) -> Hints:
        return self

    def __exit__(self, *_: Any) -> None:
        self.handle.remove()


@pytest.mark.parametrize("cfg", [1.0, 3.0])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_control_net_sees_each_eyes_own_depth(host: dict[str, type], models: dict[str, Any], batch: int, cfg: float):
    depth = torch.cat([block(), block(left=16)])[:batch]
    conditions = prepare(host, depth, 768, latent(batch), control_net=models["control"])
    left, right = conditions[0][0][1]["control"].hint.chunk(2)
    torch.testing.assert_close(left.movedim(1, -1), depth)
    assert not torch.equal(left, right)
    with Hints(models["control"]) as hints:
        samples = stereo(host, models["sd15"], conditions, batch, cfg)
    assert samples.isfinite().all()
    chunks = 1 if cfg == 1 else 2
    expected = [torch.cat(chunks * [left])] * 4 + [torch.cat(chunks * [left, right])] * 2
    for seen, wanted in zip(hints.seen, expected, strict=True):
        torch.testing.assert_close(seen, wanted)


def test_a_control_net_acts_and_its_strength_counts(host: dict[str, type], models: dict[str, Any]):
    def run(**inputs: Any) -> Tensor:
        conditions = prepare(host, block(), 768, latent(), **inputs)
        return stereo(host, models["sd15"], conditions)

    plain = stereo(host, models["sd15"], (prompt(1, 768), prompt(2, 768)))
    control = models["control"]
    assert torch.equal(run(control_net=control, strength=0.0), plain)
    full, half, early = (
        run(control_net=control, **widgets) for widgets in ({}, {"strength": 0.5}, {"end_percent": 0.3})
    )
    assert not torch.equal(full, plain) and not torch.equal(half, full) and not torch.equal(early, full)


@pytest.mark.parametrize("right_depth", ["warped", "left"])
def test_control_nets_chain_and_prompts_share_them(host: dict[str, type], models: dict[str, Any], right_depth: str):
    first = prepare(host, block(), 768, latent(), control_net=models["control"], right_depth=right_depth)
    given = gather("Stereo_DepthConditioning", block(left=8), {**WIDGETS, "right_depth": right_depth})
    node = host["Stereo_DepthConditioning"]
    positive, negative = node.execute(*first, latent=latent(), **given, control_net=models["control"]).args
    control = positive[0][1]["control"]
    assert control is negative[0][1]["control"]
    assert len(control.get_models()) == 2 and models["control"].cond_hint_original is None
    alone = stereo(host, models["sd15"], first)
    assert not torch.equal(stereo(host, models["sd15"], (positive, negative)), alone)
    torch.testing.assert_close(stereo(host, models["sd15"], first), alone, atol=0, rtol=0)


def test_a_hint_is_the_same_in_every_run(host: dict[str, type], models: dict[str, Any]):
    """The left view alone by an ordinary sampler, then a pair, then again: what one run left must not show."""
    conditions = prepare(host, block(), 768, latent(), control_net=models["control"])
    plain, pair, again = (
        run()
        for run in (
            lambda: host["KSampler"]().sample(models["sd15"], 3, 2, 3.0, "euler", "normal", *conditions, latent())[0],
            lambda: stereo(host, models["sd15"], conditions),
            lambda: host["KSampler"]().sample(models["sd15"], 3, 2, 3.0, "euler", "normal", *conditions, latent())[0],
        )
    )
    assert torch.equal(plain["samples"], again["samples"]) and len(pair) == 2
    left = prepare(host, block(), 768, latent(), control_net=models["control"], right_depth="left")
    (expected,) = host["KSampler"]().sample(models["sd15"], 3, 2, 3.0, "euler", "normal", *left, latent())
    assert torch.equal(plain["samples"], expected["samples"])


def test_it_agrees_with_the_hosts_own_node(host: dict[str, type], models: dict[str, Any]):
    ours = prepare(host, block(), 768, latent(), control_net=models["control"], strength=0.7)
    theirs = host["ControlNetApplyAdvanced"]().apply_controlnet(
        prompt(1, 768), prompt(2, 768), models["control"], block(), 0.7, 0.0, 1.0
    )
    torch.testing.assert_close(
        stereo(host, models["sd15"], ours), stereo(host, models["sd15"], theirs), atol=1e-2, rtol=0
    )


REFUSED = {
    "video latent": ({"latent": {"samples": torch.zeros(1, 16, 3, 8, 12)}}, "latent: is a latent of a video"),
    "depth of another shape": ({"depth": torch.zeros(1, 64, 64, 3)}, "depth is 64x64, of another shape"),
    "depth of another count": ({"depth": block(frames=3)}, "depth holds 3 maps for 2 pictures"),
    "NaN in depth": ({"depth": block() * float("nan")}, "depth: holds NaN"),
    "metric depth": ({"depth": block() * 10}, "depth: values must lie between 0"),
    "unknown choice": ({"right_depth": "both"}, "'both' is not a valid RightDepth"),
    "start after end": (
        {"start_percent": 0.6, "end_percent": 0.4, "control_net": object()},
        "start_percent is 0.6 and end_percent 0.4",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_one_clear_error(host: dict[str, type], case: str):
    changes, said = REFUSED[case]
    flat = {"depth": block(), "latent": latent(2), **WIDGETS, **changes}
    with pytest.raises(ValueError, match=said):
        given = gather("Stereo_DepthConditioning", flat.pop("depth"), flat)
        host["Stereo_DepthConditioning"].execute(prompt(1, 768), prompt(2, 768), **given)


@pytest.mark.parametrize("batch", [1, 2])
def test_qwen_sees_each_eyes_own_depth(host: dict[str, type], batch: int):
    """Its latents have a time axis of one frame, and its VAE is that of a video model."""
    import comfy.samplers
    from comfy_extras.nodes_custom_sampler import SamplerCustom

    depth = torch.cat([block(), block(left=16)])[:batch]
    model, control, vae = load("qwen_image"), load_qwen_control_net(), load_vae("video")
    empty = {"samples": torch.zeros(batch, 16, 1, HEIGHT // 8, WIDTH // 8)}
    prompts = (FAMILIES["qwen_image"].conditioning(seed) for seed in (1, 2))
    node = host["Stereo_DepthConditioning"]
    given = gather("Stereo_DepthConditioning", depth, WIDGETS)
    conditions = node.execute(*prompts, latent=empty, **given, control_net=control, vae=vae).args
    hint = conditions[0][0][1]["control"].hint
    scale = comfy.latent_formats.Wan21().process_in
    views = [torch.cat([scale(vae.encode(one[None].movedim(1, -1))) for one in view]) for view in hint.chunk(2)]
    sampler = host["Stereo_StereoShiftSampler"].execute(**gather("Stereo_StereoShiftSampler", depth, SHIFT)).args[0]
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "normal", 4)
    with Hints(control) as hints:
        pair = SamplerCustom.execute(model, True, 7, 1.0, *conditions, sampler, sigmas, empty).args[0]["samples"]
    assert pair.shape == (2 * batch, *empty["samples"].shape[1:]) and pair.isfinite().all()
    for seen, wanted in zip(hints.seen, [views[0]] * 4 + [torch.cat(views)] * 2, strict=True):
        torch.testing.assert_close(seen.float(), wanted, rtol=0, atol=0.02)


def test_other_models_need_a_control_net(host: dict[str, type]):
    with pytest.raises(ValueError, match="control_net: the latent is not of SD2-depth"):
        prepare(host, block(), 64, {"samples": torch.zeros(1, 16, 1, HEIGHT // 8, WIDTH // 8)})


def test_a_map_for_a_latent_of_another_size_is_refused(host: dict[str, type], models: dict[str, Any]):
    positive, negative = prepare(host, block(), 1024, latent())
    other = {"samples": torch.zeros(1, 4, HEIGHT // 8 + 2, WIDTH // 8)}
    run = {"seed": 1, "steps": 2, "cfg": 2.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    with pytest.raises(ValueError, match="positive: Depth Conditioning was given the latent of another size"):
        host["Stereo_StereoKSampler"].execute(
            models["sd2"], positive, negative, other, block(), attention="none", **run
        )
