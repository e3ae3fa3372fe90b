"""What one evaluation of a model knows about the self-attention that runs, and what it makes of it."""

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
    """A self-attention layer that is about to run, or running.

    Attributes:
        image_tokens: tokens of the picture, last in the keys; what precedes them is text.
        references: the last of these, which show pictures given with the prompt.
        queries: query tokens still to come. The host may split a layer into several calls; the calls of the same
            block that follow are attention to text.
    """

    image_tokens: int
    references: int = 0
    queries: float = math.inf

    def shared(self, queries: int, keys: int) -> tuple[int, int] | None:
        """Take a call of so many tokens and tell which keys it exchanges; ``None`` if it is another layer's."""
        if self.queries <= 0:
            return None
        self.queries -= queries
        return keys - self.image_tokens, keys - self.references


@dataclass(slots=True)
class Evaluation:
    """One evaluation of the model. Made for it and dropped with it, so that no run leaves anything behind.

    Attributes:
        mode: how views are coupled.
        chunks: conditional and unconditional batches in it.
        previous: the attention override that was there, or none.
        layer: the layer whose attention comes next; ``None`` where nothing is coupled.
    """

    mode: AttentionMode
    chunks: int
    previous: Callable[..., Tensor] | None
    layer: SelfAttention | None = None

    def couple(self, attend: Attend, q: Tensor, k: Tensor, v: Tensor, axis: int, mask: Tensor | None) -> Tensor:
        """Couple the views if a layer is marked, else just attend."""
        shared = self.layer and self.layer.shared(q.shape[axis], k.shape[axis])
        if shared is None:
            return attend(q, k, v, mask)
        return couple_attention(attend, q, k, v, self.mode, self.chunks, shared, axis, mask)

    def override(
        self, attention: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, heads: int, *args: Any, **kwargs: Any
    ) -> Tensor:
        """Stand for the host's attention (``optimized_attention_override``), on the user's backend."""
        inner = attention if self.previous is None else partial(self.previous, attention)
        # The mask comes by position or by name; whoever is next gets it the same way.
        mask = args[0] if args else kwargs.pop("mask", None)

        def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
            if args:
                return inner(q, k, v, heads, mask, *args[1:], **kwargs)
            return inner(q, k, v, heads, **({} if mask is None else {"mask": mask}), **kwargs)

        return self.couple(attend, q, k, v, 2 if kwargs.get("skip_reshape") else 1, mask)
