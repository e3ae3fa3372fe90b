"""StereoDiffusion around any of the host's samplers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.samplers
import torch
from torch import Tensor

from ...stereo_core.schedules import expect_steps
from ...stereo_core.stereo_depth import StereoDepth
from ...stereo_core.stereo_diffusion import ShiftSettings, sample_pair
from ...stereo_core.trajectory import Trajectory
from ...stereo_core.view_pairs import BothShifted, Pairing, RightShifted
from ..attention.model_patch import changes_left
from ..attention.windows import expect_whole_batch
from ..host import noise_form
from .caches import tell_caches
from .host_samplers import expect_steppable, goes_step_by_step, shown_as_part
from .latents import ALREADY_A_PAIR, expect_latent_of, latent_disparity
from .noise_streams import NoiseStreams
from .pairs import make_room
from .picture_shift import expect_vae_fits, make_shift
from .placed_inputs import expect_known
from .recording import RecordingSampler
from .stepwise import StepwiseRun

OPTIONS = "Stereo Picture Options"
"""The node that holds the settings of Stereo KSampler, by its display name, for messages."""


class StereoDiffusionSampler(comfy.samplers.Sampler):
    """Samples one view until the shift, then the pair: takes (B, ...), returns (2B, ...), left entries first."""

    def __init__(
        self,
        sampler: object,
        depth: StereoDepth,
        settings: ShiftSettings,
        trajectory: Trajectory | None = None,
        tell: Callable[[Tensor, str], None] | None = None,
        vae: Any = None,
        options: str = "",
    ) -> None:
        """Take what the nodes have.

        Args:
            sampler: takes the steps.
            depth: of the left view.
            settings: when and how one view becomes two.
            trajectory: x of the left view at all noise levels, which that view then follows exactly.
            tell: called with the latent's disparity, and a line on what is left out, if anything is, once they are
                known.
            vae: of the model, to shift in the picture; ``None`` shifts the latent itself.
            options: the node that the settings are on, where that is another one than the sampler's, for messages.

        Raises:
            ValueError: a sampler that cannot be stopped between steps, or settings that exclude each other.
        """
        expect_vae_fits(vae, settings.shift, options)
        if trajectory is not None and settings.shift_both:
            raise ValueError(
                f"shift_both{options and f' of {options}'} moves the left view, and trajectory keeps it where it is. "
                "Turn shift_both off, or disconnect trajectory."
            )
        self.inner = expect_steppable(sampler)
        self.depth, self.settings, self.trajectory, self.tell, self.vae = depth, settings, trajectory, tell, vae
        self.options = options

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
            noise: (B, ...), unit normal.
            latent_image: (B, ...).
            denoise_mask: (B, ...) in [0, 1], 1 = repaint, or ``None``.
            disable_pbar: whether the console shows no bar.

        Returns:
            (2B, ...), all left entries, then all right ones.
        """
        expect_latent_of("latent_image", latent_image, model_wrap.inner_model.latent_format)
        self._check(noise, sigmas, extra_args["model_options"])
        by_frame = len(self.depth.inverse_depth) > 1
        expect_known(model_wrap, extra_args["model_options"], noise.shape, by_frame)
        cached = tell_caches(extra_args["model_options"])
        pairing = self._pairing(noise, model_wrap, cached)
        steps, shift = len(sigmas) - 1, self.settings.schedule(len(sigmas) - 1).shift
        trajectory, report = self.trajectory, callback
        if trajectory is None and not self._moves_left(extra_args["model_options"], cached):
            # The depth belongs to the plain picture. Cut at the shift a sampler that remembers steps would make another
            # one, and an evaluation in one batch with the right view rounds otherwise.
            planned = 2 * steps - shift
            recorder = RecordingSampler(self.inner)
            recorder.sample(
                model_wrap,
                sigmas.clone(),
                extra_args,
                shown_as_part(callback, 0, planned),
                noise,
                latent_image,
                denoise_mask,
                disable_pbar,
            )
            trajectory, report = recorder.trajectory, shown_as_part(callback, steps - shift, planned)
        run = StepwiseRun(
            self.inner,
            model_wrap,
            sigmas,
            extra_args,
            report,
            noise,
            latent_image,
            denoise_mask,
            disable_pbar,
            streams=self._recorded_noise(trajectory, noise, sigmas, extra_args.get("seed")),
            depth=self.depth,
        )
        make_room(model_wrap, torch.Size((2 * noise.shape[0], *noise.shape[1:])))
        x = run.start() if trajectory is None else noise
        form = noise_form(run.model_sampling)
        by_step = self.trajectory is not None
        return run.finish(sample_pair(run, x, sigmas, pairing, form, self.settings, run.seed, trajectory, by_step))

    def _moves_left(self, model_options: dict[str, Any], cached: str) -> bool:
        """Tell whether the left view is meant to be another one than the plain run's; StereoDiffusion's ``joint``."""
        if self.settings.shift_both:
            return True
        return changes_left(model_options) and goes_step_by_step(self.inner) and not cached

    def _pairing(self, like: Tensor, guider: comfy.samplers.CFGGuider, more: str) -> Pairing:
        latent_format = guider.inner_model.latent_format
        disparity = latent_disparity(self.depth, like.shape, latent_format, self.settings.shift, self.options)
        disparity = disparity.to(like.device)
        if self.tell is not None:
            self.tell(disparity, more)
        if self.settings.shift_both:
            return BothShifted(disparity)
        return RightShifted(make_shift(disparity, self.settings.shift, self.vae, self.depth, guider))

    def _recorded_noise(
        self, trajectory: Trajectory | None, like: Tensor, sigmas: Tensor, seed: int | None
    ) -> NoiseStreams | None:
        """Return the noise that the left view drew if it was recorded; an inverted view drew none."""
        if trajectory is None or not trajectory.noise:
            return None
        return NoiseStreams(self.inner, like, sigmas, seed, trajectory)

    def _check(self, noise: Tensor, sigmas: Tensor, model_options: dict[str, Any]) -> None:
        # In a pair from this pack both eyes have the same noise; two pictures never have the same by chance.
        fewer_maps = len(self.depth.inverse_depth) < len(noise)
        if len(noise) % 2 == 0 and fewer_maps and noise.any() and torch.equal(*noise.chunk(2)):
            raise ValueError(ALREADY_A_PAIR)
        expect_whole_batch(model_options)
        expect_steps(sigmas)
