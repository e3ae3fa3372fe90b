"""The sampler behind the video nodes: noisy restart, iterative refinement, or both, beside a recorded left view."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import comfy.model_base
import comfy.samplers
import torch
from torch import Tensor

from ..stereo_core.disparity import StereoGeometry
from ..stereo_core.iterative_refinement import RefineSettings
from ..stereo_core.latent_shift import HoleFill
from ..stereo_core.noisy_restart import RestartSettings
from ..stereo_core.stereo_sampling import start_pair
from ..stereo_core.trajectory import Trajectory
from .attention_patching import couples_views
from .inner_sampler import expect_long_enough, expect_steppable
from .latent_geometry import latent_columns
from .right_view import LeftView, RightView
from .segments import Segments, make_room, noise_form
from .views_given import conditions_differ, read_views

_REMEDY = "The left view is put back between them: use euler, euler_ancestral or dpmpp_2m."


class VideoPairSampler(comfy.samplers.Sampler):
    """StereoCrafter-Zero around any of the host's samplers, for latents of clips and of pictures.

    (B, ...) or (2B, ...) in, (2B, ...) out, left entries first; the left view is the trajectory's to the bit.
    """

    def __init__(
        self,
        sampler: object,
        depth: Tensor,
        geometry: StereoGeometry,
        trajectory: Trajectory | None,
        restart: RestartSettings | None = None,
        refinement: RefineSettings | None = None,
        fill: HoleFill = HoleFill.LEFT,
    ) -> None:
        """As the nodes have it.

        Args:
            sampler: takes the steps.
            depth: IMAGE, of the left view.
            geometry: how deep the stereo is.
            trajectory: the left view's states.
            restart: of the first steps; ``None`` for none.
            refinement: of the others; ``None`` for none.
            fill: what the holes of a view that is made at the first step hold.
        """
        if trajectory is None:
            raise ValueError(
                "trajectory: nothing is connected. Sample the left view first with Left Trajectory, on the same "
                "sigmas, and connect its trajectory."
            )
        if HoleFill(fill) is HoleFill.ZEROS:
            raise ValueError("fill: zeros are the same column over and over, which breaks video models. Use left.")
        self.inner = expect_steppable(sampler)
        self.depth, self.geometry, self.trajectory = depth, geometry, trajectory
        self.restart, self.refinement, self.fill = restart, refinement, fill

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
        """Called by the host's guiders."""
        form = noise_form(model_wrap.inner_model.model_sampling)
        seed = extra_args.get("seed")
        given = read_views(self, self.trajectory, model_wrap, sigmas, seed, noise, latent_image, denoise_mask)
        disparity = latent_columns(given.noise.shape, self.depth, self.geometry).to(noise.device)
        # Where frames are the batch they are one clip with one border.
        one_clip = isinstance(model_wrap.inner_model, comfy.model_base.SVD_img2vid)
        left = LeftView(self.trajectory, sigmas, given.noise, disparity, form, one_clip)
        first, steps = left.first, len(sigmas) - 1

        end = self.restart.end(left.steps, first, first + steps) - first if self.restart else 0
        repeats = self.refinement.repeats(left.steps, first + end, first + steps) if self.refinement else {}
        repeats = {step - first: count for step, count in repeats.items()}
        by_pair = self._by_pair(model_wrap, extra_args["model_options"], sigmas, len(given.noise))
        cuts = {end, steps, *repeats, *(step + 1 for step in repeats)}
        cuts |= {cut for step in range(end, steps) if by_pair[step] for cut in (step, step + 1)}
        expect_long_enough(self.inner, [*range(end), *sorted(cuts)], _REMEDY)

        iterations = self.restart.iterations if self.restart else 1
        planned = (iterations - 1) * end + sum(repeats.values()) - len(repeats)
        run = Segments(
            self.inner,
            model_wrap,
            sigmas,
            extra_args,
            callback,
            given.noise,
            given.latent,
            given.mask,
            disable_pbar,
            planned,
        )
        run.double(lambda values, fill: start_pair(values, disparity, fill), left.denoised)
        if any(by_pair):
            make_room(model_wrap, torch.Size((2 * len(given.noise), *given.noise.shape[1:])))
        right = RightView(run, left, by_pair)
        state = given.right if given.right is not None else right.first_filling(self.fill)
        if end:
            state = right.restart(state, end, self.restart)
        elif given.right is None:
            state = right.compose(0, state)
        for start, stop in itertools.pairwise(sorted(cuts)):
            if start in repeats:
                state = right.refine(state, start, repeats[start], self.refinement)
            else:
                state = right.advance(state, start, stop)
        return run.finish(torch.cat([left.state(steps), state]))

    @staticmethod
    def _by_pair(
        guider: comfy.samplers.CFGGuider, model_options: dict[str, Any], sigmas: Tensor, entries: int
    ) -> list[bool]:
        """Whether each step needs both views; the left one is known, and reckoned only for what the right takes."""
        steps = len(sigmas) - 1
        if conditions_differ(guider.conds, entries):
            return [True] * steps
        return [couples_views(model_options, sigmas, step) for step in range(steps)]
