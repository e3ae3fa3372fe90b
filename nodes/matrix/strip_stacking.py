"""Stacks the conditioning of several strips, so that they share one evaluation."""

from __future__ import annotations

from typing import Any

import comfy.conds
import torch

# A conditioning with none of these applies to the whole strip at all times, and can share an evaluation with others.
_PARTIAL = ("area", "mask", "strength", "timestep_start", "timestep_end", "gligen", "default")
_STACKED = (comfy.conds.CONDRegular, comfy.conds.CONDNoiseShape, comfy.conds.CONDCrossAttn)

Conds = dict[str, list[dict[str, Any]]]


def stack_conds(parts: list[Conds], length: int) -> Conds | None:
    """Stack the processed conditions of several strips.

    Args:
        parts: for each of N strips, ``positive`` and ``negative`` after the host's ``process_conds``.
        length: L, entries of a strip.

    Returns:
        The conditions of a batch (N * L, ...); ``None`` where those of the strips differ in more than values, or apply
        to a part of a strip or of the schedule only.
    """
    out: Conds = {}
    for name in ("positive", "negative"):
        entries = [part[name] for part in parts]
        if any(len(entry) != 1 or any(key in entry[0] for key in _PARTIAL) for entry in entries):
            return None
        each = [entry[0]["model_conds"] for entry in entries]
        if any(conds.keys() != each[0].keys() for conds in each):
            return None
        stacked = {key: _stack_one([conds[key] for conds in each], length) for key in each[0]}
        if None in stacked.values():
            return None
        out[name] = [{**entries[0][0], "model_conds": stacked}]
    return out


def _stack_one(conds: list[Any], length: int) -> Any:
    if all(type(cond) is comfy.conds.CONDConstant for cond in conds):
        return conds[0] if all(comfy.conds.is_equal(cond.cond, conds[0].cond) for cond in conds) else None
    if any(type(cond) not in _STACKED for cond in conds):
        return None
    values = [cond.process_cond(batch_size=length, area=None).cond for cond in conds]
    if any(value.shape != values[0].shape for value in values):
        return None
    return conds[0]._copy_with(torch.cat(values))
