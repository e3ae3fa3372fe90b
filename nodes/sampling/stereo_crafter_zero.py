"""StereoCrafter-Zero around any of the host's samplers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import comfy.model_base
import comfy.samplers
import torch
from torch import Tensor

from ...stereo_core.right_view import LeftView
from ...stereo_core.schedules import noise_to_signal
from ...stereo_core.stereo_crafter_zero import CrafterPlan, CrafterSettings, plan_crafter, sample_right
from ...stereo_core.stereo_depth import StereoDepth
from ...stereo_core.trajectory import Trajectory
from ...stereo_core.view_pairs import RightShifted
from ...stereo_core.view_shift import HoleFill, ShiftForm
from ..attention.model_patch import couples_views
from ..attention.windows import expect_whole_batch
from ..host import noise_form
from .caches import tell_caches
from .given_views import read_views
from .host_samplers import expect_steppable
from .latents import latent_disparity
from .noise_streams import NoiseStreams, tell_sampler
from .pairs import make_room
from .picture_shift import expect_vae_fits, make_shift
from .placed_inputs import expect_known
from .stepwise import StepwiseRun

OPTIONS = "Stereo Video Options"
"""The node that holds what is done to the right view, by its display name, for messages."""


class StereoCrafterZeroSampler(comfy.samplers.Sampler):
    """Samples the right view of a recorded left view, for latents of clips and of pictures.

    Takes (B, ...) or (2B, ...) and returns (2B, ...), left entries first; the left view is the trajectory's to the bit.
    """

    def __init__(
        self,
        sampler: object,
        depth: StereoDepth,
        trajectory: Trajectory | None,
        settings: CrafterSettings,
        tell: Callable[[Tensor, str], None] | None = None,
        vae: Any = None,
    ) -> None:
        """Take what the nodes have.

        Args:
            sampler: takes the steps. One of this class is joined to this one: its refinement, and what it takes its
                steps with.
            depth: of the left view.
            trajectory: x of the left view at all noise levels; ``None``, from an unconnected socket, is refused.
            settings: what is done to the right view.
            tell: called with the latent's disparity, and what is planned in words, once they are known.
            vae: of the model, to shift in the picture; ``None`` shifts the latent itself.

        Raises:
            ValueError: no trajectory, a fill that breaks video models, a VAE for a shift by whole columns, or a sampler
                that cannot be stopped between steps.
        """
        if trajectory is None:
            raise ValueError(
                "trajectory: nothing is connected. Sample the left view first with Record Left View, on the same "
                "sigmas, and connect its trajectory."
            )
        if HoleFill(settings.fill) is HoleFill.ZEROS:
            raise ValueError(f"fill of {OPTIONS}: zeros leave flat holes, which break video models. Use background.")
        if isinstance(sampler, StereoCrafterZeroSampler):
            vae = sampler.vae if vae is None else vae
            sampler, settings = sampler.inner, replace(settings, refine=sampler.settings.refine)
        expect_vae_fits(vae, settings.shift, OPTIONS)
        self.inner = expect_steppable(sampler)
        self.depth, self.trajectory, self.settings, self.tell, self.vae = depth, trajectory, settings, tell, vae

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
            sigmas: (N + 1,) noise levels, descending: the trajectory's, or a part of them.
            extra_args: ``model_options`` and ``seed``.
            callback: the host's, for previews.
            noise: (B, ...), the left view's, or (2B, ...), zeros beside a pair.
            latent_image: as ``noise``.
            denoise_mask: as ``noise``, in [0, 1], 1 = repaint; or ``None``.
            disable_pbar: whether the console shows no bar.

        Returns:
            (2B, ...), all left entries, then all right ones.
        """
        seed = extra_args.get("seed")
        given = read_views(self, self.trajectory, model_wrap, sigmas, seed, noise, latent_image, denoise_mask)
        by_frame = len(self.depth.inverse_depth) > 1
        expect_known(model_wrap, extra_args["model_options"], given.noise.shape, by_frame)
        latent_format = model_wrap.inner_model.latent_format
        disparity = latent_disparity(self.depth, given.noise.shape, latent_format, self.settings.shift, OPTIONS)
        left = self._left_view(model_wrap, sigmas, given.noise, disparity)
        streams = NoiseStreams(self.inner, given.noise, sigmas, seed, self.trajectory)
        options = extra_args["model_options"]
        plan = self._plan(left, sigmas, options, streams)
        if any(plan.by_pair):
            expect_whole_batch(options)
        if self.tell is not None:
            told = plan.describe(self._estimates(plan, given.right is None))
            lines = [told, tell_caches(options), tell_sampler(self.inner, self.trajectory)]
            self.tell(disparity, "\n".join(filter(None, lines)))
        run = StepwiseRun(
            self.inner,
            model_wrap,
            sigmas,
            extra_args,
            callback,
            given.noise,
            given.latent,
            given.mask,
            disable_pbar,
            plan.again,
            streams,
            depth=self.depth,
        )
        run.double(RightShifted(left.shift), left.denoised)
        if any(plan.by_pair):
            make_room(model_wrap, torch.Size((2 * len(given.noise), *given.noise.shape[1:])))
        right = sample_right(run, left, plan, self.settings, streams.seed, given.right)
        return run.finish(torch.cat([left.x(run.steps), right]))

    def _left_view(self, guider: comfy.samplers.CFGGuider, sigmas: Tensor, like: Tensor, disparity: Tensor) -> LeftView:
        model = guider.inner_model
        shift = make_shift(disparity.to(like.device), self.settings.shift, self.vae, self.depth, guider)
        # Where the batch axis holds frames, they are one clip with one border.
        one_clip = isinstance(model, comfy.model_base.SVD_img2vid)
        return LeftView(self.trajectory, sigmas, like, shift, noise_form(model.model_sampling), one_clip)

    def _plan(
        self, left: LeftView, sigmas: Tensor, model_options: dict[str, Any], streams: NoiseStreams
    ) -> CrafterPlan:
        steps = len(sigmas) - 1
        by_pair = [couples_views(model_options, sigmas, step) for step in range(steps)]
        levels = noise_to_signal(left.sigmas, left.form)
        return plan_crafter(self.settings, levels, left.first, by_pair, streams.changes(steps))

    def _estimates(self, plan: CrafterPlan, made: bool) -> int:
        """How often the model is asked for the left view's estimate alone; ``made``: the right view is made here."""
        asked = self.settings.shift is ShiftForm.SUB_COLUMN and self.trajectory.draws_noise
        return plan.warps(made) if asked else 0
