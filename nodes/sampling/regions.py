"""Regional prompts: where each view has a prompt's region, and a pair of which each view has its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import comfy.samplers
import torch
from torch import Tensor

from .placed import Placed

Entry = dict[str, Any]

_OF_REGIONS = ("area", "mask", "strength", "mask_strength")
_REGIONS = ("area", "mask", "gligen")
# Of the largest weight; the least that the host's soft edges have is an eighth.
_NOTHING = 1e-3


class Region(NamedTuple):
    """Where a condition acts in one view.

    Attributes:
        weights: (B, 1, H, W) or (B, 1, T, H, W), how much it counts there.
        area: the host's rectangle in which the model sees x, sizes first; ``None`` for all of x.
    """

    weights: Tensor
    area: tuple[int, ...] | None


class Seen(NamedTuple):
    """A condition as one view has it.

    Attributes:
        entry: the host's.
        region: where it acts; ``None`` for all of the picture.
    """

    entry: Entry
    region: Region | None

    @property
    def boxes(self) -> object:
        """What GLIGEN is given, if anything."""
        return self.entry.get("gligen")


def is_regional(entry: Mapping[str, Any]) -> bool:
    """Tell whether a condition lies in a part of the picture: by a mask, a rectangle, or boxes of GLIGEN."""
    return any(entry.get(name) is not None for name in _REGIONS)


def region_of(entry: Mapping[str, Any], x: Tensor) -> Region:
    """Return a condition's region as the host has it, soft edges included.

    Args:
        entry: a processed condition.
        x: (B, C, ...), the view that it is for; its shape, device and dtype are read.
    """
    whole = torch.zeros_like(x[:, :1])
    named = {name: entry[name] for name in _OF_REGIONS if name in entry}
    found = comfy.samplers.get_area_and_mult({**named, "model_conds": {}, "uuid": None}, whole, None)
    weights, inside = whole.clone(), whole.ndim - 2
    part = weights
    for axis in range(inside if found.area is not None else 0):
        part = part.narrow(axis + 2, found.area[inside + axis], found.area[axis])
    part += found.mult
    return Region(weights, None if found.area is None else tuple(found.area))


def move_region(region: Region, placed: Placed) -> Region | None:
    """Return a region as one view has it; ``None`` where nothing of its rectangle is left in the picture."""
    weights = placed.maps(region.weights)
    if region.area is None:
        return Region(weights, None)
    columns = _columns(weights > _NOTHING * weights.max())
    if columns is None:
        return None
    area, axes = list(region.area), len(region.area) // 2
    area[axes - 1], area[-1] = columns[1] - columns[0], columns[0]
    return Region(weights, tuple(area))


def move_boxes(entry: Mapping[str, Any], placed: Placed) -> dict[str, Any]:
    """Return the boxes of GLIGEN as one view has them, as a part of a condition; boxes outside of it are left out."""
    gligen = entry.get("gligen")
    if gligen is None or gligen[0] != "position" or "area" in entry:
        return {}
    boxes = []
    for embedding, height, width, y, x in gligen[2]:
        inside = torch.zeros(placed.shape[0], 1, *placed.shape[2:])
        inside[..., y : y + height, x : x + width] = 1
        columns = _columns(placed.maps(inside) > 0.5)
        if columns is not None:
            boxes.append((embedding, height, columns[1] - columns[0], y, columns[0]))
    if [box[1:] for box in boxes] == [box[1:] for box in gligen[2]]:
        return {}
    return {"gligen": (gligen[0], gligen[1], boxes)}


def in_region(entry: Mapping[str, Any], region: Region) -> Entry:
    """Return a condition that acts in ``region``, which may be of one view or of a pair, (2B, 1, ...)."""
    kept = {name: value for name, value in entry.items() if name not in (*_OF_REGIONS, "set_area_to_bounds")}
    area = {} if region.area is None else {"area": region.area}
    weights = region.weights[:, 0]
    if weights.ndim == 4 and not area and weights.equal(weights[:, :1].expand_as(weights)):
        weights = weights[:, :1]  # the host's context windows take a mask of one frame for every window
    return {**kept, **area, "mask": weights, "strength": 1.0}


def in_both(left: Seen | None, right: Seen | None, shared: Mapping[str, Any]) -> list[Entry]:
    """Return the conditions of a pair that act in each view's own region.

    A batch has one rectangle, and one set of boxes. Where the views have different ones, each has a condition to
    itself, which counts for nothing in the other view.

    Args:
        left: what the left view has; ``None`` where it has nothing of it.
        right: the same of the right view; at least one of them has something.
        shared: what both have as a pair: the model's conditions, hints.
    """
    if left and right and left.region.area == right.region.area and left.boxes is right.boxes:
        weights = torch.cat([left.region.weights, right.region.weights])
        return [in_region({**left.entry, **shared}, Region(weights, left.region.area))]
    entries = []
    for side, seen in enumerate((left, right)):
        if seen is not None:
            nothing = torch.zeros_like(seen.region.weights)
            weights = torch.cat([seen.region.weights, nothing] if side == 0 else [nothing, seen.region.weights])
            entries.append(in_region({**seen.entry, **shared}, Region(weights, seen.region.area)))
    return entries


def _columns(inside: Tensor) -> tuple[int, int] | None:
    """The first column of a region in any entry, and the one after the last."""
    columns = inside.flatten(0, -2).any(0).nonzero().flatten().tolist()
    return (columns[0], columns[-1] + 1) if columns else None
