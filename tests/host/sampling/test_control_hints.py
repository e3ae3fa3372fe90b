"""ControlNet hints of the host's own nodes: each eye's own, whatever is chained, and nothing left behind."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.tiny import equivariant as tiny
from tests.host.tiny import sampling
from tests.host.tiny import stereo_video as video
from tests.host.tiny.guides import make_control_net
from tests.host.tiny.unets import NARROW

HEIGHT, WIDTH, PIXELS = 4, 8, 16
FLAT = {"max_disparity": 25.0, "convergence": 0.0, "exponent": 1.0}


@pytest.fixture(scope="module")
def control_net(host: dict[str, type]) -> Any:
    import folder_paths

    file = Path(folder_paths.get_folder_paths("controlnet")[0], "hints.safetensors")
    make_control_net(file, NARROW)
    with torch.inference_mode():
        return host["ControlNetLoader"]().load_controlnet(file.name)[0]


@pytest.fixture
def seen(control_net: Any) -> Any:
    """The hint of each entry that the ControlNet's network was given, by call."""
    hints: list[Tensor] = []

    def note(_network: Any, _args: Any, kwargs: dict[str, Any]) -> None:
        hint = kwargs["hint"]
        hints.append(hint.expand(len(kwargs["x"]), *hint.shape[1:]).clone())

    handle = control_net.control_model.register_forward_pre_hook(note, with_kwargs=True)
    yield hints
    handle.remove()


def picture(seed: int = 1, count: int = 1, height: int = 8 * HEIGHT, width: int = 8 * WIDTH) -> Tensor:
    return torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(seed))


def applied(control_net: Any, hint: Tensor, *prompts: Any, **widgets: Any) -> Any:
    """ControlNetApplyAdvanced."""
    import nodes

    chosen = {"strength": 1.0, "start_percent": 0.0, "end_percent": 1.0, **widgets}
    prompts = prompts or (tiny.prompt(0.4), tiny.prompt(0.0))
    return nodes.ControlNetApplyAdvanced().apply_controlnet(*prompts, control_net, hint, **chosen)


def guide(sampler: Any, prompts: Any, batch: int = 1, cfg: float = 2.0, callback: Any = None) -> Tensor:
    import comfy.sample
    import comfy.samplers

    guider = comfy.samplers.CFGGuider(sampling.load("sd15"))
    guider.set_conds(*prompts)
    guider.set_cfg(cfg)
    latent = torch.zeros(batch, 4, HEIGHT, WIDTH)
    noise = comfy.sample.prepare_noise(latent, 5)
    sigmas = sampling.schedule("sd15", 3)
    return guider.sample(noise, latent, sampler, sigmas, callback=callback, disable_pbar=True, seed=5)


def stereo(depth: Tensor | None = None, **widgets: Any) -> Any:
    depth = tiny.near(HEIGHT, WIDTH) if depth is None else depth
    settings = {**FLAT, "shift_at": 0.4, "mask_every": 0.0, "shift": "sub_column", **widgets}
    return sampling.stereo("euler", depth, **settings)


def hint_of(image: Tensor) -> Tensor:
    return image.movedim(-1, 1)


@pytest.mark.parametrize("cfg", [1.0, 2.0])
def test_the_right_eye_is_guided_by_the_hint_from_its_own_place(control_net: Any, seen: list[Tensor], cfg: float):
    hint = picture()
    pair = guide(stereo(), applied(control_net, hint), cfg=cfg)
    assert len(pair) == 2 and pair.isfinite().all()
    chunks = 1 if cfg == 1 else 2
    assert [len(one) for one in seen] == [chunks] * 3 + [2 * chunks] * 2
    for hints in seen[:3]:  # all steps of the left view, then those of the pair
        assert torch.equal(hints, hint_of(hint).expand_as(hints)), "the left view's own run has the host's own"
    for hints in seen[3:]:
        for left, right in hints.unflatten(0, (chunks, 2)):
            assert torch.equal(left, hint_of(hint)[0])
            torch.testing.assert_close(right[..., :-PIXELS], tiny.moved(left, PIXELS))


def test_the_right_view_alone_gets_its_own_hint(control_net: Any, seen: list[Tensor]):
    prompts = applied(control_net, picture())
    recorder = sampling.recorder("euler")
    left = guide(recorder, prompts)
    seen.clear()
    settings = {**FLAT, "iterations": 1, "restart_until": 0.0, "shift": "sub_column"}
    pair = guide(video.restart(recorder.trajectory, "euler", tiny.near(HEIGHT, WIDTH), **settings), prompts)
    assert torch.equal(pair[:1], left)
    assert {len(hints) for hints in seen} == {2}, "cond and uncond of one view"
    for hints in seen:
        torch.testing.assert_close(hints[..., :-PIXELS], tiny.moved(hint_of(picture()), PIXELS).expand(2, -1, -1, -1))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_picture_has_its_own_hint_and_depth(control_net: Any, seen: list[Tensor], count: int):
    """One hint for both, one for each, and one too many, which the host leaves out."""
    depth = torch.cat([tiny.near(HEIGHT, WIDTH), torch.zeros(1, 8 * HEIGHT, 8 * WIDTH, 3)])
    hint = picture(count=count)
    guide(stereo(depth), applied(control_net, hint), batch=2)
    one, two = hint_of(hint)[0], hint_of(hint)[min(count, 2) - 1]
    for hints in seen[3:]:
        for left, other, right, behind in hints.unflatten(0, (2, 4)):
            assert torch.equal(left, one) and torch.equal(other, two) and torch.equal(behind, two)
            torch.testing.assert_close(right[..., :-PIXELS], tiny.moved(one, PIXELS))


