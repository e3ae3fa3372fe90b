"""The model with guidance as null-text optimisation wants it: a function of the unconditional embedding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.samplers
import torch
from torch import Tensor

from .gradients import normal_tensors
from .pairs import mark_pair


def embedding_of(negative: list[dict[str, Any]], given: Tensor) -> Tensor:
    """Return the embedding that the model makes of the negative prompt, which must be the prompt's own.

    Raises:
        ValueError: the model turns the text into something else before it uses it.
    """
    made = negative[0]["model_conds"].get("c_crossattn")
    if made is None or made.cond.shape != given.shape or not torch.equal(made.cond.to(given), given):
        raise ValueError(
            "model: does not use the negative prompt's embedding as it is, so there is none to optimise. "
            "Replay the trajectory instead: it holds the left view exactly and needs no gradients."
        )
    return made.cond


def guided_model(model_wrap: Any, extra_args: dict[str, Any]) -> Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]]:
    """Return the guider's model as a function of state and level, then of the unconditional embedding.

    The positive half does not depend on the embedding, so it is run once for each state, unless a node has put its
    own function in place of the two runs.
    """
    options = mark_pair(extra_args["model_options"], paired=False)
    for entry in model_wrap.conds["negative"]:
        for cond in entry["model_conds"].values():
            cond.cond = normal_tensors(cond.cond)

    def set_embedding(embedding: Tensor) -> None:
        for entry in model_wrap.conds["negative"]:
            kept = entry["model_conds"]
            entry["model_conds"] = {**kept, "c_crossattn": kept["c_crossattn"]._copy_with(embedding)}

    def guided(state: Tensor, sigma: Tensor) -> Callable[[Tensor], Tensor]:
        levels = sigma.expand(len(state))
        once = options
        if "sampler_calc_cond_batch_function" not in options:
            once = {**options, "sampler_calc_cond_batch_function": _positive_once(model_wrap, state, levels, options)}

        def denoise(embedding: Tensor) -> Tensor:
            comfy.model_management.throw_exception_if_processing_interrupted()
            set_embedding(embedding)
            return model_wrap(state, levels, model_options=once, seed=extra_args["seed"])

        return denoise

    return guided


def _positive_once(
    model_wrap: Any, state: Tensor, levels: Tensor, options: dict[str, Any]
) -> Callable[[dict[str, Any]], list[Tensor]]:
    """Return the host's hook for the two runs, with the positive one done beforehand."""
    run = comfy.samplers.calc_cond_batch
    with torch.no_grad():
        (positive,) = run(model_wrap.inner_model, [model_wrap.conds["positive"]], state, levels, options)
    return lambda asked: [
        positive,
        *run(asked["model"], [asked["conds"][1]], asked["input"], asked["sigma"], options),
    ]
