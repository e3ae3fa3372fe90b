"""Marks the self-attention in the blocks of a U-Net, for one evaluation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from torch import Tensor

from ...stereo_core.attention import AttentionMode
from .evaluation import Evaluation, SelfAttention


def mark_unet(
    options: dict[str, Any], evaluation: Evaluation, blocks: frozenset[tuple[str, int]], frames: int, temporal: bool
) -> None:
    """Add to ``options`` what marks the self-attention of ``blocks``.

    Args:
        options: a copy of the host's transformer options; dictionaries in it are replaced, never changed.
        evaluation: learns before each self-attention which layer runs.
        blocks: (part, number) of the blocks that are coupled.
        frames: frames of a clip in the batch axis, 0 for a model without temporal attention.
        temporal: whether temporal attention is marked as well as spatial.
    """
    calls: Counter[tuple[Any, ...]] = Counter()

    def mark(n: Tensor, context: Tensor, value: Tensor, extra: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
        place = (*extra["block"], extra["block_index"])
        calls[place] += 1
        # With frames in the batch, each spatial attention is followed by a temporal one, perhaps of the same shape.
        in_time = frames > 0 and calls[place] % 2 == 0
        evaluation.layer = None
        if place[:2] in blocks and (temporal or not in_time):
            _refuse_rearranged(n, context, in_time, frames, extra, evaluation.mode)
            evaluation.layer = SelfAttention(image_tokens=context.shape[1], queries=n.shape[1])
        return n, context, value

    # Last, so as to see what other patches made of the tokens; the host projects and attends right after it.
    patches = options.get("patches", {})
    options["patches"] = {**patches, "attn1_patch": [*patches.get("attn1_patch", []), mark]}
    replace = options.get("patches_replace", {})
    if "attn1" in replace:
        coupled = {place: _replacement(evaluation, patch) for place, patch in replace["attn1"].items()}
        options["patches_replace"] = {**replace, "attn1": coupled}


def _replacement(evaluation: Evaluation, patch: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def replaced(q: Tensor, k: Tensor, v: Tensor, extra: dict[str, Any]) -> Tensor:
        if evaluation.layer is None:
            return patch(q, k, v, extra)
        tokens = q.shape[1]
        coupled = evaluation.couple(lambda q, k, v, _: patch(q, k, v, extra)[:, :tokens], q, k, v, axis=1, mask=None)
        # Guidance by a view's own attention: what a patch keeps of a layer, and values that it hands on unread.
        own = patch(q, k, v, extra)
        return own if own is v else coupled

    return replaced


def _refuse_rearranged(
    n: Tensor, context: Tensor, in_time: bool, frames: int, extra: dict[str, Any], mode: AttentionMode
) -> None:
    moved = n.shape[1] != frames if in_time else n.shape[0] != extra["activations_shape"][0]
    if moved or context.shape[0] != n.shape[0]:
        raise ValueError(
            f"Cross-View Attention: another patch has cut the tokens into {n.shape[0]} groups, so the views cannot be "
            "told apart. Remove that patch from this model; HyperTile is one that does this."
        )
    if mode is AttentionMode.LEFT_QUERY and n.shape[1] != context.shape[1]:
        raise ValueError(
            f"mode: left_query needs the tokens of both views in the same places, and another patch has merged "
            f"{context.shape[1]} of them into {n.shape[1]}. Use left_kv, or remove that patch, such as token merging."
        )
