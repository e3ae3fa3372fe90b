"""Cross-view attention put on a model: the function behind the nodes that couple the views."""

from __future__ import annotations

from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP, get_wrappers_with_key
from torch import Tensor

from ..stereo_core.attention import AttentionMode, select_blocks
from .attention_coupling import Coupling
from .attention_families import find_family

_KEY = "stereo_cross_view_attention"


def couple_views(
    model: ModelPatcher,
    mode: AttentionMode,
    start: float = 0.0,
    end: float = 1.0,
    blocks: str = "",
    temporal: bool = False,
) -> ModelPatcher:
    """Return a clone of ``model`` whose self-attention couples the views of each pair.

    Raises:
        ValueError: an unknown family, a range that ends before it starts, no such block, or no temporal attention.
    """
    if start > end:
        raise ValueError(
            f"start_percent {start:g} lies after end_percent {end:g}. Start the range at or before its end."
        )
    family = find_family(model)
    if temporal and not family.temporal:
        kind = type(model.model.model_config).__name__
        raise ValueError(f"temporal: {kind} has no separate attention over time. Switch temporal off.")
    coupling = Coupling(family, AttentionMode(mode), start, end, select_blocks(blocks, family.blocks), temporal)
    coupled = model.clone()
    coupled.add_wrapper_with_key(WrappersMP.APPLY_MODEL, _KEY, coupling.apply_model)
    if coupling.mode.widens:
        coupled.add_wrapper_with_key(WrappersMP.PREPARE_SAMPLING, _KEY, coupling.prepare_sampling)
    return coupled


def couples_views(model_options: dict[str, Any], sigmas: Tensor, step: int) -> bool:
    """Tell whether a model's attention couples the views in one step of a schedule, at either end of it."""
    wrappers = get_wrappers_with_key(WrappersMP.APPLY_MODEL, _KEY, model_options, is_model_options=True)
    ends = [{"sigmas": sigma[None], "sample_sigmas": sigmas} for sigma in sigmas[step : step + 2]]
    return any(wrapper.__self__.active(end) for wrapper in wrappers for end in ends)
