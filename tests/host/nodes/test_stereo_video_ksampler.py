"""Stereo Video KSampler in the real host: the nodes it stands for, in one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.tiny import sampling as tiny
from tools.host.node_inputs import GEOMETRY, REFINE, VIDEO, gather

STEPS = 5
WIDGETS = {
    "seed": 5,
    "steps": STEPS,
    "cfg": 3.0,
    "sampler_name": "euler_ancestral",
    "scheduler": "simple",
    "denoise": 1.0,
    "max_disparity": 30.0,
    "convergence": 1.0,
    "exponent": 1.0,
    "attention": "none",
    "preset": "custom",
    "iterations": 2,
    "restart_until": 0.2,
    "warp_every": 0.2,
    "last_warp": 0.6,
    "most_repeats": 3,
    "fewest_repeats": 2,
    "form": "unrepeated",
    "fill": "left",
    "shift": "truncated",
}


@pytest.fixture
def ksample(host: dict[str, type]) -> Any:
    def run(name: str = "sd15", latent: dict[str, Any] | None = None, **widgets: Any) -> dict[str, Any]:
        latent = {"samples": tiny.empty(name)} if latent is None else latent
        prompts = tiny.conditioning(name, 1), tiny.conditioning(name, 2)
        flat = {**WIDGETS, **widgets}
        model = flat.pop("model", None) or tiny.load(name)
        second, switch = flat.pop("second_model", None), flat.pop("switch_at_step", 2)
        if second is not None:
            flat["second_model"] = host["Stereo_SecondModel"].execute(second, switch).args[0]
        inputs = gather("Stereo_StereoVideoKSampler", flat.pop("depth", tiny.depth_step()), flat)
        return host["Stereo_StereoVideoKSampler"].execute(model, *prompts, latent, **inputs).args[0]

    return run


def plain(host: dict[str, type], name: str, latent: Tensor | None = None, **widgets: Any) -> Tensor:
    """KSampler's result with the same settings."""
    settings = {**WIDGETS, **widgets}
    chosen = [settings[key] for key in ("seed", "steps", "cfg", "sampler_name", "scheduler")]
    prompts = tiny.conditioning(name, 1), tiny.conditioning(name, 2)
    given = {"samples": tiny.empty(name) if latent is None else latent}
    return host["KSampler"]().sample(tiny.load(name), *chosen, *prompts, given, settings["denoise"])[0]["samples"]


def parts(host: dict[str, type], name: str, attention: str) -> Tensor:
    """Record Left View, the two samplers on a split schedule and the attention patch, node by node."""
    import comfy.samplers
    from comfy_extras.nodes_custom_sampler import DisableNoise, RandomNoise, SamplerCustomAdvanced

    def guider(model: Any) -> Any:
        made = comfy.samplers.CFGGuider(model)
        made.set_conds(tiny.conditioning(name, 1), tiny.conditioning(name, 2))
        made.set_cfg(WIDGETS["cfg"])
        return made

    model = tiny.load(name)
    coupled = model
    if attention != "none":
        coupled = host["Stereo_CrossViewAttentionPatch"].execute(model, attention, 0.0, 1.0, "", False).args[0]
    sigmas = tiny.schedule(name, STEPS)
    noise, latent, inner = RandomNoise.execute(5).args[0], {"samples": tiny.empty(name)}, tiny.inner("euler_ancestral")
    trajectory = host["Stereo_LeftTrajectory"].execute(noise, guider(model), inner, sigmas, latent, "full").args[2]
    chosen = {key: WIDGETS[key] for key in (*GEOMETRY, *VIDEO, *REFINE, "shift") if key in WIDGETS}
    restart, refine = (
        host[node].execute(trajectory=trajectory, sampler=inner, **gather(node, tiny.depth_step(), chosen)).args[0]
        for node in ("Stereo_NoisyRestartSampler", "Stereo_IterativeRefineSampler")
    )
    first = SamplerCustomAdvanced.execute(noise, guider(coupled), restart, sigmas[:2], latent).args[0]
    rest = DisableNoise.execute().args[0]
    return SamplerCustomAdvanced.execute(rest, guider(coupled), refine, sigmas[1:], first).args[0]["samples"]


