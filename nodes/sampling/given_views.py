"""What a sampler beside a recorded left view is given: that view alone, or the pair from the sampler before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import comfy.samplers
import torch
from torch import Tensor

from ...stereo_core.noise_forms import alpha
from ...stereo_core.schedules import expect_steps
from ...stereo_core.trajectory import Trajectory, same_latent
from ..host import noise_form
from .latents import expect_latent


class Views(NamedTuple):
    """A run's inputs, of the left view alone.

    Attributes:
        noise: (B, ...).
        latent: (B, ...), what a mask keeps.
        mask: (B, ...) or ``None``.
        right: (B, ...), the right view's x at the first noise level; ``None`` where it is to be made.
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
    """Tell one view from two, by the trajectory's x at the first noise level.

    Raises:
        ValueError: a latent that cannot be shifted, or that is neither.
    """
    expect_latent("latent_image", noise)
    expect_steps(sigmas)
    left = trajectory.at(float(sigmas[0])).to(noise)
    paired = noise.shape == (2 * len(left), *left.shape[1:])
    if not paired and noise.shape != left.shape:
        raise ValueError(
            f"trajectory: holds a latent of {tuple(left.shape)}, the one to sample has {tuple(noise.shape)}. "
            "Record the left view at the same size and count; sample that view alone, or the pair of both."
        )
    sampling = guider.inner_model.model_sampling
    x = sampling.noise_scaling(sigmas[0], noise, latent, sampler.max_denoise(guider, sigmas))
    if not same_latent(x[: len(left)], left):
        raise ValueError(
            "latent_image: with its noise it is not the left view that trajectory holds at the first of these sigmas. "
            + ("A pair takes no new noise: use Disable Noise. " if paired and noise.any() else "")
            + "Use the seed, latent and sigmas of the recording."
        )
    if not paired:
        return Views(noise, latent, mask, None)
    prepare_for_one_view(guider, noise, latent, mask, seed)
    right = x[len(left) :]
    if mask is None:
        return Views(torch.zeros_like(left), latent[: len(left)], None, right)
    # What a mask keeps is given as noisy as the pair is; its picture and noise are in the left view's own way.
    form = noise_form(sampling)
    denoised = trajectory.denoised(len(trajectory.states) - 2).to(left)
    kept = (left - alpha(sigmas[0], form) * denoised) / sigmas[0]
    return Views(kept, denoised, mask[: len(left)], right)


def conditions_differ(conds: Mapping[str, Iterable[Mapping[str, Any]]], entries: int) -> bool:
    """Tell whether a guider's processed conditions hold something else for each view of ``entries`` entries.

    ControlNet hints count: they are fitted to the batch by the ControlNets themselves.
    """
    for entry in (entry for entries_of in conds.values() for entry in entries_of):
        if entry.get("control") is not None:
            return True
        values = (getattr(value, "cond", None) for value in entry.get("model_conds", {}).values())
        if any(isinstance(value, Tensor) and value.ndim and len(value) > entries for value in values):
            return True
    return False


def prepare_for_one_view(
    guider: comfy.samplers.CFGGuider,
    noise: Tensor,
    latent_image: Tensor | None,
    denoise_mask: Tensor | None,
    seed: int | None,
) -> None:
    """Prepare the guider's conditions anew, as the host prepares them for the left view alone.

    The host prepares conditions once, for the batch that a run starts with, and repeats them to the batch of every
    evaluation. Given a pair it takes a model that keeps frames in the batch (SVD) for one clip of twice the length,
    and stretches conditions by frame over both views. Prepared for one view they are repeated as [left, right].
    Whatever else the host has set up for the run stays: the conditions live in the guider for the run only.

    Args:
        guider: inside a sampler, its ``model_wrap``; ``conds`` is replaced.
        noise: (2B, ...) as the sampler got it, left entries first.
        latent_image: (2B, ...) likewise.
        denoise_mask: (2B, ...) likewise, or ``None``.
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
