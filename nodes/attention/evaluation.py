"""One evaluation of a model: which of its self-attention layers is running, and how that layer couples the views."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from ...stereo_core.attention import Attend, AttentionMode, couple_attention


@dataclass(slots=True)
class SelfAttention:
    """A self-attention layer that is about to run, or is running.

    Attributes:
        image_tokens: how many tokens of the keys are the picture's. They come last; text comes before them.
        references: how many of these, again the last, belong to reference pictures given with the prompt.
        queries: how many query tokens are still to come. The host may split a layer into several calls; further calls
            in the same block are attention to text.
        first: the picture's tokens come first instead, and text after them.
    """

    image_tokens: int
    references: int = 0
    queries: float = math.inf
    first: bool = False

    def shared(self, queries: int, keys: int) -> tuple[int, int] | None:
        """Account for one call of attention, and return which of its keys the views share.

        Args:
            queries: query tokens of the call.
            keys: key tokens of the call.

        Returns:
            The first shared key and the one after the last; ``None`` where the call belongs to another layer.
        """
        if self.queries <= 0:
            return None
        self.queries -= queries
        start = 0 if self.first else keys - self.image_tokens
        return start, start + self.image_tokens - self.references


@dataclass(slots=True)
class Evaluation:
    """The state of one evaluation of the model, dropped when it ends, so that no run leaves anything behind.

    Attributes:
        mode: how the views are coupled.
        chunks: how many batches, conditional and unconditional, the evaluation holds.
        previous: the attention override that the model had before, if any.
        layer: the layer whose attention comes next; ``None`` where nothing is coupled.
    """

    mode: AttentionMode
    chunks: int
    previous: Callable[..., Tensor] | None
    layer: SelfAttention | None = None

    def couple(self, attend: Attend, q: Tensor, k: Tensor, v: Tensor, axis: int, mask: Tensor | None) -> Tensor:
        """Couple the views if a layer is marked, otherwise just attend.

        Args:
            attend: the layer's own attention.
            q: (chunks * 2 * B, ...), query tokens on ``axis``; in each chunk all left entries, then all right ones.
            k: as ``q``, any number of key tokens.
            v: as ``k``.
            axis: of the tokens.
            mask: the attention mask that the host gives, if any.

        Returns:
            As ``attend`` gives it.
        """
        shared = self.layer and self.layer.shared(q.shape[axis], k.shape[axis])
        if shared is None:
            return attend(q, k, v, mask)
        return couple_attention(attend, q, k, v, self.mode, self.chunks, shared, axis, mask)

    def override(
        self, attention: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, heads: int, *args: Any, **kwargs: Any
    ) -> Tensor:
        """Take the place of the host's attention (``optimized_attention_override``), on the user's backend.

        Args:
            attention: the backend.
            q: (chunks * 2 * B, N, heads * D), or (chunks * 2 * B, heads, N, D) with ``skip_reshape``.
            k: as ``q``, any number of tokens.
            v: as ``k``.
            heads: number of attention heads.
            args: the rest, handed on; the first is the mask.
            kwargs: the same by name.
        """
        inner = attention if self.previous is None else partial(self.previous, attention)
        # The mask comes by position or by name, and is passed on the same way.
        mask = args[0] if args else kwargs.pop("mask", None)

        def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
            if args:
                return inner(q, k, v, heads, mask, *args[1:], **kwargs)
            return inner(q, k, v, heads, **({} if mask is None else {"mask": mask}), **kwargs)

        return self.couple(attend, q, k, v, 2 if kwargs.get("skip_reshape") else 1, mask)
