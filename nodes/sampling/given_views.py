"""Reads what a sampler that follows a recorded left view is given: that view, or the pair of the sampler before."""

from __future__ import annotations

from typing import NamedTuple

import comfy.samplers
import torch
from torch import Tensor

from ...stereo_core.checks import describe_latent
from ...stereo_core.noise_forms import alpha
from ...stereo_core.schedules import expect_steps
from ...stereo_core.trajectory import Trajectory, same_latent
from ..host import noise_form
from .latents import expect_latent_of


class Views(NamedTuple):
    """A run's inputs, those of the left view alone.

    Attributes:
        noise: (B, ...), unit normal.
        latent: (B, ...), what a mask keeps.
        mask: (B, ...) in [0, 1], 1 = repaint, or ``None``.
        right: (B, ...), the right view's x at the first noise level; ``None`` where it still has to be made.
    """

    noise: Tensor
    latent: Tensor
    mask: Tensor | None
    right: Tensor | None


def read_views(
    sampler: comfy.samplers.Sampler,
    trajectory: Trajectory,
    guider: comfy.samplers.CFGGuider,
    sigmas: Tensor,
    seed: int | None,
    noise: Tensor,
    latent: Tensor,
    mask: Tensor | None,
) -> Views:
    """Find out by the trajectory's x at the first noise level whether a run is given one view or two.

    Args:
        sampler: the one that is called by the host.
        trajectory: of the left view, of B entries.
        guider: the sampler's ``model_wrap``; with a pair its conditions are prepared for one view.
        sigmas: (N + 1,) noise levels of the run, descending.
        seed: of the run.
        noise: (B, ...) or (2B, ...), unit normal.
        latent: as ``noise``.
        mask: as ``noise``, or ``None``.

    Raises:
        ValueError: a latent that cannot be shifted, or that is neither the left view nor the pair.
    """
    expect_latent_of("latent_image", latent, guider.inner_model.latent_format)
    expect_steps(sigmas)
    left = trajectory.at(float(sigmas[0])).to(noise)
    paired = noise.shape == (2 * len(left), *left.shape[1:])
    if not paired and noise.shape != left.shape:
        raise ValueError(
            f"trajectory: is of {describe_latent(left)}, and what is to be sampled is {describe_latent(noise)}. "
            "Record the left view at the same size and batch size; then sample that view alone, or the pair."
        )
    sampling = guider.inner_model.model_sampling
    x = sampling.noise_scaling(sigmas[0], noise, latent, sampler.max_denoise(guider, sigmas))
    if not same_latent(x[: len(left)], left):
        raise ValueError(
            "latent_image: with its noise, it is not the left view that trajectory holds at the first of these sigmas. "
            + ("A pair takes no new noise: use Disable Noise. " if paired and noise.any() else "")
            + "Use the seed, latent and sigmas of the recording."
        )
    if not paired:
        return Views(noise, latent, mask, None)
    prepare_for_one_view(guider, noise, latent, mask, seed)
    right = x[len(left) :]
    if mask is None:
        return Views(torch.zeros_like(left), latent[: len(left)], None, right)
    # What the mask keeps comes mixed with noise, in the pair: its noise and picture follow from the left view's x.
    form = noise_form(sampling)
    denoised = trajectory.denoised(len(trajectory.states) - 2).to(left)
    kept = (left - alpha(sigmas[0], form) * denoised) / sigmas[0]
    return Views(kept, denoised, mask[: len(left)], right)


def prepare_for_one_view(
    guider: comfy.samplers.CFGGuider,
    noise: Tensor,
    latent_image: Tensor | None,
    denoise_mask: Tensor | None,
    seed: int | None,
) -> None:
    """Prepare the guider's conditions again, the way the host prepares them for the left view alone.

    The host prepares conditions once, for the batch that a run starts with, and repeats them to the batch of every
    evaluation. For a model that keeps frames in the batch (SVD) it takes a pair for one clip of twice the length, and
    stretches conditions by frame over both views. Prepared for one view, they are repeated as [left, right].
    Everything else that the host has set up stays; the conditions are kept in the guider for this run only.

    Args:
        guider: inside a sampler, its ``model_wrap``; ``conds`` is replaced.
        noise: (2B, ...), left entries first.
        latent_image: as ``noise``, or ``None``.
        denoise_mask: as ``noise``, or ``None``.
        seed: of the run.
    """
    left_noise, left_latent, left_mask = (
        None if part is None else part[: len(noise) // 2] for part in (noise, latent_image, denoise_mask)
    )
    conds = {name: [entry.copy() for entry in entries] for name, entries in guider.original_conds.items()}
    comfy.samplers.preprocess_conds_hooks(conds)
    comfy.samplers.filter_registered_hooks_on_conds(conds, guider.model_options)
    guider.conds = comfy.samplers.process_conds(
        guider.inner_model,
        left_noise,
        conds,
        noise.device,
        left_latent,
        left_mask,
        seed,
        latent_shapes=[torch.Size(left_noise.shape)],
    )
