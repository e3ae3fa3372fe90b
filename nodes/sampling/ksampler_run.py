"""KSampler's run with another sampler in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...stereo_core.stereo_depth import StereoDepth
from ...stereo_core.view_shift import ShiftForm
from .host_samplers import takes_noise
from .latents import fit_to_model, latent_disparity
from .prompts import expect_channels_fit, expect_prompts

_LAST_SEED = 2**64 - 1


@dataclass(frozen=True, slots=True)
class PlainRun:
    """A run as KSampler makes it; call it with a model and a sampler.

    Attributes:
        positive: conditioning.
        negative: conditioning.
        latent: the LATENT, as ``fit_to_model`` gives it: (B, C, H, W) or (B, C, T, H, W).
        seed: of the noise.
        cfg: guidance scale.
        sampler: the one that takes the steps of the plain run.
        sigmas: (N + 1,) noise levels, descending.
        fresh: whether noise is added to ``latent``; where it goes on from another part of the run it has its own.
    """

    positive: list[Any]
    negative: list[Any]
    latent: dict[str, Any]
    seed: int
    cfg: float
    sampler: comfy.samplers.KSAMPLER
    sigmas: Tensor
    fresh: bool = True

    def disparity(self, model: ModelPatcher, depth: StereoDepth, form: ShiftForm, options: str) -> Tensor:
        """Return the disparity of the latent, (B, 1, H, W) or (B, 1, T, H, W) in columns; see ``latent_disparity``."""
        latent_format = model.get_model_object("latent_format")
        return latent_disparity(depth, self.latent["samples"].shape, latent_format, form, options)

    def __call__(
        self, model: ModelPatcher, sampler: comfy.samplers.Sampler, done: int = 0, planned: int | None = None
    ) -> Tensor:
        """Sample.

        Args:
            model: never changed.
            sampler: makes the run.
            done: how many steps of the node's progress are done already.
            planned: how many steps its progress counts in all; ``None`` for those of this run.

        Returns:
            What ``sampler`` returns: (B, ...), or (2B, ...) for a pair.
        """
        samples = self.latent["samples"]
        if self.fresh:
            noise = comfy.sample.prepare_noise(samples, self.seed, self.latent.get("batch_index"))
        else:
            noise = torch.zeros_like(samples)
        shown = latent_preview.prepare_callback(model, planned or len(self.sigmas) - 1)

        def report(step: int, denoised: Tensor, x: Tensor, total: int) -> None:
            shown(done + step, denoised, x, planned or total)

        return comfy.sample.sample_custom(
            model,
            noise,
            self.cfg,
            sampler,
            self.sigmas.clone(),  # some of the host's samplers write into their schedule
            self.positive,
            self.negative,
            samples,
            noise_mask=self.latent.get("noise_mask"),
            callback=report,
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
            seed=self.seed,
        )


def plan_ksampler(
    # what to sample
    model: ModelPatcher,
    positive: list[Any],
    negative: list[Any],
    latent_image: dict[str, Any],
    # how
    seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    denoise: float,
) -> PlainRun:
    """Return the run that KSampler would make of these inputs.

    Raises:
        ValueError: a latent that cannot be shifted, is of another model or already holds both views, conditioning of
            another model, or no step to take.
    """
    sampler = comfy.samplers.sampler_object(sampler_name)
    sigmas = comfy.samplers.KSampler(model, steps, model.load_device, sampler_name, scheduler, denoise).sigmas
    if len(sigmas) < 2:
        raise ValueError(f"denoise: {denoise} leaves no step to take. Set it above 0.")
    if seed == _LAST_SEED and takes_noise(sampler) and model.load_device.type == "cpu":
        raise ValueError(f"seed: {seed} is the largest, and {sampler_name} draws from the next one. Set a smaller one.")
    latent = fit_to_model(model, latent_image)
    expect_prompts(model, positive=positive, negative=negative)
    expect_channels_fit(latent["samples"], positive=positive, negative=negative)
    return PlainRun(positive, negative, latent, seed, cfg, sampler, sigmas)
