"""The nodes that sample, on every family: what it leaves behind when it ends well, fails or is interrupted."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.fuzz.fingerprints import fingerprint
from tests.host.fuzz.given import conditioning
from tests.host.tiny import video
from tests.host.tiny.families import FAMILIES, load
from tools.host.node_inputs import gather

STEPS = 3
GEOMETRY = {"max_disparity": 25.0, "convergence": 0.0, "exponent": 1.0}
SHIFT = {"shift_at": 0.34, "fill": "background", "mask_every": 0.34, "shift_both": False, "shift": "sub_column"}
RESTART = {"preset": "custom", "iterations": 2, "restart_until": 0.34, "fill": "background", "shift": "sub_column"}
REFINE = {"warp_every": 0.34, "last_warp": 1.0, "most_repeats": 2, "fewest_repeats": 2}
PLAIN = {"seed": 5, "steps": STEPS, "cfg": 3.0, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0}


class Case:
    """One family with everything that its nodes take.

    Attributes:
        model: a copy of the loaded model that counts its calls, and does at one of them what ``at`` says.
    """

    def __init__(self, host: dict[str, type], name: str) -> None:
        self.host, self.name = host, name
        shape = video.clip_shape(name)
        self.positive, self.negative = (conditioning(name, seed, 1, shape[2:]) for seed in (1, 2))
        samples = torch.randn(shape, generator=torch.Generator().manual_seed(3))
        self.latent = {"samples": samples}
        self.depth = torch.linspace(0, 1, 8 * shape[-1]).round().expand(1, 3, 8 * shape[-2], -1).movedim(1, -1)
        self.model, self.calls, self.at = load(name).clone(), 0, {}
        self.model.set_model_unet_function_wrapper(self._watched)
        self.sigmas = video.Studio(host, name).sigmas(STEPS)
        self.attention = "left_kv" if self._couples() else "none"

    def _watched(self, apply: Callable[..., Tensor], args: dict[str, Any]) -> Tensor:
        self.calls += 1
        self.at.get(self.calls, lambda: None)()
        return apply(args["input"], args["timestep"], **args["c"])

    def run(self, node: str, **inputs: Any) -> tuple[Any, ...]:
        return self.host[node].execute(**inputs).args

    def plain(self) -> Tensor:
        """KSampler's picture, by the model as it was loaded."""
        ends = (self.positive, self.negative, {"samples": torch.zeros_like(self.latent["samples"])})
        return self.host["KSampler"]().sample(load(self.name), 5, 2, 3.0, "euler", "simple", *ends)[0]["samples"]

    def guider(self) -> Any:
        import comfy.samplers

        guider = comfy.samplers.CFGGuider(self.coupled if self.attention != "none" else self.model)
        guider.set_conds(self.positive, self.negative)
        guider.set_cfg(3.0)
        return guider

    @functools.cached_property
    def coupled(self) -> Any:
        return self.run("Stereo_CrossViewAttentionPatch", model=self.model, **_COUPLING)[0]

    @functools.cached_property
    def trajectory(self) -> Any:
        """Of the left view, by the model as it was loaded."""
        guider = video.Studio(self.host, self.name).guider(load(self.name))
        guider.set_conds(self.positive, self.negative)
        return self.run("Stereo_LeftTrajectory", **self.custom(guider), precision="full")[2]

    def custom(self, guider: Any, sampler: Any = None) -> dict[str, Any]:
        from comfy_extras.nodes_custom_sampler import RandomNoise

        return {
            "noise": RandomNoise.execute(5).args[0],
            "guider": guider,
            "sampler": sampler or video.inner("euler"),
            "sigmas": self.sigmas,
            "latent_image": self.latent,
        }

    def ends(self) -> dict[str, Any]:
        """What KSampler takes."""
        prompts = {"positive": self.positive, "negative": self.negative}
        return {"model": self.model, **prompts, "latent_image": self.latent}

    def sampled(self, node: str, trajectory: Any = None, **flat: Any) -> tuple[Any, ...]:
        """SamplerCustomAdvanced with one of our samplers."""
        from comfy_extras.nodes_custom_sampler import SamplerCustomAdvanced

        known = {} if trajectory is None else {"trajectory": trajectory}
        sampler = self.run(node, sampler=video.inner("euler"), **known, **gather(node, self.depth, flat))[0]
        return SamplerCustomAdvanced.execute(**self.custom(self.guider(), sampler)).args

    @functools.cached_property
    def before(self) -> Any:
        """What is there before anything of ours has run."""
        return self.left()

    def left(self) -> Any:
        """What the nodes were given, the model with its options, patches and weights, and KSampler's picture."""
        given = (self.positive, self.negative, self.latent, self.depth, self.sigmas, self.trajectory)
        model, network = load(self.name), load(self.name).model
        values = [*given, model, self.model, sorted(vars(network)), network.state_dict(), self.plain()]
        return [fingerprint(value) for value in values]

    def _couples(self) -> bool:
        try:
            return self.coupled is not None
        except ValueError:
            return False


