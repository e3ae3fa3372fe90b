"""ControlNets with a hint for each view, attached to conditioning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .control_hints import PairedHint

Conditioning = list[list[Any]]


def attach_hint(control: Any, *conditionings: Conditioning) -> Iterator[Conditioning]:
    """Add a ControlNet to every entry; entries that share an earlier ControlNet share the copy that follows it."""
    continued = {}
    for conditioning in conditionings:
        before = [values.get("control") for _, values in conditioning]
        for earlier in before:
            if earlier not in continued:
                chained = control.copy().set_previous_controlnet(earlier)
                continued[earlier] = PairedHint(chained.cond_hint_original).set_previous_controlnet(chained)
        yield [
            [embedding, {**values, "control": continued[earlier], "control_apply_to_uncond": False}]
            for (embedding, values), earlier in zip(conditioning, before, strict=True)
        ]
