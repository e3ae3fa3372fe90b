"""What a batch that is a pair of views needs of the host: a mark for patches, guidance by view, and memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.model_base
import comfy.model_management
import comfy.sampler_helpers
import comfy.samplers
import torch
from torch import Tensor

from ..attention.windows import windows_for_pairs
from .caches import expect_no_momentum, without_caches


def mark_pair(model_options: dict[str, Any], paired: bool, plain: bool = False) -> dict[str, Any]:
    """Return a copy of ``model_options`` that says whether the batch is a pair; Cross-View Attention reads it.

    Args:
        model_options: of the run.
        paired: whether it is.
        plain: whether the run is the host's own, which keeps its caches.

    Raises:
        ValueError: guidance that remembers earlier steps.
    """
    expect_no_momentum(model_options)
    options = windows_for_pairs(model_options if plain else without_caches(model_options))
    marked = {**options.get("transformer_options", {}), "stereo_pair": paired}
    return {**options, "transformer_options": marked}


# Functions of the host's guidance nodes that take a batch for one picture or one clip: VideoLinearCFGGuidance and
# VideoTriangleCFGGuidance, RenormCFG, Mahiro, TemporalScoreRescaling. None of them evaluates the model.
_ONE_VIEW_AT_A_TIME = ("linear_cfg", "renorm_cfg_func", "mahiro_normd", "temporal_score_rescaling")


def each_view(guide: Callable[[dict[str, Any]], Tensor], batch: int) -> Callable[[dict[str, Any]], Tensor]:
    """Return a guidance function that calls ``guide`` with one view at a time.

    Args:
        guide: the host's ``sampler_cfg_function``, or one of its ``sampler_post_cfg_function``.
        batch: 2B; tensors of that length are split into the left view's entries and the right's.
    """

    def guided(args: dict[str, Any]) -> Tensor:
        def part(value: Any, view: int) -> Any:
            splits = isinstance(value, Tensor) and value.ndim > 0 and len(value) == batch
            return value.chunk(2)[view] if splits else value

        return torch.cat([guide({name: part(value, view) for name, value in args.items()}) for view in (0, 1)])

    return guided


def options_of_batch(
    model_options: dict[str, Any], model: comfy.model_base.BaseModel, batch: int, paired: bool
) -> dict[str, Any]:
    """Return the model options to evaluate a batch with.

    Args:
        model_options: of the run.
        model: the host's.
        batch: entries of the batch.
        paired: whether they are a pair of views.
    """
    options = mark_pair(model_options, paired)
    if not paired:
        return options
    # Where the batch axis holds frames, guidance that varies over the frames must do so within each view.
    by_frames = isinstance(model, comfy.model_base.SVD_img2vid)

    def apart(guide: Callable[[dict[str, Any]], Tensor], always: bool = False) -> Callable[[dict[str, Any]], Tensor]:
        one_at_a_time = always or getattr(guide, "__name__", "") in _ONE_VIEW_AT_A_TIME
        return each_view(guide, batch) if one_at_a_time else guide

    if "sampler_cfg_function" in options:
        options["sampler_cfg_function"] = apart(options["sampler_cfg_function"], by_frames)
    if "sampler_post_cfg_function" in options:
        options["sampler_post_cfg_function"] = [apart(guide) for guide in options["sampler_post_cfg_function"]]
    return options


def make_room(guider: comfy.samplers.CFGGuider, shape: torch.Size) -> None:
    """Make the host free memory for a batch of ``shape`` (2B, ...), larger than the one that it prepared for."""
    needed, _ = comfy.sampler_helpers.estimate_memory(guider.model_patcher, shape, guider.conds)
    device = guider.model_patcher.load_device
    if not comfy.model_management.is_device_cpu(device) and needed > comfy.model_management.get_free_memory(device):
        comfy.sampler_helpers.prepare_sampling(guider.model_patcher, shape, guider.conds, guider.model_options)


def load_again(guider: comfy.samplers.CFGGuider, shape: torch.Size) -> None:
    """Make the host load the model again, for a batch of ``shape``, after another one had the memory."""
    comfy.sampler_helpers.prepare_sampling(guider.model_patcher, shape, guider.conds, guider.model_options)
