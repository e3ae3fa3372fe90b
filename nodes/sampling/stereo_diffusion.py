"""StereoDiffusion around any of the host's samplers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.samplers
import torch
from torch import Tensor

from ...stereo_core.schedules import expect_steps
from ...stereo_core.seeds import Stream, make_generator
from ...stereo_core.stereo_depth import StereoDepth
from ...stereo_core.stereo_diffusion import ShiftSettings, plan_pair, sample_pair
from ...stereo_core.trajectory import Trajectory
from ..host import noise_form
from .host_samplers import expect_long_enough, expect_steppable
from .latents import ALREADY_A_PAIR, expect_latent, latent_disparity
from .noise_streams import NoiseStreams
from .stepwise import StepwiseRun, make_room


class StereoDiffusionSampler(comfy.samplers.Sampler):
    """One view until the shift, then the pair: (B, ...) in, (2B, ...) out, left entries first."""

    def __init__(
        self,
        sampler: object,
        depth: StereoDepth,
        settings: ShiftSettings,
        trajectory: Trajectory | None = None,
    ) -> None:
        """Take what the nodes have.

        Args:
            sampler: takes the steps.
            depth: of the left view.
            settings: when and how one view becomes two.
            trajectory: the left view's known path, which it then follows exactly.

        Raises:
            ValueError: a sampler that cannot be stopped between steps, or both views moved where one is known.
        """
        if trajectory is not None and settings.shift_both:
            raise ValueError(
                "shift_both moves the left view, and a trajectory keeps it where it is. "
                "Turn shift_both off, or disconnect trajectory."
            )
        self.inner = expect_steppable(sampler)
        self.depth, self.settings, self.trajectory = depth, settings, trajectory

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
        """Sample as the host's guiders ask: (B, ...) noise, latent and mask, (N + 1,) sigmas."""
        self._check(noise, sigmas, extra_args["model_options"])
        disparity = latent_disparity(self.depth, noise.shape, model_wrap.inner_model.latent_format).to(noise.device)
        run = StepwiseRun(
            self.inner,
            model_wrap,
            sigmas,
            extra_args,
            callback,
            noise,
            latent_image,
            denoise_mask,
            disable_pbar,
            streams=self._recorded_noise(noise, sigmas, extra_args.get("seed")),
        )
        make_room(model_wrap, torch.Size((2 * noise.shape[0], *noise.shape[1:])))
        pair = sample_pair(
            run,
            run.start() if self.trajectory is None else noise,
            sigmas,
            disparity,
            noise_form(run.model_sampling),
            self.settings,
            make_generator(run.seed, Stream.HOLES),
            self.trajectory,
        )
        return run.finish(pair)

    def _recorded_noise(self, like: Tensor, sigmas: Tensor, seed: int | None) -> NoiseStreams | None:
        """What the recorded left view drew, if it was recorded: inverted ones drew nothing."""
        if self.trajectory is None or not self.trajectory.noise:
            return None
        return NoiseStreams(self.inner, like, sigmas, seed, self.trajectory)

    def _check(self, noise: Tensor, sigmas: Tensor, model_options: dict[str, Any]) -> None:
        expect_latent("latent_image", noise)
        # Latent Stereo Shift and this sampler give both eyes the same noise; two pictures never have it by chance.
        fewer_maps = len(self.depth.inverse_depth) < len(noise)
        if len(noise) % 2 == 0 and fewer_maps and noise.any() and torch.equal(*noise.chunk(2)):
            raise ValueError(ALREADY_A_PAIR)
        if getattr(model_options.get("context_handler"), "dim", None) == 0:
            raise ValueError(
                "model: context windows over the batch would cut across the two views. "
                "Disconnect the context window node, or sample fewer frames."
            )
        expect_steps(sigmas)
        plan = plan_pair(self.settings, len(sigmas) - 1, self.trajectory is not None)
        expect_long_enough(self.inner, plan.pieces)
