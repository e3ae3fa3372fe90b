"""The sampler behind the stereo sampling nodes: one view until the shift, then the pair."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import comfy.samplers
import torch
from torch import Tensor

from ...stereo_core.geometry import StereoGeometry
from ...stereo_core.stereo_diffusion import ShiftSettings, filling, renew_right, replace_left, start_pair
from ...stereo_core.trajectory import Trajectory
from .host_samplers import expect_long_enough, expect_steppable
from .latent_geometry import latent_columns
from .noise_streams import NoiseStreams
from .stepwise import Segments, make_room, noise_form

# Keeps the noise in holes apart from the noise that the same seed starts the picture with.
_FILL_STREAM = 0x5DEECE66D


class PairSampler(comfy.samplers.Sampler):
    """StereoDiffusion around any of the host's samplers; (B, ...) in, (2B, ...) out, left entries first."""

    def __init__(
        self,
        sampler: object,
        depth: Tensor,
        geometry: StereoGeometry,
        settings: ShiftSettings,
        trajectory: Trajectory | None = None,
    ) -> None:
        if trajectory is not None and settings.shift_both:
            raise ValueError(
                "shift_both moves the left view, and a trajectory keeps it where it is. "
                "Turn shift_both off, or disconnect trajectory."
            )
        self.inner = expect_steppable(sampler)
        self.depth, self.geometry, self.settings, self.trajectory = depth, geometry, settings, trajectory

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
        _expect_one_view(noise, self.depth, extra_args["model_options"])
        ratio = model_wrap.inner_model.latent_format.temporal_downscale_ratio
        disparity = latent_columns(noise.shape, self.depth, self.geometry, ratio).to(noise.device)
        shift, renew, cuts = self._plan(len(sigmas) - 1)
        run = Segments(
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

        def make_pair(values: Tensor, fill: Tensor) -> Tensor:
            return start_pair(values, disparity, fill, self.settings.shift_both)

        if self.trajectory is None:
            left = run.run(run.start(), 0, shift)
        else:
            left = _replayed(self.trajectory, sigmas[shift], noise)
        generator = torch.Generator().manual_seed((run.seed + _FILL_STREAM) % 2**63)
        fill = filling(left, self.settings.fill, sigmas[shift], noise_form(run.model_sampling), generator)
        state = make_pair(left, fill)
        run.double(make_pair)

        for first, last in itertools.pairwise(cuts):
            state = run.run(state, first, last)
            if self.trajectory is not None:
                state = replace_left(state, _replayed(self.trajectory, sigmas[last], noise))
            if last in renew:
                state = renew_right(state, disparity, self.settings.shift_both)
        return run.finish(state)

    def _recorded_noise(self, like: Tensor, sigmas: Tensor, seed: int | None) -> NoiseStreams | None:
        """What the recorded left view drew, if it was recorded: inverted ones drew nothing."""
        if self.trajectory is None or not self.trajectory.noise:
            return None
        return NoiseStreams(self.inner, like, sigmas, seed, self.trajectory)

    def _plan(self, steps: int) -> tuple[int, tuple[int, ...], list[int]]:
        """The step of the shift, those of renewal, and where the pair's part of the schedule is cut."""
        if steps < 1:
            raise ValueError("sigmas: the schedule has no step. Use at least 1 step, and a denoise above 0.")
        shift, renew = self.settings.schedule(steps)
        # A replayed left view is set anew after every step, and is known at the shift without a step before.
        edits = renew if self.trajectory is None else range(shift + 1, steps)
        cuts = sorted({shift, *edits, steps})
        alone = [0] if self.trajectory is None and shift > 0 else []
        expect_long_enough(self.inner, [*alone, *cuts])
        return shift, renew, cuts


def _replayed(trajectory: Trajectory, sigma: Tensor, like: Tensor) -> Tensor:
    state = trajectory.at(sigma.item())
    if state.shape != like.shape:
        raise ValueError(
            f"trajectory: holds a latent of {tuple(state.shape)}, the one to sample has {tuple(like.shape)}. "
            "Invert or record the same picture at the same size."
        )
    return state.to(like)


def _expect_one_view(noise: Tensor, depth: Tensor, model_options: dict[str, Any]) -> None:
    if noise.ndim not in (4, 5):
        raise ValueError(
            "latent_image: expected a picture latent (B, C, H, W) or a video latent (B, C, T, H, W). "
            "Latents with several parts, as of video with sound, cannot be shifted: use a model of one part."
        )
    halves = noise.chunk(2)
    # Latent Stereo Shift and this sampler give both eyes the same noise; two pictures never have it by chance.
    if len(noise) % 2 == 0 and len(depth) < len(noise) and noise.any() and torch.equal(*halves):
        raise ValueError(
            "latent_image: already holds both views. Connect the latent of the left view alone: "
            "this sampler makes the right one itself."
        )
    if getattr(model_options.get("context_handler"), "dim", None) == 0:
        raise ValueError(
            "model: context windows over the batch would cut across the two views. "
            "Disconnect the context window node, or sample fewer frames."
        )
