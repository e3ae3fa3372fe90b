"""Record Left View: SamplerCustomAdvanced to the bit, with its states; parts joined; memory as the help says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.tiny import sampling as tiny
from tools.setup.environment import ROOT

STEPS = 4


class Parts:
    """The inputs of the host's SamplerCustomAdvanced."""

    def __init__(self, name: str, sigmas: Tensor | None = None, seed: int | None = 5, **latent: Any) -> None:
        import comfy.samplers
        from comfy_extras.nodes_custom_sampler import DisableNoise, RandomNoise

        guider = comfy.samplers.CFGGuider(tiny.load(name))
        guider.set_conds(tiny.conditioning(name, 1), tiny.conditioning(name, 2))
        guider.set_cfg(3.0)
        noise = (DisableNoise.execute() if seed is None else RandomNoise.execute(seed)).args[0]
        sigmas = tiny.schedule(name, STEPS) if sigmas is None else sigmas
        self.args = [noise, guider, tiny.inner("euler"), sigmas, {"samples": tiny.empty(name), **latent}]

    def using(self, sampler: str) -> Parts:
        self.args[2] = tiny.inner(sampler)
        return self


@pytest.fixture
def record(host: dict[str, type]) -> Any:
    node = host["Stereo_LeftTrajectory"]
    return lambda parts, precision="full", before=None: node.execute(*parts.args, precision, before).args


@pytest.fixture
def plain(host: dict[str, type]) -> Any:  # noqa: ARG001
    from comfy_extras.nodes_custom_sampler import SamplerCustomAdvanced

    return lambda parts: SamplerCustomAdvanced.execute(*parts.args).args


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "euler_ancestral", "uni_pc"])
@pytest.mark.parametrize("name", ["sd15", "sd3", "wan"])
def test_outputs_are_the_hosts_to_the_bit(record: Any, plain: Any, name: str, sampler: str):
    given = torch.randn(tiny.empty(name, 2).shape, generator=torch.Generator().manual_seed(1))
    latent = {"samples": given, "batch_index": [3, 1], "noise_mask": torch.ones(1, 1, 4, 8), "other": "kept"}
    *outputs, trajectory = record(Parts(name, **latent).using(sampler))
    for ours, theirs in zip(outputs, plain(Parts(name, **latent).using(sampler)), strict=True):
        assert ours.keys() == theirs.keys() and torch.equal(ours["samples"], theirs["samples"])
    assert len(trajectory.states) == STEPS + 1
    last = tiny.load(name).model.process_latent_out(trajectory.states[-1])
    assert torch.equal(last, outputs[0]["samples"])


def test_inputs_stay_as_they_were(record: Any):
    parts = Parts("sd3").using("uni_pc")
    sigmas, latent = parts.args[3].clone(), dict(parts.args[4])
    record(parts)
    assert torch.equal(parts.args[3], sigmas) and parts.args[4] == latent


@pytest.mark.parametrize("precision", ["full", "half"])
@pytest.mark.parametrize("name", ["sd15", "sd3"])
def test_the_parts_of_a_split_schedule_join_to_the_whole(record: Any, plain: Any, name: str, precision: str):
    sigmas = tiny.schedule(name, STEPS)
    whole = record(Parts(name))[2]
    first, _, before = record(Parts(name, sigmas[:3]), precision)
    second, _, joined = record(Parts(name, sigmas[2:], seed=None, **first), precision, before)
    assert torch.equal(second["samples"], plain(Parts(name, sigmas[2:], seed=None, **first))[0]["samples"])
    assert torch.equal(joined.sigmas, whole.sigmas)
    half = precision == "half"
    for place, (ours, theirs) in enumerate(zip(joined.states, whole.states, strict=True)):
        kept = not half or place in (2, STEPS)  # what each part ended as
        assert ours.dtype == (torch.float32 if kept else torch.float16)
        assert tiny.error(ours.float(), theirs) < (1e-5 if kept else 1e-3)
    assert [joined.index(float(sigma)) for sigma in sigmas] == [0, 1, 2, 3, 4]