@pytest.mark.parametrize("name", ["sd15", "wan"])
def test_the_left_view_is_ksamplers_to_the_bit_and_the_right_another(host: dict[str, type], ksample: Any, name: str):
    alone = plain(host, name)
    for attention in ("none", "left_query", "joint"):
        left, right = ksample(name, attention=attention)["samples"].chunk(2)
        assert torch.equal(left, alone), attention
        assert tiny.error(right, alone) > 0.1, attention


@pytest.mark.parametrize("attention", ["none", "left_query"])
@pytest.mark.parametrize("name", ["sd15", "wan"])
def test_it_is_the_nodes_put_together(
    host: dict[str, type], ksample: Any, name: str, attention: str, monkeypatch: pytest.MonkeyPatch
):
    # Two samplers in a row begin the random stream twice, one sampler once.
    import comfy.k_diffusion.sampling as sampling

    monkeypatch.setattr(sampling, "default_noise_sampler", lambda x, seed=None: lambda *_: torch.zeros_like(x))  # noqa: ARG005
    expected = parts(host, name, attention)
    assert tiny.error(ksample(name, attention=attention)["samples"], expected) < 1e-5


def test_the_result_is_a_whole_latent(ksample: Any):
    given = {
        "samples": tiny.empty("sd15", 2),
        "batch_index": [4, 7],
        "noise_mask": torch.ones(1, 1, 4, 8),
        "other": "kept",
    }
    kept = dict(given)
    pair = ksample(latent=given)
    assert given == kept, "the input was changed"
    assert pair.keys() == {"samples", "batch_index", "other", "stereo_pair"} and pair["batch_index"] == [4, 7, 4, 7]
    assert pair["samples"].shape == (4, 4, 4, 8)


def test_an_empty_latent_takes_the_models_channels(ksample: Any):
    pair = ksample("wan", {"samples": torch.zeros(1, 4, 4, 8), "downscale_ratio_spacial": 8})
    assert pair.keys() == {"samples", "batch_index", "stereo_pair"} and pair["samples"].shape == (2, 16, 1, 4, 8)


@pytest.mark.parametrize(("preset", "restart", "last"), [("576x1024", 1, 7), ("320x512", 1, 9), ("256x256", 1, 9)])
def test_a_preset_is_the_papers_noise(ksample: Any, preset: str, restart: int, last: int):
    # Ten steps of this model have 14.6, 8.3, 5.1, 3.3, 2.3, 1.6, 1.16, 0.83, 0.57 and 0.34.
    settings = {"steps": 10, "sampler_name": "euler", "most_repeats": 1, "fewest_repeats": 1}
    by_name = ksample(preset=preset, **settings)["samples"]
    written = {"restart_until": restart / 10, "last_warp": last / 10}
    assert torch.equal(by_name, ksample(**written, **settings)["samples"])


def test_a_recorded_left_view_is_used_as_it_is(ksample: Any, monkeypatch: pytest.MonkeyPatch):
    recorder = tiny.recorder("euler_ancestral")
    left, _ = tiny.sample("sd15", recorder, sigmas=STEPS, cfg=3.0, seed=5)
    expected = ksample()["samples"]
    assert torch.equal(left, expected[:1])
    monkeypatch.setattr(type(recorder), "sample", lambda *_: pytest.fail("the left view was sampled"))
    pair = ksample(trajectory=recorder.trajectory)["samples"]
    assert torch.equal(pair[:1], left) and tiny.error(pair, expected) < 1e-5
    # The seed is the trajectory's own.
    assert torch.equal(ksample(trajectory=recorder.trajectory, seed=6)["samples"], pair)


