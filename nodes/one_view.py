"""Conditions for one view, in a run that was given both."""

from __future__ import annotations

import comfy.samplers
import torch
from torch import Tensor


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
