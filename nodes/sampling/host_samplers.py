"""What a sampler of the host needs in order to run in pieces, and how it draws its noise."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import comfy.samplers
import torch
from torch import Tensor

_OWN_STEPS = {"dpm_fast_function": "dpm_fast", "dpm_adaptive_function": "dpm_adaptive"}
_SINGLE_STEP = {
    "sample_euler",
    "sample_euler_ancestral",
    "sample_heun",
    "sample_dpm_2",
    "sample_dpm_2_ancestral",
    "sample_dpmpp_2s_ancestral",
    "sample_dpmpp_sde",
    "sample_ddpm",
    "sample_lcm",
}
_TWO_STEPS = {"sample_unipc", "sample_unipc_bh2"}


def expect_steppable(sampler: object) -> comfy.samplers.KSAMPLER:
    """Return ``sampler`` if its schedule can be cut into pieces.

    Raises:
        ValueError: a sampler that runs its own loop, or one that chooses its own steps.
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


def goes_step_by_step(sampler: comfy.samplers.KSAMPLER) -> bool:
    """Tell whether the function is known to take every step by itself, so that cutting its run changes nothing."""
    return function_name(sampler).removesuffix("_gpu") in _SINGLE_STEP


def needs_two_steps(sampler: comfy.samplers.KSAMPLER) -> bool:
    """Tell whether the function fails on a single step."""
    return function_name(sampler) in _TWO_STEPS


def function_name(sampler: comfy.samplers.KSAMPLER) -> str:
    """Return the name of the function that samples."""
    return getattr(sampler.sampler_function, "__name__", "")


def inpaint_noise(sampler: comfy.samplers.KSAMPLER, noise: Tensor, seed: int) -> Tensor:
    """Return the noise (B, ...) that the host's KSAMPLER mixes into the kept part of a masked latent.

    With a generator of its own, in place of the global one that the host seeds.

    Args:
        sampler: the one that samples.
        noise: (B, ...), unit normal, the run's.
        seed: of the run.
    """
    if not sampler.inpaint_options.get("random", False):
        return noise
    return torch.randn(noise.shape, generator=torch.Generator().manual_seed(seed + 1)).to(noise)


def takes_noise(sampler: comfy.samplers.KSAMPLER) -> bool:
    """Tell whether the sampler's function takes a ``noise_sampler``."""
    return "noise_sampler" in inspect.signature(sampler.sampler_function).parameters


def brings_noise(sampler: comfy.samplers.KSAMPLER) -> bool:
    """Tell whether the sampler was made with a ``noise_sampler``, whose draws cannot be repeated from a seed."""
    return sampler.extra_options.get("noise_sampler") is not None


def shown_as_part(
    callback: Callable[[int, Tensor, Tensor, int], None] | None, done: int, planned: int
) -> Callable[[int, Tensor, Tensor, int], None] | None:
    """Return a sampler's callback for a part of ``planned`` steps, of which ``done`` come before it."""
    if callback is None:
        return None
    return lambda step, denoised, x, _: callback(done + step, denoised, x, planned)
