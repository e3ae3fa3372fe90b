"""DDIM inversion, run as a sampler of the host, which loads the model, prepares conditions and shows progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...stereo_core.inversion import invert
from ...stereo_core.noise_forms import NoiseForm
from ...stereo_core.schedules import expect_schedule
from ...stereo_core.trajectory import Trajectory
from ..host import noise_form
from .latents import expect_memory_for_states, fit_samples
from .pairs import mark_pair
from .prompts import expect_prompt

# At noise level 1 a flow model's x is noise alone. The host starts a sampler from a given x by passing it as a latent
# divided by (1 - sigma), so sigma must stay below 1.
_LAST_FLOW_SIGMA = 0.9999


def invert_latent(
    model: ModelPatcher, positive: list[Any], latent: dict[str, Any], sigmas: Tensor, refine: int
) -> tuple[dict[str, Any], Trajectory]:
    """Invert a LATENT.

    Args:
        model: never changed.
        positive: conditioning; inversion runs without guidance.
        latent: LATENT of the picture or video, (B, C, H, W) or (B, C, T, H, W).
        sigmas: (N + 1,) noise levels of the schedule that will be sampled on, descending.
        refine: rounds of fixed-point iteration in each step, 0 for none.

    Returns:
        The LATENT at the first noise level, for a sampler without new noise, and x at all noise levels.

    Raises:
        ValueError: an empty latent, one of another model, or a schedule that this model cannot be inverted on.
    """
    samples = fit_samples("latent", model, latent)
    if not samples.count_nonzero():
        raise ValueError("latent: is empty, so there is no picture to invert. Connect VAE Encode.")
    expect_prompt("positive", positive, model)
    sigmas = _invertible_sigmas(model, sigmas)
    expect_memory_for_states("DDIM Inversion", samples, len(sigmas))
    inversion = _Inversion(refine)
    guider = comfy.samplers.CFGGuider(model)
    guider.inner_set_conds({"positive": positive})
    noise = guider.sample(
        torch.zeros_like(samples),
        samples,
        inversion,
        sigmas,
        callback=latent_preview.prepare_callback(model, len(sigmas) - 1),
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=0,
    )
    # With a mask, the sampler would take the noise for the picture to keep.
    kept = {key: value for key, value in latent.items() if key != "noise_mask"}
    noise = noise.to(comfy.model_management.intermediate_device())
    return {**kept, "samples": noise}, inversion.trajectory


class _Inversion(comfy.samplers.Sampler):
    """Inversion in the place of a sampler.

    Attributes:
        trajectory: x at all noise levels, once the inversion is done.
    """

    trajectory: Trajectory

    def __init__(self, refine: int) -> None:
        self.refine = refine

    def sample(
        self,
        model_wrap: comfy.samplers.CFGGuider,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Callable[[int, Tensor, Tensor, int], None],
        _noise: Tensor,
        latent_image: Tensor,
        *_: object,
    ) -> Tensor:
        """Invert ``latent_image`` when one of the host's guiders calls.

        Args:
            model_wrap: the guider.
            sigmas: (N + 1,) noise levels, descending.
            extra_args: ``model_options`` and ``seed``.
            callback: called after each step with its number, the denoised estimate, x, and the number of steps.
            latent_image: (B, ...), the picture or video.

        Returns:
            (B, ...), x at the first noise level, scaled as a latent of the host.
        """
        sampling = model_wrap.inner_model.model_sampling
        denoised = latent_image
        options = mark_pair(extra_args["model_options"], paired=False)

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            nonlocal denoised
            comfy.model_management.throw_exception_if_processing_interrupted()
            denoised = model_wrap(x, sigma.expand(len(x)), model_options=options, seed=extra_args["seed"])
            return denoised

        steps = len(sigmas) - 1
        self.trajectory = invert(
            denoise,
            latent_image,
            sigmas,
            float(sampling.sigma_min),
            self.refine,
            lambda step, x: callback(step, denoised, x, steps),
        )
        return sampling.inverse_noise_scaling(sigmas[0], self.trajectory.states[0].to(latent_image))


def _invertible_sigmas(model: ModelPatcher, sigmas: Tensor) -> Tensor:
    """Return the schedule (N + 1,) with a flow model's first noise level below 1."""
    expect_schedule(sigmas)
    sigmas = sigmas.float().cpu().clone()
    if noise_form(model.get_model_object("model_sampling")) is NoiseForm.FLOW:
        sigmas[0] = sigmas[0].clamp_max(_LAST_FLOW_SIGMA)
        if sigmas[1] >= sigmas[0]:
            raise ValueError(
                f"sigmas: the second noise level, {float(sigmas[1]):.6g}, is not below {_LAST_FLOW_SIGMA}, where "
                "inversion of this model stops. Use fewer steps or a smaller shift."
            )
    return sigmas
