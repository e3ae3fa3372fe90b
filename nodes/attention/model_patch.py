"""Cross-view attention put on a model, and what the host calls around every evaluation of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP, get_wrappers_with_key
from torch import Tensor

from ...stereo_core.attention import AttentionMode, schedule_position, select_blocks
from .evaluation import Evaluation
from .families import Family, find_family
from .transformer import mark_transformer
from .unet import mark_unet

_KEY = "stereo_cross_view_attention"

# Keys and values once more are 4 to 11 percent of what the host reckons for these models' activations.
_WIDER = 1.1


def couple_views(
    model: ModelPatcher,
    mode: AttentionMode | None,
    start: float = 0.0,
    end: float = 1.0,
    blocks: str = "",
    temporal: bool = False,
) -> ModelPatcher:
    """Return a clone of ``model`` whose self-attention couples the views of each pair.

    Args:
        model: never changed.
        mode: how; ``None`` not at all, and ``model`` itself is returned.
        start: fraction of the schedule from which on it does so, 0 to 1.
        end: fraction of the schedule before which it does so, 0 to 1.
        blocks: which of the model's blocks, all when empty; see ``select_blocks``.
        temporal: couple attention over time, too, where the model has it apart.

    Raises:
        ValueError: an unknown family, a range that ends before it starts, no such block, or no temporal attention.
    """
    if mode is None:
        return model
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


@dataclass(frozen=True, slots=True)
class Coupling:
    """Cross-view attention in a part of the schedule and of the blocks.

    Attributes:
        family: how the model attends.
        mode: how the views are coupled.
        start: fraction of the schedule from which it is active.
        end: fraction at which it no longer is.
        blocks: (part, number) of the blocks that are coupled.
        temporal: couple temporal attention too.
    """

    family: Family
    mode: AttentionMode
    start: float
    end: float
    blocks: frozenset[tuple[str, int]]
    temporal: bool

    def apply_model(
        self,
        executor: Callable[..., Tensor],
        x: Tensor,
        t: Tensor,
        c_concat: Tensor | None = None,
        c_crossattn: Tensor | None = None,
        control: dict[str, Any] | None = None,
        transformer_options: dict[str, Any] | None = None,
        **conds: Any,
    ) -> Tensor:
        """Evaluate the model with its attention coupled (wrapper ``APPLY_MODEL``)."""
        options = dict(transformer_options or {})
        if options.get("stereo_pair") is not False:
            chunks = len(options.get("cond_or_uncond", (0,)))
            frames = conds.get("num_video_frames", x.shape[0] // chunks) if self.family.temporal else 0
            self._refuse_unpaired(x.shape[0] // chunks, frames, options)
            if self.active(options):
                self._install(options, chunks, frames)
        return executor(x, t, c_concat, c_crossattn, control, options, **conds)

    @staticmethod
    def prepare_sampling(
        executor: Callable[..., Any], model: Any, noise_shape: Any, conds: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Reckon with the memory of wider keys and values (wrapper ``PREPARE_SAMPLING``)."""
        wider = [*noise_shape[:-1], math.ceil(noise_shape[-1] * _WIDER)]
        return executor(model, wider, conds, *args, **kwargs)

    def _refuse_unpaired(self, entries: int, frames: int, options: dict[str, Any]) -> None:
        window = options.get("context_window")
        if window is not None and window.dim == 0:
            raise ValueError(
                "Cross-View Attention: context windows cut through the batch, where the views of a pair lie. "
                "Remove the context windows from this model."
            )
        if frames and entries % (2 * frames):
            raise ValueError(
                f"Cross-View Attention: {entries} latents of a model with {frames} frames in the batch are no pair of "
                "clips. Sample with Stereo Shift Sampler, which makes the pair where the model keeps them apart."
            )
        if not frames and entries % 2:
            raise ValueError(
                f"Cross-View Attention: a batch of {entries} is no batch of pairs. Connect the latent of Latent Stereo "
                "Shift, or sample with Stereo Shift Sampler."
            )

    def active(self, options: Mapping[str, Any]) -> bool:
        """Tell whether the range holds the level ``sigmas`` of the schedule ``sample_sigmas``."""
        if (self.start, self.end) == (0, 1):
            return True
        if "sample_sigmas" not in options:
            raise ValueError(
                "start_percent and end_percent: this sampler does not tell its schedule. Set them to 0 and 1."
            )
        return self.start <= schedule_position(float(options["sigmas"][0]), options["sample_sigmas"]) < self.end

    def _install(self, options: dict[str, Any], chunks: int, frames: int) -> None:
        evaluation = Evaluation(self.mode, chunks, options.get("optimized_attention_override"))
        options["optimized_attention_override"] = evaluation.override
        if self.family.unet:
            mark_unet(options, evaluation, self.blocks, frames, self.temporal)
        else:
            mark_transformer(options, evaluation, self.blocks, self.family.text_apart)
