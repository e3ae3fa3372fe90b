"""The conditions of each view: regions, extra channels and hints lie in the right picture where the shift has them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import comfy.samplers
import comfy.utils
import torch
from comfy.conds import CONDRegular
from torch import Tensor

from .control_hints import ViewHints
from .kept import Kept
from .placed import Placed
from .placed_inputs import ENCODED, move_inputs
from .regions import Seen, in_both, in_region, is_regional, move_boxes, move_region, region_of

Entry = dict[str, Any]
Conditions = dict[str, list[Entry]]


@contextmanager
def guided_by(guider: comfy.samplers.CFGGuider, conditions: Conditions) -> Iterator[None]:
    """Let a guider guide by other conditions for as long as the context lasts."""
    before, guider.conds = guider.conds, conditions
    try:
        yield
    finally:
        guider.conds = before


@dataclass(frozen=True, slots=True)
class View:
    """One of the two views of a run.

    Attributes:
        placed: what moves into it.
        kept: (B, ...), what a mask keeps of it.
    """

    placed: Placed
    kept: Kept


class ViewConditions:
    """A guider's conditions for the right view alone, and for the pair.

    What says nothing about places is the same for both views. Of conditions that are batches of more than one view, the
    right view gets those that the host would give it in a pair.
    """

    def __init__(self, guider: comfy.samplers.CFGGuider, left: View, right: View, seed: int | None) -> None:
        """Take a guider, whose processed conditions stay as they are, the views, and the seed of the run."""
        self._conditions, self._model, self._seed = guider.conds, guider.inner_model, seed
        self._views = (left, right)
        self._hints: dict[tuple[int, bool, bool], ViewHints] = {}

    @cached_property
    def right(self) -> Conditions:
        """For the right view alone."""
        alone: Conditions = {}
        for name, seen in self._seen[1].items():
            hinted = [(one.entry | self._hint(one.entry, paired=False), one.region) for one in seen if one is not None]
            alone[name] = [entry if region is None else in_region(entry, region) for entry, region in hinted]
        return alone

    @cached_property
    def pair(self) -> Conditions:
        """For both views, all left entries first."""
        left, right = self._seen
        return {
            name: [entry for pair in zip(left[name], right[name], strict=True) for entry in self._joined(*pair)]
            for name in left
        }

    @cached_property
    def _seen(self) -> list[dict[str, list[Seen | None]]]:
        """Each view's conditions, ``None`` for what has left its picture."""
        views = []
        for view in self._views:
            moved = self._moved(view)
            views.append(
                {
                    name: [self._see(entry, view, moved) for entry in entries]
                    for name, entries in self._conditions.items()
                }
            )
        return views

    def _see(self, entry: Entry, view: View, moved: dict[int, CONDRegular]) -> Seen | None:
        stays, regional = view.placed.stays, is_regional(entry)
        if not stays:
            conditions = {key: moved.get(id(value), value) for key, value in entry["model_conds"].items()}
            entry = {**entry, "model_conds": conditions, **move_boxes(entry, view.placed)}
        if not regional:
            return Seen(entry, None)
        region = region_of(entry, view.kept.latent)
        region = region if stays else move_region(region, view.placed)
        return None if region is None else Seen(entry, region)

    def _moved(self, view: View) -> dict[int, CONDRegular]:
        """What the model makes of a view's inputs, by the identity of what it made of the left view's.

        The host copies conditions between prompts that have the same region, so that an entry's need not be its own.
        """
        moved: dict[int, CONDRegular] = {}
        if view.placed.stays:
            return moved
        entries = len(view.kept.latent)
        for name, entry in ((name, entry) for name, entries in self._conditions.items() for entry in entries):
            again = self._encoded(name, entry, view)
            for key, value in entry["model_conds"].items():
                if key in again:
                    moved.setdefault(id(value), again[key])
                elif view.placed.side == 1 and isinstance(value.cond, Tensor) and len(value.cond) > entries:
                    pair = comfy.utils.repeat_to_batch_size(value.cond, 2 * entries)
                    moved.setdefault(id(value), value._copy_with(pair[entries:]))
        return moved

    def _encoded(self, name: str, entry: Entry, view: View) -> dict[str, CONDRegular]:
        inputs = move_inputs(entry, self._model, view.placed)
        if not inputs and view.kept.mask is None:
            return {}
        (again,) = comfy.samplers.encode_model_conds(
            self._model.extra_conds,
            [{**entry, **inputs}],
            view.kept.latent,
            view.kept.latent.device,
            name,
            latent_image=view.kept.latent,
            denoise_mask=view.kept.mask,
            seed=self._seed,
            latent_shapes=[view.kept.latent.shape],
        )
        return {key: value for key, value in again["model_conds"].items() if key in ENCODED}

    def _joined(self, left: Seen | None, right: Seen | None) -> list[Entry]:
        first = left or right
        if first is None:
            return []
        last = right or first
        conditions = {
            key: self._both(value, last.entry["model_conds"][key]) for key, value in first.entry["model_conds"].items()
        }
        shared = {"model_conds": conditions, **self._hint(first.entry, paired=True)}
        if first.region is None:
            return [{**first.entry, **shared}]
        return in_both(left, right, shared)

    def _both(self, left: CONDRegular, right: CONDRegular) -> CONDRegular:
        if left is right:
            return left
        entries = len(self._views[0].kept.latent)
        halves = [comfy.utils.repeat_to_batch_size(side.cond.to(left.cond), entries) for side in (left, right)]
        return left._copy_with(torch.cat(halves))

    def _hint(self, entry: Entry, paired: bool) -> Entry:
        """The part of a condition that holds its ControlNets; conditions with the same ones share it, as they did."""
        control = entry.get("control")
        if control is None:
            return {}
        key = (id(control), paired, "area" not in entry)
        if key not in self._hints:
            views = [view.placed for view in self._views][0 if paired else 1 :]
            self._hints[key] = ViewHints(control, views, "area" not in entry)
        return {"control": self._hints[key]}
