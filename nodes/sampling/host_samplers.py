"""What a sampler of the host must be to run in pieces, and what it does with noise."""

from __future__ import annotations

import inspect
import itertools

import comfy.samplers
import torch
from torch import Tensor

_OWN_STEPS = {"dpm_fast_function": "dpm_fast", "dpm_adaptive_function": "dpm_adaptive"}
_TWO_STEPS = {"sample_unipc": "uni_pc", "sample_unipc_bh2": "uni_pc_bh2"}


def expect_steppable(sampler: object) -> comfy.samplers.KSAMPLER:
    """Return ``sampler`` if its schedule can be cut.

    Raises:
        ValueError: a sampler of another kind, or one that chooses its own steps.
    """
    if not isinstance(sampler, comfy.samplers.KSAMPLER):
        raise ValueError(
            f"sampler: a {type(sampler).__name__} runs its own loop and cannot be stopped between steps. "
            "Connect KSamplerSelect with euler, ddim or dpmpp_2m, or another sampler that works step by step."
        )
    name = _OWN_STEPS.get(function_name(sampler))
    if name:
        raise ValueError(
            f"sampler: {name} chooses its own steps instead of the schedule's. Use euler, ddim or dpmpp_2m."
        )
    return sampler


def expect_long_enough(
    sampler: comfy.samplers.KSAMPLER,
    cuts: list[int],
    remedy: str = "Use euler, ddim or dpmpp_2m, more steps, or mask_every 0 without a trajectory.",
) -> None:
    """Refuse samplers that cannot take a single step where ``cuts`` leave one.

    Args:
        sampler: the one that takes the steps.
        cuts: the steps before which the schedule is cut, with its start and end.
        remedy: what to do, one sentence.

    Raises:
        ValueError: naming the sampler and the step.
    """
    name = _TWO_STEPS.get(function_name(sampler))
    single = next((a for a, b in itertools.pairwise(cuts) if b - a == 1), None)
    if name and single is not None:
        raise ValueError(
            f"sampler: {name} needs two steps in a row, and the edits leave step {single + 1} by itself. {remedy}"
        )


def function_name(sampler: comfy.samplers.KSAMPLER) -> str:
    """The name of the function that samples."""
    return getattr(sampler.sampler_function, "__name__", "")


def inpaint_noise(sampler: comfy.samplers.KSAMPLER, noise: Tensor, seed: int) -> Tensor:
    """What the host's KSAMPLER puts under a mask; its own generator instead of the global one."""
    if not sampler.inpaint_options.get("random", False):
        return noise
    return torch.randn(noise.shape, generator=torch.Generator().manual_seed(seed + 1)).to(noise)


def takes_noise(sampler: comfy.samplers.KSAMPLER) -> bool:
    """Whether the function can be given its noise."""
    return "noise_sampler" in inspect.signature(sampler.sampler_function).parameters


def brings_noise(sampler: comfy.samplers.KSAMPLER) -> bool:
    """Whether whoever made the sampler gave it a random stream, which cannot be made again from a seed."""
    return sampler.extra_options.get("noise_sampler") is not None
