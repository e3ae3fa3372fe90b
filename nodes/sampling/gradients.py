"""Gradients inside a node: a copy of the model that can be differentiated, and the host settings this needs."""

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
    """Yield a copy of ``model`` through which gradients flow; afterwards the copy and all changed settings are gone.

    The host loads weights in inference mode, and gradients can never flow through those, so the copy is read from the
    model's file once more. It keeps the model's patches and LoRAs.

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
        # Without the host's dynamic loading of weights, which does not support gradients.
        copy = model.clone(disable_dynamic=True, force_deepcopy=True)
        copy.model.requires_grad_(False)
        options = copy.model_options["transformer_options"]
        options["optimized_attention_override"] = _plain_attention(options.get("optimized_attention_override"))
        # Makes the rotary embeddings of Wan and similar models use the implementation that has a gradient.
        comfy.model_management.in_training = True
        try:
            yield copy
        finally:
            comfy.model_management.in_training = training
            _unload(copy)


def _unload(model: Any) -> None:
    """Unload this copy alone; the host's own function for that would unload the original as well."""
    others = [loaded for loaded in comfy.model_management.current_loaded_models if loaded.model is not model]
    comfy.model_management.free_memory(1e30, model.load_device, keep_loaded=others)


def _plain_attention(previous: Any) -> Any:
    """Return an override with PyTorch's attention, the one backend sure to have a gradient, inside ``previous``."""
    if previous is None:
        return lambda _backend, *args, **kwargs: attention_pytorch(*args, **kwargs)
    return lambda _backend, *args, **kwargs: previous(attention_pytorch, *args, **kwargs)


@contextmanager
def explain_missing_gradients(model: Any) -> Iterator[None]:
    """Turn PyTorch's error about a network that cannot be differentiated into one that helps.

    Raises:
        ValueError: in place of PyTorch's ``RuntimeError``.
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
        if "autograd formula" in str(error):
            raise ValueError(
                f"model: {name} computes with functions that have no gradient, so null-text optimisation cannot run "
                f"on it. {_INSTEAD}"
            ) from error
        if "nference tensor" in str(error):
            raise ValueError(
                f"negative: carries a ControlNet or another model, through which {name} cannot be differentiated. "
                "Connect the plain prompt, and apply the ControlNet to the node's output."
            ) from error
        raise


def normal_tensors(value: Any) -> Any:
    """Copy lists and dicts, with each inference tensor in them replaced by one that gradients can flow through."""
    if isinstance(value, Tensor):
        return value.clone() if value.is_inference() else value
    if isinstance(value, dict):
        return {key: normal_tensors(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(normal_tensors(item) for item in value)
    return value
