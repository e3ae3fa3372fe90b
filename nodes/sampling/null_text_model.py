"""The guided model as null-text optimisation needs it: a function of the unconditional embedding."""

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
    """Return the embedding that the model uses for the negative prompt, which must be the one given.

    Args:
        negative: the guider's processed conditions.
        given: (1, tokens, width), the prompt's embedding.

    Raises:
        ValueError: the model turns the embedding into something else before it uses it.
    """
    made = negative[0]["model_conds"].get("c_crossattn")
    if made is None or made.cond.shape != given.shape or not torch.equal(made.cond.to(given), given):
        raise ValueError(
            "model: does not use the negative prompt's embedding as it is, so there is none to optimise. "
            "Replay the trajectory instead: it holds the left view exactly and needs no gradients."
        )
    return made.cond


def guided_model(model_wrap: Any, extra_args: dict[str, Any]) -> Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]]:
    """Return the guider's model as a function of x and sigma that returns a function of the unconditional embedding.

    The positive half does not depend on the embedding, so it is run once for each x, unless a node has put a function
    of its own in place of the two runs.

    Args:
        model_wrap: the guider, inside a sampler.
        extra_args: as the guider gives them to a sampler.

    Returns:
        A function of x (B, ...) and sigma, a scalar; what it returns turns an embedding (1, tokens, width) into the
        guided denoised estimate (B, ...).
    """
    options = mark_pair(extra_args["model_options"], paired=False)
    for entry in model_wrap.conds["negative"]:
        for cond in entry["model_conds"].values():
            cond.cond = normal_tensors(cond.cond)

    def set_embedding(embedding: Tensor) -> None:
        for entry in model_wrap.conds["negative"]:
            kept = entry["model_conds"]
            entry["model_conds"] = {**kept, "c_crossattn": kept["c_crossattn"]._copy_with(embedding)}

    def guided(x: Tensor, sigma: Tensor) -> Callable[[Tensor], Tensor]:
        sigmas = sigma.expand(len(x))
        once = options
        if "sampler_calc_cond_batch_function" not in options:
            once = {**options, "sampler_calc_cond_batch_function": _positive_once(model_wrap, x, sigmas, options)}

        def denoise(embedding: Tensor) -> Tensor:
            comfy.model_management.throw_exception_if_processing_interrupted()
            set_embedding(embedding)
            return model_wrap(x, sigmas, model_options=once, seed=extra_args["seed"])

        return denoise

    return guided


def _positive_once(
    model_wrap: Any, x: Tensor, sigmas: Tensor, options: dict[str, Any]
) -> Callable[[dict[str, Any]], list[Tensor]]:
    """Return the host's hook for the two runs at x (B, ...) and sigmas (B,), with the positive one already done."""
    run = comfy.samplers.calc_cond_batch
    with torch.no_grad():
        (positive,) = run(model_wrap.inner_model, [model_wrap.conds["positive"]], x, sigmas, options)
    return lambda asked: [
        positive,
        *run(asked["model"], [asked["conds"][1]], asked["input"], asked["sigma"], options),
    ]