@pytest.mark.parametrize("name", ["sd15", "sd3"])
def test_an_inverted_picture_is_the_left_view(host: dict[str, type], ksample: Any, name: str):
    samples = torch.randn(tiny.empty(name).shape, generator=torch.Generator().manual_seed(1))
    inverted = host["Stereo_DDIMInversion"].execute(
        tiny.load(name), tiny.conditioning(name, 1), {"samples": samples}, tiny.schedule(name, STEPS), 0
    )
    for latent in (samples, torch.zeros_like(samples)):
        pair = ksample(name, {"samples": latent}, trajectory=inverted.args[1])["samples"]
        torch.testing.assert_close(pair[:1], samples, rtol=1e-5, atol=1e-5)
        assert tiny.error(pair[1:], samples) > 0.1


@pytest.mark.parametrize("attention", ["none", "left_query", "right_joint"])
def test_nothing_done_is_the_plain_run(host: dict[str, type], ksample: Any, attention: str):
    nothing = {"restart_until": 0.0, "last_warp": 0.0, "max_disparity": 0.0, "sampler_name": "euler"}
    alone = plain(host, "wan", sampler_name="euler")
    left, right = ksample("wan", attention=attention, **nothing)["samples"].chunk(2)
    assert torch.equal(left, alone) and tiny.error(right, alone) < 1e-5


