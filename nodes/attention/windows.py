"""Context windows around a pair: the host cuts a clip into windows of frames, and must leave both views whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comfy.context_windows import ContextHandlerABC
from torch import Tensor

_HANDLER = "context_handler"


def windows_for_pairs(model_options: dict[str, Any]) -> dict[str, Any]:
    """Return ``model_options`` whose context windows, if any, take a batch of several clips."""
    handler = model_options.get(_HANDLER)
    if handler is None or isinstance(handler, _PairWindows):
        return model_options
    return {**model_options, _HANDLER: _PairWindows(handler)}


def expect_whole_batch(model_options: dict[str, Any]) -> None:
    """Raise ``ValueError`` where context windows would cut the batch, which holds the two views of each pair."""
    if getattr(model_options.get(_HANDLER), "dim", None) == 0:
        raise ValueError(
            "model: context windows over the batch would cut across the two views. "
            "Disconnect the context window node, or sample fewer frames."
        )


class _PairWindows(ContextHandlerABC):
    """The host's handler, which takes the noise levels of a batch, one for each entry, for a clip's frames."""

    def __init__(self, handler: Any) -> None:
        super().__init__()
        self._handler = handler

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)

    def should_use_context(self, *args: Any) -> bool:
        """Tell whether the clip is longer than a window."""
        return self._handler.should_use_context(*args)

    def get_resized_cond(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Return the conditions of a window."""
        return self._handler.get_resized_cond(*args, **kwargs)

    def execute(
        self,
        calc_cond_batch: Callable[..., list[Tensor]],
        model: Any,
        conds: Any,
        x_in: Tensor,
        timestep: Tensor,
        model_options: dict[str, Any],
    ) -> list[Tensor]:
        """Evaluate the model window by window.

        Args:
            calc_cond_batch: the host's evaluation of one window.
            model: the host's.
            conds: conditional and unconditional.
            x_in: (2B, C, T, H, W).
            timestep: (2B,), all the same noise level.
            model_options: of the evaluation.

        Returns:
            The denoised estimate for each of ``conds``, (2B, C, T, H, W).
        """

        def evaluate(model: Any, conds: Any, x: Tensor, _: Tensor, model_options: dict[str, Any]) -> list[Tensor]:
            return calc_cond_batch(model, conds, x, timestep, model_options)

        # A single noise level is not cut.
        return self._handler.execute(evaluate, model, conds, x_in, timestep[:1], model_options)