def test_a_hint_of_another_shape_is_cut_as_the_host_cuts_it(control_net: Any, seen: list[Tensor]):
    hint = picture(height=48, width=64)
    guide(stereo(), applied(control_net, hint))
    plain = seen[0][0]
    for hints in seen[3:]:
        left, right = hints[:2]
        assert torch.equal(left, plain)
        torch.testing.assert_close(right[..., :-PIXELS], tiny.moved(left, PIXELS))


def test_a_hint_at_twice_the_size_is_moved_at_its_own(control_net: Any, seen: list[Tensor]):
    hint = picture(height=16 * HEIGHT, width=16 * WIDTH)
    guide(stereo(max_disparity=100 / 128), applied(control_net, hint))  # a pixel of the hint, half of one here
    left, right = seen[-1][:2]
    assert torch.equal(left, hint_of(hint)[0, :, 1::2, 1::2]), "the host takes every second pixel"
    assert not torch.equal(right, left)
    beside = hint_of(hint)[0, :, 1::2, 2::2]
    torch.testing.assert_close(right[..., : beside.shape[-1] - 1], beside[..., :-1])


def test_chains_strengths_and_ranges_stay(control_net: Any, seen: list[Tensor]):
    """Two ControlNets, the second in the last part of the schedule: all four hints are right."""
    first, second = picture(1), picture(2)
    prompts = applied(control_net, second, *applied(control_net, first, strength=0.5), start_percent=0.5)
    pair = guide(stereo(), prompts)
    assert not torch.equal(pair, guide(stereo(), applied(control_net, first, strength=0.5)))
    both = [hints[:2] for hints in seen[: len(seen) - 3] if len(hints) == 4]
    assert len(both) > 2
    for left, right in both:
        assert any(torch.equal(left, hint_of(hint)[0]) for hint in (first, second))
        torch.testing.assert_close(right[..., :-PIXELS], tiny.moved(left, PIXELS))


def test_without_disparity_the_hint_is_the_hosts(control_net: Any, seen: list[Tensor]):
    pair = guide(stereo(max_disparity=0.0), applied(control_net, picture()))
    assert all(torch.equal(hint, hint_of(picture())[0]) for hints in seen for hint in hints)
    left, right = pair.chunk(2)
    assert sampling.error(right, left) < 1e-5


def test_shifted_both_ways_both_hints_move(control_net: Any, seen: list[Tensor]):
    guide(stereo(shift="truncated", shift_both=True), applied(control_net, picture()))
    left, right = seen[-1][:2]
    hint = hint_of(picture())[0]
    torch.testing.assert_close(left[..., 8:], hint[..., :-8])
    torch.testing.assert_close(right[..., :-8], hint[..., 8:])


def test_a_rectangle_keeps_its_hint_inside_it(control_net: Any, seen: list[Tensor]):
    """The host fits a hint into the rectangle of its prompt; the rectangle moves, and the hint with it."""
    import nodes

    prompts = [
        nodes.ConditioningSetArea().append(prompt, 64, 64, 0, 0, 1.0)[0]
        for prompt in applied(control_net, picture(), tiny.prompt(0.4), tiny.prompt(0.0))
    ]
    pair = guide(stereo(), prompts)
    assert pair.isfinite().all() and all(torch.equal(hint, hints[0]) for hints in seen for hint in hints)


def test_a_t2i_adapter_gets_each_eyes_own_hint(host: dict[str, type]):  # noqa: ARG001
    from comfy.controlnet import T2IAdapter

    class Adapter(torch.nn.Module):
        unshuffle_amount = 8

        def forward(self, hint: Tensor) -> dict[str, list[Tensor]]:
            seen.append(hint)
            return {"input": [torch.zeros(len(hint), NARROW, HEIGHT, WIDTH)], "middle": [], "output": []}

    seen: list[Tensor] = []
    adapter = T2IAdapter(Adapter(), 3, 8, "nearest-exact", torch.device("cpu"))
    guide(stereo(), applied(adapter, picture()))
    assert [len(hints) for hints in seen] == [1, 4], "prepared once for each of its two batches"
    for left, right in seen[1].unflatten(0, (2, 2)):
        torch.testing.assert_close(right[..., :-PIXELS], tiny.moved(left, PIXELS))


