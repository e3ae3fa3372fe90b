"""What a value is at a moment, so that a change in place shows."""

from __future__ import annotations

import zlib
from typing import Any

import torch
from torch import Tensor

_PATCHES = ("model_options", "patches", "object_patches", "wrappers", "callbacks", "attachments", "hook_patches")
_OF_CONTROL = ("strength", "timestep_percent_range", "cond_hint_original", "global_average_pooling")
_PLAIN = (int, float, complex, str, bytes, bool, type(None))


def fingerprint(value: Any, seen: frozenset[int] = frozenset()) -> Any:
    """Return something to compare: tensors by shape, type and content; models by their options and patches; lists,
    dicts and the pack's and the samplers' objects by what they hold; all else by its identity."""
    if isinstance(value, Tensor):
        return _of_tensor(value)
    if isinstance(value, _PLAIN):
        return repr(value)
    if id(value) in seen:
        return "..."
    seen = seen | {id(value)}
    if isinstance(value, dict):
        return [(repr(key), fingerprint(entry, seen)) for key, entry in value.items()]
    if isinstance(value, (list, tuple)):
        return [fingerprint(entry, seen) for entry in value]
    names: Any = ()
    if all(hasattr(value, name) for name in _PATCHES[:4]):
        names = _PATCHES
    elif hasattr(value, "cond_hint_original"):
        names = _OF_CONTROL
    elif hasattr(value, "original_conds"):  # a guider; the rest is made anew for each run
        names = ("original_conds", "cfg")
    elif _holds_values(value):
        names = getattr(value, "__slots__", None) or vars(value)
    return type(value).__name__, [(name, fingerprint(getattr(value, name, None), seen)) for name in names] or id(value)


def finite(value: Any, seen: frozenset[int] = frozenset()) -> bool:
    """Tell whether no tensor in a value holds NaN or infinity."""
    if isinstance(value, Tensor):
        return not value.is_floating_point() or bool(torch.isfinite(value).all())
    if isinstance(value, (*_PLAIN, type)) or id(value) in seen:
        return True
    seen = seen | {id(value)}
    if isinstance(value, dict):
        return all(finite(entry, seen) for entry in value.values())
    if isinstance(value, (list, tuple)):
        return all(finite(entry, seen) for entry in value)
    if not _holds_values(value):
        return True
    return all(finite(getattr(value, name, None), seen) for name in getattr(value, "__slots__", None) or vars(value))


def _holds_values(value: Any) -> bool:
    """Whether this is one of the pack's own objects or a sampler, not a network or a function."""
    module = type(value).__module__
    ours = "latent-stereo" in module and not isinstance(value, torch.nn.Module)
    return (ours or module == "comfy.samplers") and (hasattr(value, "__dict__") or hasattr(value, "__slots__"))


def _of_tensor(tensor: Tensor) -> Any:
    content = tensor.detach().cpu().clone(memory_format=torch.contiguous_format).reshape(-1).view(torch.uint8).numpy()
    return tuple(tensor.shape), str(tensor.dtype), zlib.crc32(content)
