"""What remembers earlier evaluations of a model, and so one view: runs of two do without it, or it is refused."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Iterator
from typing import Any

_HOLDER = "easycache"  # of the host's EasyCache and LazyCache
_HOSTS = ("easycache", "lazycache")
_FUNCTION = "model_function_wrapper"


def without_caches(model_options: dict[str, Any]) -> dict[str, Any]:
    """Return ``model_options`` with which no cache answers in the model's place.

    EasyCache and LazyCache of the host, and wrappers of other packs that call themselves a cache: TeaCache, MagCache,
    FBCache. They add to x what an earlier evaluation with the same prompt added, if x has changed little since; in the
    other view that lies elsewhere, and a step that is taken once more starts from what has changed little.
    """
    options = {name: value for name, value in model_options.items() if name != _FUNCTION or not _is_cache(value)}
    transformer_options = dict(model_options.get("transformer_options", {}))
    if _HOLDER in transformer_options:
        past = copy.copy(transformer_options[_HOLDER])
        past.end_t = math.inf  # as after its end_percent
        transformer_options[_HOLDER] = past
    if "wrappers" in transformer_options:
        transformer_options["wrappers"] = {
            kind: {key: [one for one in group if not _is_cache(one)] for key, group in groups.items()}
            for kind, groups in transformer_options["wrappers"].items()
        }
    return {**options, "transformer_options": transformer_options}


def tell_caches(model_options: dict[str, Any]) -> str:
    """Say in a line for people which caches a run of two views does without; empty if there are none."""
    names = ", ".join(dict.fromkeys(_names(model_options)))
    return f"{names}: off for the pair, or the right view would repeat the left one" if names else ""


def expect_no_momentum(model_options: dict[str, Any]) -> None:
    """Raise ``ValueError`` where guidance mixes each step with those before, as Adaptive Projected Guidance can."""
    for guide in model_options.get("sampler_pre_cfg_function", ()):
        if inspect.isfunction(guide) and inspect.getclosurevars(guide).nonlocals.get("momentum"):
            raise ValueError(
                "model: Adaptive Projected Guidance with momentum adds the guidance of earlier steps, which were of "
                "the left view alone, or are taken again for the right one. Set its momentum to 0."
            )


def _names(model_options: dict[str, Any]) -> Iterator[str]:
    transformer_options = model_options.get("transformer_options", {})
    if _HOLDER in transformer_options:
        yield transformer_options[_HOLDER].name
    groups = [item for kind in transformer_options.get("wrappers", {}).values() for item in kind.items()]
    others = [one for key, group in groups if key not in _HOSTS for one in group]
    for wrapper in (*others, model_options.get(_FUNCTION)):
        if _is_cache(wrapper):
            yield _names_of(wrapper)[0].split(".")[0]


def _is_cache(wrapper: object) -> bool:
    return any("cache" in name.lower() for name in _names_of(wrapper))


def _names_of(wrapper: object) -> tuple[str, str]:
    """Return the qualified name of a function, or of an object's class, and its module."""
    named = wrapper if hasattr(wrapper, "__qualname__") else type(wrapper)
    return named.__qualname__, named.__module__
