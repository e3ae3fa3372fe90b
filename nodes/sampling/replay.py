"""Starts a run from a trajectory's first x, whatever noise the host was given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.samplers
import torch
from torch import Tensor

from ...stereo_core.trajectory import Trajectory


class ReplayStart(comfy.samplers.Sampler):
    """Gives a sampler the noise that, with its latent, makes the trajectory's x at the first noise level."""

    def __init__(self, sampler: comfy.samplers.Sampler, trajectory: Trajectory) -> None:
        self.inner, self.trajectory = sampler, trajectory

    def sample(
        self,
        model_wrap: comfy.samplers.CFGGuider,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Callable[[int, Tensor, Tensor, int], None] | None,
        noise: Tensor,
        latent_image: Tensor,
        denoise_mask: Tensor | None = None,
        disable_pbar: bool = False,
    ) -> Tensor:
        """Sample when one of the host's guiders calls.

        Args:
            model_wrap: the guider.
            sigmas: (N + 1,) noise levels, descending.
            extra_args: ``model_options`` and ``seed``.
            callback: the host's, for previews.
            noise: (B, ...), replaced where the trajectory has that shape.
            latent_image: (B, ...).
            denoise_mask: (B, ...) in [0, 1], 1 = repaint, or ``None``.
            disable_pbar: whether the console shows no bar.

        Returns:
            What the wrapped sampler returns.
        """
        x = self.trajectory.at(float(sigmas[0])).to(noise)
        if x.shape == noise.shape:
            scale = model_wrap.inner_model.model_sampling.noise_scaling
            at_most = self.inner.max_denoise(model_wrap, sigmas)
            nothing = torch.zeros_like(noise)
            without = scale(sigmas[0], nothing, latent_image, at_most)
            noise = (x - without) / scale(sigmas[0], torch.ones_like(noise), nothing, at_most)
        return self.inner.sample(
            model_wrap, sigmas, extra_args, callback, noise, latent_image, denoise_mask, disable_pbar
        )