_COUPLING = {"mode": "left_kv", "start_percent": 0.0, "end_percent": 1.0, "blocks": "", "temporal": False}


def ksampler(case: Case) -> Any:
    flat = {**PLAIN, **GEOMETRY, **SHIFT, "attention": case.attention}
    return case.run("Stereo_StereoKSampler", **case.ends(), **gather("Stereo_StereoKSampler", case.depth, flat))


def video_ksampler(case: Case) -> Any:
    flat = {**PLAIN, **GEOMETRY, **RESTART, **REFINE, "attention": case.attention}
    inputs = gather("Stereo_StereoVideoKSampler", case.depth, flat)
    return case.run("Stereo_StereoVideoKSampler", **case.ends(), **inputs)


def shift_sampler(case: Case) -> Any:
    return case.sampled("Stereo_StereoShiftSampler", **GEOMETRY, **SHIFT)


def restart_sampler(case: Case) -> Any:
    return case.sampled("Stereo_NoisyRestartSampler", case.trajectory, **GEOMETRY, **RESTART)


def refine_sampler(case: Case) -> Any:
    return case.sampled("Stereo_IterativeRefineSampler", case.trajectory, **GEOMETRY, **RESTART, **REFINE)


def left_trajectory(case: Case) -> Any:
    guider = case.guider()
    guider.model_patcher = case.model
    return case.run("Stereo_LeftTrajectory", **case.custom(guider), precision="half")


def inversion(case: Case) -> Any:
    inputs = {"positive": case.positive, "latent": case.latent, "sigmas": case.sigmas, "refine": 1}
    return case.run("Stereo_DDIMInversion", model=case.model, **inputs)


RUNS = {
    function.__name__: function
    for function in (
        ksampler,
        video_ksampler,
        shift_sampler,
        restart_sampler,
        refine_sampler,
        left_trajectory,
        inversion,
    )
}


# The two KSamplers hold the samplers and the trajectory, so that on every family these three meet all of it; each by
# itself meets one family of every kind of network.
ON_EVERY_FAMILY = ("ksampler", "video_ksampler", "inversion")
KINDS = ("sd15", "svd", "sd3", "flux", "wan", "hunyuan_video", "ltxv", "cosmos")
CASES = [(name, node) for name in FAMILIES for node in RUNS if node in ON_EVERY_FAMILY or name in KINDS]


class Stop(Exception):
    pass


def fail() -> None:
    raise Stop


def interrupt() -> None:
    import comfy.model_management

    comfy.model_management.interrupt_current_processing(True)


@functools.cache
def case_of(name: str) -> Case:
    import nodes

    return Case(nodes.NODE_CLASS_MAPPINGS, name)


@pytest.mark.parametrize(("name", "node"), CASES)
def test_everything_is_as_it_was(host: dict[str, type], name: str, node: str):  # noqa: ARG001
    from comfy.model_management import InterruptProcessingException

    case, run = case_of(name), RUNS[node]
    before = case.before
    case.calls, case.at = 0, {}
    made = fingerprint(run(case))
    calls = case.calls
    assert calls > 1
    for error, ending in ((Stop, fail), (InterruptProcessingException, interrupt)):
        case.calls, case.at = 0, {calls // 2: ending}
        with pytest.raises(error):
            run(case)
        assert calls // 2 <= case.calls < calls
    case.at = {}
    assert case.left() == before
    assert fingerprint(run(case)) == made
