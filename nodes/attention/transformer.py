"""Marks the self-attention in the blocks of a diffusion transformer, for one evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from torch import Tensor

from .evaluation import Evaluation, SelfAttention
from .families import Blocks, Family, Text

Block = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]


def mark_transformer(
    options: dict[str, Any],
    evaluation: Evaluation,
    blocks: frozenset[tuple[str, int]],
    family: Family,
    size: tuple[int, int],
) -> None:
    """Add to ``options`` what marks the self-attention of ``blocks``.

    Attention outside these blocks, such as that of a text refiner, stays as it is.

    Args:
        options: a copy of the host's transformer options; dictionaries in it are replaced, never changed.
        evaluation: learns before each block which layer runs.
        blocks: (part, number) of the blocks that are coupled.
        family: how the model attends.
        size: see ``seen_size``.
    """
    marker = _Marker(evaluation, blocks, family, family.tokens(size))
    if family.found is not Blocks.REPLACED:
        options["optimized_attention_override"] = marker.override
        return
    replace = options.get("patches_replace", {})
    dit = dict(replace.get("dit", {}))
    for part, number in blocks:
        key = ("single_block" if part == "single" else "double_block", number)
        dit[key] = marker.block(dit.get(key), part == "single")
    options["patches_replace"] = {**replace, "dit": dit}


def seen_size(x: Tensor, conds: Mapping[str, Any]) -> tuple[int, int]:
    """Return the rows and columns that the blocks see of a latent: HiDream-E1 puts the picture to edit beside it."""
    beside = conds.get("image_cond")
    return x.shape[-2], x.shape[-1] + (0 if beside is None else beside.shape[-1])


@dataclass(slots=True)
class _Marker:
    """Tells an evaluation which layer runs.

    Attributes:
        evaluation: that is told.
        blocks: (part, number) of the blocks that are coupled.
        family: how the model attends.
        tokens: of the picture, where only the latent's shape tells.
        calls: numbers the calls of attention, where nothing else tells which block makes one.
        running: the part and number of the block that made the last call.
    """

    evaluation: Evaluation
    blocks: frozenset[tuple[str, int]]
    family: Family
    tokens: int
    calls: count[int] = field(default_factory=count)
    running: tuple[str, int] | None = None

    def block(self, previous: Block | None, single: bool) -> Block:
        """Stand in for a block, and for the patch that stood there before."""

        def block(args: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
            options, images = args["transformer_options"], args["img"]
            picture = (images[0] if isinstance(images, tuple) else images).shape[
                1
            ]  # with LTX-2 come those of the sound
            if single:
                picture = picture - options["img_slice"][0] if "img_slice" in options else self.tokens
            self.evaluation.layer = self._layer(options, picture)
            result = previous(args, extra) if previous is not None else extra["original_block"](args)
            self.evaluation.layer = None
            return result

        return block

    def override(
        self, attention: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, heads: int, *args: Any, **kwargs: Any
    ) -> Tensor:
        """Mark the layer at its own call of attention, where a block cannot be replaced."""
        running, options = self._running(kwargs["transformer_options"]), kwargs["transformer_options"]
        if running != self.running:
            self.running = running
            length = q.shape[2 if kwargs.get("skip_reshape") else 1]
            if self.family.text is Text.APART:
                picture = length
            else:
                picture = length - options["img_slice"][0] if "img_slice" in options else self.tokens
            self.evaluation.layer = self._layer(options, picture) if running in self.blocks else None
        return self.evaluation.override(attention, q, k, v, heads, *args, **kwargs)

    def _running(self, options: dict[str, Any]) -> tuple[str, int] | None:
        """Return the part and number of the block that calls, ``None`` for a refiner that runs before the blocks."""
        order = [(part, number) for part, numbers in self.family.blocks.items() for number in numbers]
        if self.family.found is Blocks.COUNTED:
            return order[next(self.calls) % len(order)]
        return order[options["block_index"]] if "block_index" in options else None

    def _layer(self, options: dict[str, Any], picture: int) -> SelfAttention:
        return SelfAttention(
            image_tokens=picture,
            references=sum(options.get("reference_image_num_tokens", ())),
            queries=picture if self.family.text is Text.APART else math.inf,
            first=self.family.text is Text.AFTER,
        )
