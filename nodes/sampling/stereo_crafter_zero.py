"""StereoCrafter-Zero around any of the host's samplers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import comfy.model_base
import comfy.samplers
import torch
from torch import Tensor

from ...stereo_core.latent_shift import HoleFill
from ...stereo_core.right_view import LeftView
from ...stereo_core.stereo_crafter_zero import CrafterPlan, CrafterSettings, plan_crafter, sample_right
from ...stereo_core.stereo_depth import StereoDepth
from ...stereo_core.trajectory import Trajectory
from ...stereo_core.view_pairs import start_pair
from ..attention.model_patch import couples_views
from ..host import noise_form
from .given_views import conditions_differ, read_views
from .host_samplers import expect_long_enough, expect_steppable
from .latents import latent_disparity
from .noise_streams import NoiseStreams
from .stepwise import StepwiseRun, make_room

_REMEDY = "The left view is put back between them: use euler, euler_ancestral or dpmpp_2m."


class StereoCrafterZeroSampler(comfy.samplers.Sampler):
    """The right view beside a recorded left one, for latents of clips and of pictures.

    (B, ...) or (2B, ...) in, (2B, ...) out, left entries first; the left view is the trajectory's to the bit.
    """

    def __init__(
        self, sampler: object, depth: StereoDepth, trajectory: Trajectory | None, settings: CrafterSettings
    ) -> None:
        """Take what the nodes have.

        Args:
            sampler: takes the steps.
            depth: of the left view.
            trajectory: the left view's known path.
            settings: what is done to the right view.

        Raises:
            ValueError: no trajectory, a fill that breaks video models, or a sampler that cannot be stopped between
                steps.
        """
        if trajectory is None:
            raise ValueError(
                "trajectory: nothing is connected. Sample the left view first with Left Trajectory, on the same "
                "sigmas, and connect its trajectory."
            )
        if HoleFill(settings.fill) is HoleFill.ZEROS:
            raise ValueError("fill: zeros are the same column over and over, which breaks video models. Use left.")
        self.inner = expect_steppable(sampler)
        self.depth, self.trajectory, self.settings = depth, trajectory, settings

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
        """Sample as the host's guiders ask: noise, latent and mask of one view or of the pair, (N + 1,) sigmas."""
        seed = extra_args.get("seed")
        given = read_views(self, self.trajectory, model_wrap, sigmas, seed, noise, latent_image, denoise_mask)
        left = self._left_view(model_wrap.inner_model, sigmas, given.noise)
        streams = NoiseStreams(self.inner, given.noise, sigmas, seed, self.trajectory)
        plan = self._plan(left, model_wrap, sigmas, extra_args["model_options"], streams, len(given.noise))
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
        )
        run.double(partial(start_pair, disparity=left.disparity), left.denoised)
        if any(plan.by_pair):
            make_room(model_wrap, torch.Size((2 * len(given.noise), *given.noise.shape[1:])))
        right = sample_right(run, left, plan, self.settings, streams.seed, given.right)
        return run.finish(torch.cat([left.x(run.steps), right]))

    def _left_view(self, model: comfy.model_base.BaseModel, sigmas: Tensor, like: Tensor) -> LeftView:
        disparity = latent_disparity(self.depth, like.shape, model.latent_format).to(like.device)
        # Where frames are the batch they are one clip with one border.
        one_clip = isinstance(model, comfy.model_base.SVD_img2vid)
        return LeftView(self.trajectory, sigmas, like, disparity, noise_form(model.model_sampling), one_clip)

    def _plan(
        self,
        left: LeftView,
        guider: comfy.samplers.CFGGuider,
        sigmas: Tensor,
        model_options: dict[str, Any],
        streams: NoiseStreams,
        entries: int,
    ) -> CrafterPlan:
        steps = len(sigmas) - 1
        differ = conditions_differ(guider.conds, entries)
        by_pair = [differ or couples_views(model_options, sigmas, step) for step in range(steps)]
        plan = plan_crafter(self.settings, left.steps, left.first, by_pair, streams.changes(steps))
        expect_long_enough(self.inner, plan.pieces, _REMEDY)
        return plan
