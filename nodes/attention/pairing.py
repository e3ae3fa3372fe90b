"""Which batches Cross-View Attention couples: pairs of views, and nothing else that happens to be even."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from .windows import windows_for_pairs

_NOISE = "stereo_noise"


def prepare_run(executor: Callable[..., Tensor], noise: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Note whether a run starts from the noise of a pair (wrapper ``OUTER_SAMPLE``).

    Both views of a pair start from the same noise, by the batch index that comes with its latent; two pictures never
    do by chance. A run without noise of its own goes on with what another one made, which cannot be told apart.

    Args:
        executor: the run that is wrapped.
        noise: (B, ...), unit normal.
        args, kwargs: the rest, handed on.

    Returns:
        The latent that is sampled.
    """
    guider = executor.class_obj
    options = windows_for_pairs(guider.model_options)
    paired = len(noise) % 2 == 0 and torch.equal(*noise.chunk(2))
    told = {**options.get("transformer_options", {}), _NOISE: paired}
    guider.model_options = {**options, "transformer_options": told}  # the host puts the model's back after the run
    return executor(noise, *args, **kwargs)


def refuse_unpaired(entries: int, frames: int, options: Mapping[str, Any]) -> None:
    """Raise unless a batch is one of pairs.

    Args:
        entries: of the batch.
        frames: of a clip whose frames lie in the batch axis, otherwise 0.
        options: the host's transformer options, where the samplers of this pack tell a pair.

    Raises:
        ValueError: it is not, or cannot be told to be.
    """
    window = options.get("context_window")
    if window is not None and window.dim == 0:
        raise ValueError(
            "Cross-View Attention: context windows cut through the batch, which holds the two views of each pair. "
            "Remove the context windows from this model."
        )
    if frames and entries % (2 * frames):
        raise ValueError(
            f"Cross-View Attention: a batch of {entries} latents does not hold a left and a right clip of {frames} "
            "frames each. Sample with Stereo Shift Sampler, which makes the pair for models like this one."
        )
    if not frames and entries % 2:
        raise ValueError(
            f"Cross-View Attention: a batch of {entries} cannot be split into left and right views. Connect the "
            "latent of Latent Stereo Shift, or sample with Stereo Shift Sampler."
        )
    if not options.get("stereo_pair", options.get(_NOISE, True)):
        raise ValueError(
            f"Cross-View Attention: the two halves of this batch of {entries} start from different noise, so they are "
            "no views of one scene. Connect the latent of Latent Stereo Shift, sample with Stereo Shift Sampler, or "
            "bypass Cross-View Attention."
        )