def test_a_video_vae_takes_both_views_for_pictures(host: dict[str, type]):  # noqa: ARG001
    """Qwen-Image's ControlNets encode their hints with it; two pictures at once would be the frames of a clip."""
    from comfy_extras.nodes_custom_sampler import SamplerCustom

    from tests.host.tiny.autoencoders import load_vae
    from tests.host.tiny.families import FAMILIES, load
    from tests.host.tiny.guides import load_qwen_control_net

    control, vae, seen = load_qwen_control_net(), load_vae("video"), []
    handle = control.control_model.register_forward_pre_hook(
        lambda _network, _args, kwargs: seen.append(kwargs["hint"]), with_kwargs=True
    )
    prompts = applied(control, picture(), *(FAMILIES["qwen_image"].conditioning(seed) for seed in (1, 2)), vae=vae)
    samples = torch.zeros(1, 16, 1, HEIGHT, WIDTH)
    model = load("qwen_image")
    sigmas = torch.tensor([1.0, 0.6, 0.0])
    out = SamplerCustom.execute(model, True, 5, 1.0, *prompts, stereo(shift_at=0.0), sigmas, {"samples": samples})
    handle.remove()
    assert out.args[0]["samples"].shape == (2, 16, 1, HEIGHT, WIDTH)
    scale = model.get_model_object("latent_format").process_in
    assert [len(hint) for hint in seen] == [1, 1, 2, 2], "the left view alone, then the pair"
    torch.testing.assert_close(seen[-1][:1].float(), scale(vae.encode(picture())), atol=0.02, rtol=0)


def test_the_inpainting_mask_of_a_control_net_moves_and_opens_at_the_holes(pack: Any):
    from comfy.controlnet import ControlBase

    from tests.host.sampling.test_placed_inputs import flat_shift

    control = ControlBase()
    keep = torch.ones(1, 1, 8 * HEIGHT, 8 * WIDTH)
    keep[..., 24:40] = 0.0
    control.set_cond_hint(hint_of(picture()), extra_concat=[keep])
    hints = pack("nodes.sampling.control_hints").ViewHints(control, [flat_shift(pack, (1, 4, HEIGHT, WIDTH))], True)
    with hints._in_place():
        moved = control.extra_concat_orig[0]
    painted = (moved[0, 0, 0] == 0).nonzero().flatten().tolist()
    assert painted == [*range(24 - PIXELS, 40 - PIXELS), *range(8 * WIDTH - PIXELS, 8 * WIDTH)]
    assert control.extra_concat_orig == [keep]


def test_a_control_net_for_a_clip_in_one_latent_is_refused(pack: Any):
    expect = pack("nodes.sampling.placed_inputs").expect_known
    entry = {"control": object(), "model_conds": {}}
    with pytest.raises(ValueError, match="positive: holds a ControlNet, whose hint cannot be moved"):
        expect(SimpleNamespace(conds={"positive": [entry]}, inner_model=None), {}, (1, 16, 3, HEIGHT, WIDTH))


def test_a_picture_in_a_patch_of_the_model_is_refused_by_its_node(pack: Any):
    import comfy.ldm.anima.lllite
    import comfy_extras.nodes_model_patch as host_nodes

    for kind, named in pack("nodes.sampling.placed_inputs")._PICTURE_PATCHES.items():
        assert hasattr(host_nodes, kind) or hasattr(comfy.ldm.anima.lllite, kind), "the host has no such patch"
        model = sampling.load("sd15").clone()
        model.set_model_double_block_patch(type(kind, (), {})())
        with pytest.raises(ValueError, match=f"model: is guided by a picture through {named}, which cannot be moved"):
            sampling.sample("sd15", sampling.recorder("euler"), model=model)


class Stop(Exception):
    pass


@pytest.mark.parametrize("ending", ["success", "error", "interrupt"])
def test_a_run_leaves_control_nets_as_they_were(control_net: Any, ending: str):
    import comfy.model_management

    prompts = applied(control_net, picture(2), *applied(control_net, picture(1)))
    last = prompts[0][0][1]["control"]
    chain = [last, last.previous_controlnet]
    before = [dict(vars(control)) for control in chain]
    plain = guide(sampling.inner("euler"), prompts)

    def stops(step: int, *_: Any) -> None:
        if step == 1 and ending == "error":
            raise Stop
        if step == 1 and ending == "interrupt":
            comfy.model_management.interrupt_current_processing(True)

    raises = {"error": Stop, "interrupt": comfy.model_management.InterruptProcessingException}.get(ending)
    if raises:
        with pytest.raises(raises):
            guide(stereo(), prompts, callback=stops)
    else:
        guide(stereo(), prompts)
    for control, kept in zip(chain, before, strict=True):
        assert vars(control).keys() == kept.keys()
        changed = [name for name, value in kept.items() if vars(control)[name] is not value]
        left_by_the_host = {"timestep_range", "model_sampling_current", *(("cond_hint",) if raises else ())}
        assert not set(changed) - left_by_the_host, changed
    assert torch.equal(guide(sampling.inner("euler"), prompts), plain)
