"""Marks the self-attention in the blocks of a diffusion transformer, for one evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .evaluation import Evaluation, SelfAttention

Block = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]


def mark_transformer(
    options: dict[str, Any], evaluation: Evaluation, blocks: frozenset[tuple[str, int]], text_apart: bool
) -> None:
    """Add to ``options`` what marks the self-attention of ``blocks``.

    Attention outside these blocks, such as that of a text refiner, stays as it is.

    Args:
        options: a copy of the host's transformer options; dictionaries in it are replaced, never changed.
        evaluation: learns before each block which layer runs.
        blocks: (part, number) of the blocks that are coupled.
        text_apart: whether a block attends to the text in a separate call after its self-attention.
    """
    replace = options.get("patches_replace", {})
    dit = dict(replace.get("dit", {}))
    for part, number in blocks:
        key = ("single_block" if part == "single" else "double_block", number)
        dit[key] = _marked(evaluation, dit.get(key), part == "single", text_apart)
    options["patches_replace"] = {**replace, "dit": dit}


def _marked(evaluation: Evaluation, previous: Block | None, single: bool, text_apart: bool) -> Block:
    def block(args: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
        options = args["transformer_options"]
        tokens = args["img"].shape[1] - (options["img_slice"][0] if single else 0)
        evaluation.layer = SelfAttention(
            image_tokens=tokens,
            references=sum(options.get("reference_image_num_tokens", ())),
            queries=tokens if text_apart else math.inf,
        )
        result = previous(args, extra) if previous is not None else extra["original_block"](args)
        evaluation.layer = None
        return result

    return block