BAD = {
    "denoise: 0.0 leaves no step": {"denoise": 0.0},
    "latent_image: is no latent of pictures": {"latent": {"samples": torch.ones(1, 4, 32)}},
    "depth is 32x64": {"depth": torch.zeros(1, 64, 32, 3)},
    "depth holds 2 maps for 1 pictures": {"depth": torch.zeros(2, 32, 64, 3)},
    "dpm_fast chooses its own steps": {"sampler_name": "dpm_fast"},
    "last_warp of Stereo Refine Options: 0.1 of 5 steps": {"last_warp": 0.1, "restart_until": 0.4},
    "fewest_repeats is 4 and most_repeats 3": {"fewest_repeats": 4},
    "restart_until: got 1.5": {"restart_until": 1.5},
    "restart_until of Stereo Video Options: the restart takes all 5 steps": {"restart_until": 1.0},
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_refused_before_the_left_view_is_sampled(
    ksample: Any, message: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tiny.load("sd15").model, "apply_model", lambda *_, **__: pytest.fail("the model was run"))
    with pytest.raises(ValueError, match=message):
        ksample(**BAD[message])


def two_models(host: dict[str, type], steps: int, switch: int, first: Any, second: Any) -> Tensor:
    """What two KSampler (Advanced) make of the left view, the second one with noise_seed 0."""
    prompts, advanced = (tiny.conditioning("wan", 1), tiny.conditioning("wan", 2)), host["KSamplerAdvanced"]()
    same = steps, WIDGETS["cfg"], "euler_ancestral", "simple", *prompts
    half = advanced.sample(first, "enable", 5, *same, {"samples": tiny.empty("wan")}, 0, switch, "enable")[0]
    return advanced.sample(second, "disable", 0, *same, half, switch, 10000, "disable")[0]["samples"]


def test_two_models_take_over_from_each_other_as_two_ksamplers(host: dict[str, type], ksample: Any):
    from comfy_extras.nodes_model_advanced import RescaleCFG

    first = tiny.load("wan")
    second = RescaleCFG().patch(first, 0.7)[0]
    left = two_models(host, STEPS, 2, first, second)
    for attention in ("none", "left_query"):
        pair = ksample("wan", second_model=second, attention=attention)
        assert torch.equal(pair["samples"][:1], left) and pair["samples"].shape[0] == 2
        assert tiny.error(pair["samples"][1:], left) > 0.1
    assert not torch.equal(left, ksample("wan")["samples"][:1]), "the second model must matter"


@pytest.mark.parametrize("attention", ["none", "left_query"])
@pytest.mark.parametrize("switch", [1, 2, 3, 4])
def test_one_model_in_two_parts_takes_every_warp_of_the_whole(ksample: Any, attention: str, switch: int):
    settings = {"attention": attention, "sampler_name": "euler"}
    whole = ksample("wan", **settings)["samples"]
    parts = ksample("wan", second_model=tiny.load("wan"), switch_at_step=switch, **settings)["samples"]
    assert tiny.error(parts, whole) < 1e-5


def test_a_second_model_follows_a_recorded_left_view(ksample: Any):
    recorder = tiny.recorder("euler")
    left, _ = tiny.sample("wan", recorder, tiny.empty("wan"), sigmas=STEPS, cfg=3.0, seed=5)
    given = {"trajectory": recorder.trajectory, "sampler_name": "euler"}
    pair = ksample("wan", second_model=tiny.load("wan"), **given)["samples"]
    assert torch.equal(pair[:1], left) and tiny.error(pair, ksample("wan", **given)["samples"]) < 1e-5


@pytest.mark.parametrize(
    ("switch", "message"), [(5, "switch_at_step of Second Model: got 5. Set it from 1 to 4"), (1, "restart_until")]
)
def test_a_switch_that_leaves_a_part_without_steps_or_cuts_the_restart_is_refused(
    ksample: Any, switch: int, message: str
):
    with pytest.raises(ValueError, match=message):
        ksample(second_model=tiny.load("sd15"), switch_at_step=switch, restart_until=0.4)


def test_a_model_that_is_coupled_already_is_taken_as_it_is(host: dict[str, type], ksample: Any):
    """So that attention over time can be coupled, in some blocks, or in part of the schedule."""
    settings = {"depth": tiny.depth_step(2), "latent": {"samples": torch.zeros(2, 4, 4, 8)}}
    patch = host["Stereo_CrossViewAttentionPatch"]
    space, time = (
        patch.execute(tiny.load("svd"), "left_query", 0.0, 1.0, "", over_time).args[0] for over_time in (False, True)
    )
    by_node, by_patch, over_time = (
        ksample("svd", **settings, **given)["samples"]
        for given in ({"attention": "left_query"}, {"model": space}, {"model": time})
    )
    assert torch.equal(by_node, by_patch)
    assert torch.equal(by_node[:2], over_time[:2]) and not torch.equal(by_node[2:], over_time[2:])


@pytest.mark.parametrize(
    ("widgets", "expected"),
    [
        # 5 steps for each view, one restarted once more, and warps before steps 2 to 4 taken 3, 3 and 2 times.
        ({}, "16 steps of one view, 3.2 times a plain run of 5 steps"),
        ({"attention": "left_query"}, "27 steps of one view, 5.4 times a plain run of 5 steps"),
        ({"coupled": True}, "27 steps of one view, 5.4 times a plain run of 5 steps"),
        # The estimate of the left view before each warp.
        ({"shift": "sub_column"}, "20 steps of one view, 4.0 times a plain run of 5 steps"),
        ({"shift": "sub_column", "sampler_name": "euler"}, "16 steps of one view, 3.2 times"),
    ],
)
def test_the_cost_is_said_before_the_run_and_is_the_models(
    host: dict[str, type], ksample: Any, widgets: dict[str, Any], expected: str, monkeypatch: pytest.MonkeyPatch
):
    import sys

    package = host["Stereo_StereoVideoKSampler"].__module__.rsplit(".", 1)[0]
    told: list[str] = []
    monkeypatch.setattr(sys.modules[f"{package}.widgets.geometry"], "show_text", lambda _, text: told.append(text))
    model, entries = tiny.load("sd15").model, []
    apply = model.apply_model

    def watch(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        entries.append(len(x))
        assert told[-1].splitlines()[-1].startswith(expected)
        return apply(x, *args, **kwargs)

    monkeypatch.setattr(model, "apply_model", watch)
    if widgets.get("coupled"):
        patch = host["Stereo_CrossViewAttentionPatch"]
        widgets = {"model": patch.execute(tiny.load("sd15"), "left_query", 0.0, 1.0, "", False).args[0]}
    ksample(**widgets)
    # With guidance each view is two entries.
    assert sum(entries) == 2 * int(expected.split()[0])


@pytest.mark.parametrize(("maps", "fits"), [(1, True), (3, True), (9, True), (5, False), (7, False), (8, False)])
def test_the_maps_must_be_of_the_models_frames(ksample: Any, maps: int, fits: bool):
    # Wan keeps 9 frames in 3; 5 and 7 maps would fit a model that keeps 2 or 3 frames in one.
    given = {"latent": {"samples": torch.zeros(1, 16, 3, 4, 8)}, "depth": tiny.depth_step().expand(maps, -1, -1, -1)}
    if fits:
        assert ksample("wan", **given)["samples"].shape == (2, 16, 3, 4, 8)
    else:
        with pytest.raises(ValueError, match=rf"depth holds {maps} maps for a clip of 9 frames \(3 in its latent\)"):
            ksample("wan", **given)


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("attention", ["none", "left_query"])
@pytest.mark.parametrize("models", [1, 2])
def test_progress_counts_the_left_view_and_every_iteration_once(
    ksample: Any, models: int, attention: str, recorded: bool, monkeypatch: pytest.MonkeyPatch
):
    import latent_preview

    trajectory = None
    if recorded:
        recorder = tiny.recorder("euler_ancestral")
        tiny.sample("sd15", recorder, sigmas=STEPS, cfg=3.0, seed=5)
        trajectory = recorder.trajectory
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(
        latent_preview, "prepare_callback", lambda *_: lambda step, _x0, _x, total: seen.append((step, total))
    )
    second = tiny.load("sd15") if models == 2 else None
    ksample(attention=attention, trajectory=trajectory, second_model=second, switch_at_step=3)
    # 5 steps, 1 of them restarted once more, warps before steps 2 to 4 taken 3, 3 and 2 times.
    planned = STEPS + 1 + 2 + 2 + 1 + (0 if recorded else STEPS)
    assert seen == [(step, planned) for step in range(planned)]


def test_another_trajectory_is_refused(ksample: Any):
    recorder = tiny.recorder("euler")
    tiny.sample("sd15", recorder, sigmas=4)
    with pytest.raises(ValueError, match="trajectory: holds no state at noise level"):
        ksample(trajectory=recorder.trajectory)
    tiny.sample("sd15", recorder, tiny.empty("sd15", 2), sigmas=STEPS)
    with pytest.raises(ValueError, match="trajectory: is of 2 latents of 8x4"):
        ksample(trajectory=recorder.trajectory)


class Stop(Exception):
    pass


@pytest.mark.parametrize("ending", ["success", "error", "interrupt"])
def test_nothing_is_left_behind(host: dict[str, type], ksample: Any, ending: str, monkeypatch: pytest.MonkeyPatch):
    import comfy.model_management
    import latent_preview

    model = tiny.load("sd15")
    before = plain(host, "sd15")
    options, weights = repr(model.model_options), {k: v.clone() for k, v in model.model.state_dict().items()}
    attributes, patches = vars(model.model).keys(), repr(model.patches)
    random = torch.random.get_rng_state()
    if ending == "success":
        ksample(attention="left_query")
    else:
        calls: list[int] = []

        def watch(step: int, *_: Any) -> None:
            calls.append(step)
            if len(calls) == STEPS + 3:  # in the pair's run
                if ending == "error":
                    raise Stop
                comfy.model_management.interrupt_current_processing(True)

        with monkeypatch.context() as patched:
            patched.setattr(latent_preview, "prepare_callback", lambda *_: watch)
            with pytest.raises((Stop, comfy.model_management.InterruptProcessingException)):
                ksample(attention="left_query")
        assert len(calls) == STEPS + 3, "the run must stop before its next model call"
    assert torch.equal(torch.random.get_rng_state(), random), "the global random stream was used"
    assert torch.equal(plain(host, "sd15"), before)
    assert repr(model.model_options) == options and repr(model.patches) == patches
    assert vars(model.model).keys() == attributes
    assert all(torch.equal(value, weights[name]) for name, value in model.model.state_dict().items())


def test_an_empty_latent_that_shrinks_to_nothing_is_refused(host: dict[str, type], ksample: Any):
    """LTXV's latents are four times as coarse as those of the host's Empty Latent Image."""
    with pytest.raises(ValueError, match="latent_image: is too small for this model"):
        ksample("ltxv", host["EmptyLatentImage"]().generate(16, 16)[0], depth=tiny.depth_step(1, 16, 16))


def test_a_second_clip_is_not_taken_for_the_right_view(ksample: Any):
    recorder = tiny.recorder("euler")
    tiny.sample("wan", recorder, tiny.empty("wan"), sigmas=STEPS, cfg=3.0, seed=5)
    given = {"trajectory": recorder.trajectory, "sampler_name": "euler"}
    with pytest.raises(ValueError, match="trajectory: holds half of the 2 entries of latent_image"):
        ksample("wan", {"samples": tiny.empty("wan", 2)}, **given)


@pytest.mark.parametrize("name", ["sd15", "ltxv"])
def test_a_second_model_of_another_kind_is_refused_before_the_first_is_run(
    ksample: Any, name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tiny.load("wan").model, "apply_model", lambda *_, **__: pytest.fail("the model was run"))
    with pytest.raises(ValueError, match="second_model: is of another kind than model"):
        ksample("wan", second_model=tiny.load(name))


def test_two_models_of_different_shift_are_refused(ksample: Any):
    from comfy_extras.nodes_model_advanced import ModelSamplingSD3

    shifted = ModelSamplingSD3().patch(tiny.load("wan"), 3.0)[0]
    with pytest.raises(ValueError, match="second_model: has other noise levels than model"):
        ksample("wan", second_model=shifted)


def test_refinement_is_off_where_its_options_say_so(host: dict[str, type]):
    refine = host["Stereo_StereoRefineOptions"].execute(0.1, 0.0, 8, 3).args[0]
    assert refine.refine is None and refine.restart is not None
    with pytest.raises(ValueError, match="options: last_warp of Stereo Refine Options is 0"):
        host["Stereo_IterativeRefineSampler"].execute(tiny.depth_step(), object(), options=refine)
    alone = [host["Stereo_StereoRefineOptions"].execute(0.1, last, 8, 3).args[0] for last in (0.3, 0.9)]
    levels = [14.6, 8.3, 5.1, 3.3, 2.3, 1.6, 1.16, 0.83, 0.57, 0.34, 0.0]
    assert alone[0].warps(levels) != alone[1].warps(levels), "the numbers count where no preset was chosen"


@pytest.mark.parametrize(
    ("recorded", "sampler", "said"),
    [
        ("euler_ancestral", "euler", "trajectory was recorded with euler_ancestral: the right view gets other noise"),
        ("euler", "euler_ancestral", "trajectory was recorded with euler: the right view gets other noise"),
        ("euler_ancestral", "euler_ancestral", ""),
        ("euler", "heun", ""),
    ],
)
def test_a_left_view_of_another_sampler_is_told(
    host: dict[str, type], ksample: Any, recorded: str, sampler: str, said: str, monkeypatch: pytest.MonkeyPatch
):
    import sys

    package = host["Stereo_StereoVideoKSampler"].__module__.rsplit(".", 1)[0]
    told: list[str] = []
    monkeypatch.setattr(sys.modules[f"{package}.widgets.geometry"], "show_text", lambda _, text: told.append(text))
    recorder = tiny.recorder(recorded)
    tiny.sample("sd15", recorder, sigmas=STEPS, cfg=3.0, seed=5)
    ksample(trajectory=recorder.trajectory, sampler_name=sampler)
    assert said in told[-1] and bool(said) == ("was recorded with" in told[-1])
