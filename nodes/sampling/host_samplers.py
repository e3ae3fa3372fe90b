"""What a sampler must be to run in pieces, and the random stream it draws from."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable

import comfy.k_diffusion.sampling
import comfy.samplers
import torch
from torch import Tensor

# The host's functions whose own noise is a Brownian path; all others draw afresh at each step.
_BROWNIAN = {"sample_dpmpp_sde", "sample_dpmpp_2m_sde", "sample_dpmpp_2m_sde_heun", "sample_dpmpp_3m_sde"}
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


class NoiseStream:
    """The random stream that a sampler function draws from, the host's own to the bit, and how far it is drawn.

    Attributes:
        drawn: how often it has been drawn from.
    """

    def __init__(self, sampler: comfy.samplers.KSAMPLER, like: Tensor, sigmas: Tensor, seed: int | None) -> None:
        """For a function that takes a ``noise_sampler``, a whole schedule, and noise of the shape of ``like``."""
        self._made_of = sampler, like, sigmas, seed
        # A path has its noise by the level: it need not be drawn in order.
        self._by_level = function_name(sampler).removesuffix("_gpu") in _BROWNIAN
        self._draw, self.drawn = _host_stream(*self._made_of), 0

    def __call__(self, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        self.drawn += 1
        return self._draw(sigma, sigma_next)

    def seek(self, drawn: int) -> None:
        """Go to where it has been drawn from ``drawn`` times."""
        if drawn < self.drawn:
            self._draw, self.drawn = _host_stream(*self._made_of), 0
        while self.drawn < drawn and not self._by_level:
            self(self._made_of[2][0], self._made_of[2][-1])  # such a stream does not look at the levels
        self.drawn = drawn


def takes_noise(sampler: comfy.samplers.KSAMPLER) -> bool:
    """Whether the function can be given its noise."""
    return "noise_sampler" in inspect.signature(sampler.sampler_function).parameters


def brings_noise(sampler: comfy.samplers.KSAMPLER) -> bool:
    """Whether whoever made the sampler gave it a random stream, which cannot be made again from a seed."""
    return sampler.extra_options.get("noise_sampler") is not None


def _host_stream(
    sampler: comfy.samplers.KSAMPLER, like: Tensor, sigmas: Tensor, seed: int | None
) -> Callable[[Tensor, Tensor], Tensor]:
    if brings_noise(sampler):
        return sampler.extra_options["noise_sampler"]
    name = function_name(sampler)
    on_cpu = not name.endswith("_gpu")
    if name.removesuffix("_gpu") in _BROWNIAN:
        low, high = sigmas[sigmas > 0].min(), sigmas.max()
        return comfy.k_diffusion.sampling.BrownianTreeNoiseSampler(like, low, high, seed=seed, cpu=on_cpu)
    return comfy.k_diffusion.sampling.default_noise_sampler(like, seed=seed)
