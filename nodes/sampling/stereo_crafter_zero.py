"""The sampler behind the video nodes: noisy restart, iterative refinement, or both, beside a recorded left view."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import comfy.model_base
import comfy.samplers
import torch
from torch import Tensor

from ...stereo_core.geometry import StereoGeometry
from ...stereo_core.iterative_refinement import RefineSettings
from ...stereo_core.latent_shift import HoleFill
from ...stereo_core.noisy_restart import RestartSettings
from ...stereo_core.stereo_diffusion import start_pair
from ...stereo_core.trajectory import Trajectory
from ..attention.model_patch import couples_views
from .given_views import conditions_differ, read_views
from .host_samplers import expect_long_enough, expect_steppable
from .latent_geometry import latent_columns
from .noise_streams import NoiseStreams
from .right_view import LeftView, RightView
from .stepwise import Segments, make_room, noise_form

_REMEDY = "The left view is put back between them: use euler, euler_ancestral or dpmpp_2m."


class _Plan(NamedTuple):
    """What happens in one run, by its own steps.

    Attributes:
        restarted: how many of the first steps are restarted.
        repeats: how often each step with a warp before it is taken.
        cuts: where the part after the restart is cut, with its start and end.
        by_pair: whether each step needs both views; the left one is known, and run only for what the right takes.
        again: how many steps are taken once more, in all.
    """

    restarted: int
    repeats: dict[int, int]
    cuts: list[int]
    by_pair: list[bool]
    again: int


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
        ratio = model_wrap.inner_model.latent_format.temporal_downscale_ratio
        disparity = latent_columns(given.noise.shape, self.depth, self.geometry, ratio).to(noise.device)
        # Where frames are the batch they are one clip with one border.
        one_clip = isinstance(model_wrap.inner_model, comfy.model_base.SVD_img2vid)
        left = LeftView(self.trajectory, sigmas, given.noise, disparity, form, one_clip)
        options = extra_args["model_options"]
        differ = conditions_differ(model_wrap.conds, len(given.noise))
        by_pair = [differ or couples_views(options, sigmas, step) for step in range(len(sigmas) - 1)]
        streams = NoiseStreams(self.inner, given.noise, sigmas, seed, self.trajectory)
        plan = self._plan(left, by_pair, streams.changes(len(by_pair)))
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
            plan.again,
            streams,
        )
        run.double(lambda values, fill: start_pair(values, disparity, fill), left.denoised)
        if any(plan.by_pair):
            make_room(model_wrap, torch.Size((2 * len(given.noise), *given.noise.shape[1:])))
        right = RightView(run, left, plan.by_pair, streams.seed)
        state = given.right
        if plan.restarted:
            state = right.restart(
                right.first_filling(self.fill) if state is None else state, plan.restarted, self.restart
            )
        elif state is None:
            state = right.compose(0, right.first_filling(self.fill))
        for start, stop in itertools.pairwise(plan.cuts):
            if start in plan.repeats:
                state = right.refine(state, start, plan.repeats[start], self.refinement)
            else:
                state = right.advance(state, start, stop)
        return run.finish(torch.cat([left.state(run.steps), state]))

    def _plan(self, left: LeftView, by_pair: list[bool], changes: set[int]) -> _Plan:
        first, steps = left.first, len(by_pair)
        restarted, again, repeats = 0, 0, {}
        if self.restart is not None:
            restarted = self.restart.end(left.steps, first, first + steps) - first
            again = (self.restart.iterations - 1) * restarted
        if self.refinement is not None:
            places = self.refinement.repeats(left.steps, first + restarted, first + steps)
            repeats = {place - first: times for place, times in places.items()}
            again += sum(repeats.values()) - len(repeats)
        single = {*repeats, *(step for step in range(restarted, steps) if by_pair[step])}
        changes = {step for step in changes if step > restarted}
        cuts = sorted({restarted, steps, *single, *(step + 1 for step in single), *changes})
        expect_long_enough(self.inner, [*range(restarted), *cuts], _REMEDY)
        return _Plan(restarted, repeats, cuts, by_pair, again)
