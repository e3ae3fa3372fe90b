"""KSampler's run with another sampler in it, the latent it takes and the one a pair leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
from comfy.model_patcher import ModelPatcher
from torch import Tensor


def fit_to_model(model: ModelPatcher, latent: dict[str, Any]) -> dict[str, Any]:
    """Give an empty latent the model's channels and size, as the host's samplers do.

    Raises:
        ValueError: no latent of pictures or of one video.
    """
    ratios = {name: latent.get(name) for name in ("downscale_ratio_spacial", "downscale_ratio_temporal")}
    samples = comfy.sample.fix_empty_latent_channels(model, latent["samples"], *ratios.values())
    if samples.is_nested or samples.ndim not in (4, 5):
        raise ValueError(
            "latent_image: expected a picture latent (B, C, H, W) or a video latent (B, C, T, H, W), got "
            f"{'one with several parts' if samples.is_nested else tuple(samples.shape)}. "
            "Connect the latent of VAE Encode or an empty latent; separate sound from video first."
        )
    return {**{name: value for name, value in latent.items() if name not in ratios}, "samples": samples}


def pair_latent(latent: dict[str, Any], samples: Tensor) -> dict[str, Any]:
    """Return the latent of both views, (2B, ...), from the left one's: without its mask."""
    kept = {name: value for name, value in latent.items() if name != "noise_mask"}
    # Entries of the same number get the same noise from the host: both eyes start alike in a further sampler.
    batch_index = 2 * list(latent.get("batch_index", range(len(samples) // 2)))
    return {**kept, "samples": samples, "batch_index": batch_index}


@dataclass(frozen=True, slots=True)
class PlainRun:
    """A run as KSampler makes it; call it with a model and a sampler.

    Attributes:
        positive: conditioning.
        negative: conditioning.
        latent: the LATENT, as ``fit_to_model`` gives it.
        seed: of the noise.
        cfg: guidance.
        sigmas: the schedule.
    """

    positive: list[Any]
    negative: list[Any]
    latent: dict[str, Any]
    seed: int
    cfg: float
    sigmas: Tensor

    def __call__(
        self, model: ModelPatcher, sampler: comfy.samplers.Sampler, done: int = 0, planned: int | None = None
    ) -> Tensor:
        """Sample; where this is a part of ``planned`` steps, of which ``done`` are done, progress counts them all."""
        samples = self.latent["samples"]
        shown = latent_preview.prepare_callback(model, planned or len(self.sigmas) - 1)

        def report(step: int, denoised: Tensor, state: Tensor, total: int) -> None:
            shown(done + step, denoised, state, planned or total)

        return comfy.sample.sample_custom(
            model,
            comfy.sample.prepare_noise(samples, self.seed, self.latent.get("batch_index")),
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


def ksampler_sigmas(model: ModelPatcher, steps: int, sampler_name: str, scheduler: str, denoise: float) -> Tensor:
    """Return KSampler's schedule.

    Raises:
        ValueError: no step is left to take.
    """
    sigmas = comfy.samplers.KSampler(model, steps, model.load_device, sampler_name, scheduler, denoise).sigmas
    if len(sigmas) < 2:
        raise ValueError(f"denoise: {denoise} leaves no step to take. Set it above 0.")
    return sigmas
