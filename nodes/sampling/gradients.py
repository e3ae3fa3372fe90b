"""Gradients inside a node: a copy of the model that can be differentiated, and what the host must be told meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import comfy.model_management
import torch
from comfy.ldm.modules.attention import attention_pytorch
from torch import Tensor

_INSTEAD = "Replay the trajectory instead: it holds the left view exactly and needs no gradients."


@contextmanager
def differentiable(model: Any) -> Iterator[Any]:
    """Yield a copy of ``model`` through which gradients flow; on leaving, the copy and every host setting are gone.

    The host runs nodes in inference mode, whose weights can never be differentiated through, so the copy is read
    from the model's file anew. Its patches and LoRAs come along.

    Raises:
        ValueError: the model's loader does not say how to read it again.
    """
    if model.cached_patcher_init is None:
        raise ValueError(
            "model: its loader cannot read it a second time, which gradients need. "
            f"Use one of ComfyUI's own loaders. {_INSTEAD}"
        )
    training = comfy.model_management.in_training
    with torch.inference_mode(False), torch.enable_grad():
        # Without the dynamic loading of weights, which is not made for gradients.
        copy = model.clone(disable_dynamic=True, force_deepcopy=True)
        copy.model.requires_grad_(False)
        options = copy.model_options["transformer_options"]
        options["optimized_attention_override"] = _plain_attention(options.get("optimized_attention_override"))
        # Makes the rotary embeddings of Wan and its like choose the form that has a gradient.
        comfy.model_management.in_training = True
        try:
            yield copy
        finally:
            comfy.model_management.in_training = training
            _unload(copy)


def _unload(model: Any) -> None:
    """Free what the host holds of this very model; its own function for that takes the original along."""
    others = [loaded for loaded in comfy.model_management.current_loaded_models if loaded.model is not model]
    comfy.model_management.free_memory(1e30, model.load_device, keep_loaded=others)


def _plain_attention(previous: Any) -> Any:
    """Attention as PyTorch has it, the one backend that is sure to have a gradient, within the model's own override."""
    if previous is None:
        return lambda _backend, *args, **kwargs: attention_pytorch(*args, **kwargs)
    return lambda _backend, *args, **kwargs: previous(attention_pytorch, *args, **kwargs)


@contextmanager
def explain_missing_gradients(model: Any) -> Iterator[None]:
    """Turn PyTorch's complaint about a network that cannot be differentiated into one that helps.

    Raises:
        ValueError: in place of that complaint.
    """
    try:
        yield
    except RuntimeError as error:
        name = type(model.model).__name__
        if "inplace operation" in str(error):
            raise ValueError(
                f"model: {name} overwrites values that its gradient needs, so null-text optimisation cannot run on "
                f"it. {_INSTEAD}"
            ) from error
        if "nference tensor" in str(error):
            raise ValueError(
                f"negative: carries a ControlNet or another model of its own, which {name} cannot be differentiated "
                "through. Connect the plain prompt, and apply the ControlNet to the node's output."
            ) from error
        raise


def normal_tensors(value: Any) -> Any:
    """Copy lists and dicts with each inference tensor in them replaced by one that gradients may be taken by."""
    if isinstance(value, Tensor):
        return value.clone() if value.is_inference() else value
    if isinstance(value, dict):
        return {key: normal_tensors(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(normal_tensors(item) for item in value)
    return value