def test_half_precision_gives_the_same_left_view(record: Any):
    full, half = record(Parts("wan")), record(Parts("wan"), "half")
    assert torch.equal(full[0]["samples"], half[0]["samples"])
    assert torch.equal(full[2].states[-1], half[2].states[-1])
    assert half[2].nbytes == full[2].nbytes / 2 + full[2].states[-1].nbytes / 2


def test_one_view_is_recorded_from_a_model_that_couples_views(host: dict[str, type], record: Any):
    parts, coupled = Parts("sd15"), Parts("sd15")
    patch = host["Stereo_CrossViewAttentionPatch"]
    coupled.args[1].model_patcher = patch.execute(tiny.load("sd15"), "left_kv", 0.0, 1.0, "", False).args[0]
    coupled.args[1].model_options = coupled.args[1].model_patcher.model_options
    assert torch.equal(record(coupled)[0]["samples"], record(parts)[0]["samples"])


def test_bad_input_is_refused_before_any_step(record: Any, monkeypatch: pytest.MonkeyPatch):
    from comfy.nested_tensor import NestedTensor

    sigmas = tiny.schedule("sd15", STEPS)
    before = record(Parts("sd15", sigmas[:3]))[2]
    monkeypatch.setattr(tiny.load("sd15").model, "apply_model", lambda *_, **__: pytest.fail("the model was run"))
    with pytest.raises(ValueError, match=r"before: ends at noise level .* and this part begins at"):
        record(Parts("sd15", sigmas[1:], seed=None), before=before)
    with pytest.raises(ValueError, match="sampler: dpm_adaptive chooses its own steps"):
        record(Parts("sd15").using("dpm_adaptive"))
    with pytest.raises(ValueError, match="sigmas: the schedule has no step"):
        record(Parts("sd15", sigmas[:1]))
    with pytest.raises(ValueError, match="sigmas: the schedule has no step"):
        record(Parts("sd15", sigmas[:0]))
    with pytest.raises(ValueError, match="sigmas: every noise level must be finite and lie below"):
        record(Parts("sd15", sigmas.flip(0)))
    with pytest.raises(ValueError, match="latent_image: is a latent of several parts, such as video and sound"):
        record(Parts("sd15", samples=NestedTensor([torch.zeros(1, 4, 4, 8), torch.zeros(1, 8, 4)])))


def test_a_part_that_does_not_go_on_from_the_one_before_is_refused(record: Any):
    sigmas = tiny.schedule("sd15", STEPS)
    first, _, before = record(Parts("sd15", sigmas[:3]))
    with pytest.raises(ValueError, match="before: ends in another state .* Disable Noise to noise"):
        record(Parts("sd15", sigmas[2:], **first), before=before)
    other = torch.zeros(1, 4, 4, 12)
    with pytest.raises(ValueError, match="before: is of one latent of 8x4 .*, and this part of one latent of 12x4"):
        record(Parts("sd15", sigmas[2:], seed=None, samples=other), before=before)


CLIPS = {
    "Wan 2.1, 81 frames of 832x480": (1, 16, 21, 60, 104),
    "SVD, 25 frames of 1024x576": (25, 4, 72, 128),
    "a picture, SDXL 1024x1024": (1, 4, 128, 128),
}


@pytest.mark.parametrize("clip", CLIPS)
def test_a_trajectory_weighs_what_the_help_says(pack: Any, clip: str):
    core = pack("stereo_core.trajectory")

    def weight(steps: int, half: bool = False) -> float:
        state = torch.zeros(1).expand(CLIPS[clip])  # occupies four bytes; nbytes counts the shape
        found = core.Trajectory(torch.arange(steps, -1, -1.0), (state,) * (steps + 1))
        return (found.halved() if half else found).nbytes / 2**20

    page = (ROOT / "web" / "docs" / "Stereo_LeftTrajectory.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith(f"| {clip} |"))
    said = [float(cell.replace("MiB", "")) for cell in row.split("|")[2:6]]
    assert said == [
        pytest.approx(value, abs=0.5, rel=0.02)
        for value in (weight(1) / 2, weight(20), weight(50), weight(50, half=True))
    ]
