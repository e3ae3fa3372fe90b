"""A model patched with cross-view attention, and the wrappers that the host calls around every evaluation of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP, get_wrappers_with_key
from torch import Tensor

from ...stereo_core.attention import AttentionMode, schedule_position, select_blocks
from .evaluation import Evaluation
from .families import Family, find_family
from .pairing import prepare_run, refuse_unpaired
from .transformer import mark_transformer, seen_size
from .unet import mark_unet

_KEY = "stereo_cross_view_attention"

# Since PyTorch 2.6, as a context; the host takes 2.5 as well.
_stance = getattr(torch.compiler, "set_stance", nullcontext)

# Doubled keys and values add 4 to 11 percent to the memory that the host estimates for these models' activations.
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
        mode: how they are coupled; with ``None`` they are not, and ``model`` itself is returned.
        start: fraction of the schedule at which coupling starts, 0 to 1.
        end: fraction of the schedule at which coupling ends, 0 to 1.
        blocks: which of the model's blocks are coupled, all when empty; see ``select_blocks``.
        temporal: couple attention over time as well, where the model has it in layers of its own.

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
    coupled.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, _KEY, prepare_run)
    coupled.add_wrapper_with_key(WrappersMP.APPLY_MODEL, _KEY, coupling.apply_model)
    if coupling.mode.widens:
        coupled.add_wrapper_with_key(WrappersMP.PREPARE_SAMPLING, _KEY, coupling.prepare_sampling)
    return coupled


def couples_views(model_options: dict[str, Any], sigmas: Tensor, step: int) -> bool:
    """Tell whether a model's attention couples the views at the start or the end of a step.

    Args:
        model_options: of the model.
        sigmas: (N + 1,) noise levels, descending.
        step: 0 to N - 1.
    """
    wrappers = get_wrappers_with_key(WrappersMP.APPLY_MODEL, _KEY, model_options, is_model_options=True)
    return _active(wrappers, sigmas, step)


def changes_left(model_options: dict[str, Any]) -> bool:
    """Tell whether a model's attention makes another left view than the plain run's, as the mode ``joint`` does."""
    wrappers = get_wrappers_with_key(WrappersMP.APPLY_MODEL, _KEY, model_options, is_model_options=True)
    return any(wrapper.__self__.mode is AttentionMode.JOINT for wrapper in wrappers)


def is_coupled(model: ModelPatcher, sigmas: Tensor, step: int) -> bool:
    """Tell the same of a model before its run, whose options hold no wrappers yet."""
    return _active(model.get_wrappers(WrappersMP.APPLY_MODEL, _KEY), sigmas, step)


def _active(wrappers: Iterable[Callable[..., Tensor]], sigmas: Tensor, step: int) -> bool:
    ends = [{"sigmas": sigma[None], "sample_sigmas": sigmas} for sigma in sigmas[step : step + 2]]
    return any(wrapper.__self__.active(end) for wrapper in wrappers for end in ends)


@dataclass(frozen=True, slots=True)
class Coupling:
    """Cross-view attention in part of the schedule and in some of the blocks.

    Attributes:
        family: how the model attends.
        mode: how the views are coupled.
        start: fraction of the schedule at which it becomes active.
        end: fraction of the schedule at which it stops being active.
        blocks: (part, number) of the blocks that are coupled.
        temporal: whether temporal attention is coupled too.
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
        """Evaluate the model with its attention coupled (wrapper ``APPLY_MODEL``).

        Args:
            executor: the evaluation that is wrapped.
            x: (chunks * B, ...), at the noise level of this evaluation; B is a batch of pairs.
            t: (chunks * B,) noise levels.
            c_concat: the model's extra channels, (chunks * B, ...), if any.
            c_crossattn: embeddings of the text, (chunks * B, tokens, width), if any.
            control: what ControlNets add.
            transformer_options: the host's; a copy of it tells the blocks what to couple.
            conds: all other conditions.

        Returns:
            The denoised estimate, (chunks * B, ...).

        Raises:
            ValueError: a batch that does not consist of pairs.
        """
        options = dict(transformer_options or {})
        if options.get("stereo_pair") is not False:
            chunks = len(options.get("cond_or_uncond", (0,)))
            frames = conds.get("num_video_frames", x.shape[0] // chunks) if self.family.temporal else 0
            refuse_unpaired(x.shape[0] // chunks, frames, options)
            if self.active(options):
                self._install(options, chunks, frames, seen_size(x, conds))
                # A network that is compiled does not look at its options again.
                with _stance("force_eager"):
                    return executor(x, t, c_concat, c_crossattn, control, options, **conds)
        return executor(x, t, c_concat, c_crossattn, control, options, **conds)

    @staticmethod
    def prepare_sampling(
        executor: Callable[..., Any], model: Any, noise_shape: Any, conds: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Allow for the memory of wider keys and values (wrapper ``PREPARE_SAMPLING``)."""
        wider = [*noise_shape[:-1], math.ceil(noise_shape[-1] * _WIDER)]
        return executor(model, wider, conds, *args, **kwargs)

    def active(self, options: Mapping[str, Any]) -> bool:
        """Tell whether coupling is active at an evaluation.

        Args:
            options: the host's transformer options: ``sigmas`` (B,), the noise level of the evaluation, and
                ``sample_sigmas`` (N + 1,), the schedule.

        Raises:
            ValueError: a range is set, and the sampler does not give its schedule.
        """
        if (self.start, self.end) == (0, 1):
            return True
        if "sample_sigmas" not in options:
            raise ValueError(
                "start_percent and end_percent: this sampler does not report its schedule. Set them to 0 and 1."
            )
        return self.start <= schedule_position(float(options["sigmas"][0]), options["sample_sigmas"]) < self.end

    def _install(self, options: dict[str, Any], chunks: int, frames: int, size: tuple[int, int]) -> None:
        evaluation = Evaluation(self.mode, chunks, options.get("optimized_attention_override"))
        options["optimized_attention_override"] = evaluation.override
        if self.family.unet:
            mark_unet(options, evaluation, self.blocks, frames, self.temporal)
        else:
            mark_transformer(options, evaluation, self.blocks, self.family, size)
