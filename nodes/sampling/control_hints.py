"""ControlNet hints for each view: the right one sees what the left one is guided by from its own place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import comfy.utils
import torch
from comfy.controlnet import ControlBase
from torch import Tensor

from .picture_vae import for_pictures
from .placed import Placed

State = dict[str, Any]


class PairedHint(ControlBase):
    """Stands in front of a ControlNet and gives it, at every call, the hints of the views that are being sampled.

    The host fits a hint to the batch once, and where cond and uncond of the left view together have as many entries
    as the hint, it takes them for the pair. This class looks at how many entries each condition really has.
    """

    def __init__(self, hint: Tensor) -> None:
        """Take ``hint`` (2B, 3, H, W): first the left views' hints, which a left view alone uses, then the right's."""
        super().__init__()
        self.hint = hint

    def get_control(
        self, x_noisy: Tensor, t: Tensor, cond: dict[str, Any], batched_number: int, transformer_options: dict[str, Any]
    ) -> dict[str, list[Tensor | None]] | None:
        """Return what the ControlNet adds, as the host asks for it.

        Args:
            x_noisy: (batched_number * B, ...) or, of the pair, (batched_number * 2B, ...).
            t: noise levels, one for each entry of ``x_noisy``.
            cond: the conditions of this evaluation.
            batched_number: how many conditions share it.
            transformer_options: the host's.
        """
        control = self.previous_controlnet
        hint = self.hint[: len(x_noisy) // batched_number]
        if len(control.cond_hint_original) != len(hint):
            control.cond_hint_original, control.cond_hint = hint, None
        return control.get_control(x_noisy, t, cond, batched_number, transformer_options)

    def deepclone_multigpu(self, load_device: Any, autoregister: bool = False) -> PairedHint:
        clone = PairedHint(self.hint)
        if autoregister:
            self.multigpu_clones[load_device] = clone
        return clone


class ViewHints(ControlBase):
    """Stands in front of a chain of ControlNets that others use as well, and gives each its hints of these views.

    A ControlNet keeps the hint that it has prepared for a batch. Here every set of views keeps its own; between the
    calls, and after the run, the ControlNets are as they were.
    """

    def __init__(self, control: ControlBase, views: Sequence[Placed], moved: bool) -> None:
        """Move the hints.

        Args:
            control: the last of the chain.
            views: one, or both, the left one first.
            moved: whether hints lie in the picture; where a condition has a rectangle they lie in that.
        """
        super().__init__()
        self.previous_controlnet = control
        self.multigpu_clones = {
            device: ViewHints(clone, views, moved) for device, clone in control.multigpu_clones.items()
        }
        self._states = list(_states(control, views, moved))

    def get_control(self, *args: Any) -> dict[str, list[Tensor | None]] | None:
        """Return what the chain adds for these views, as the host asks for it."""
        with self._in_place():
            return self.previous_controlnet.get_control(*args)

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        before = [(control, {name: getattr(control, name) for name in state}) for control, state in self._states]
        for control, state in self._states:
            vars(control).update(state)
        try:
            yield
        finally:
            for control, state in self._states:
                state.update({name: getattr(control, name) for name in state})
            for control, state in before:
                vars(control).update(state)


def _states(control: ControlBase | None, views: Sequence[Placed], moved: bool) -> Iterator[tuple[ControlBase, State]]:
    """Each ControlNet of a chain, with what it holds for these views."""
    given: Tensor | None = None
    while control is not None:
        if isinstance(control, PairedHint):
            given = torch.cat([control.hint.chunk(2)[view.side] for view in views])
            yield control, {"hint": given}
        else:
            yield control, _state(control, views, moved, given)
            given = None
        control = control.previous_controlnet


def _state(control: ControlBase, views: Sequence[Placed], moved: bool, given: Tensor | None) -> State:
    prepared = ("cond_hint", "extra_concat", "control_input")
    state: State = {name: None for name in prepared if hasattr(control, name)}
    hint = control.cond_hint_original if given is None else given
    if given is None and isinstance(hint, Tensor):
        hint = _in_shape(hint, control, views[0])
        hint = torch.cat([view.pictures(hint) if moved else view.repeat(hint) for view in views])
    masks = [
        # 1 = keep, so that the holes must become 0
        torch.cat([1 - view.masks(1 - mask) for view in views]) if moved and mask.shape[-2:] != (1, 1) else mask
        for mask in control.extra_concat_orig
    ]
    vae = for_pictures(control.vae) if given is None else control.vae
    return {**state, "cond_hint_original": hint, "extra_concat_orig": masks, "vae": vae}


def _in_shape(hint: Tensor, control: ControlBase, placed: Placed) -> Tensor:
    """Cut a hint of another shape than the picture, as the host does for it."""
    height, width = placed.shape[-2:]
    if hint.shape[-1] * height == hint.shape[-2] * width:
        return hint
    scale = control.compression_ratio * (1 if control.vae is None else control.vae.spacial_compression_encode())
    return comfy.utils.common_upscale(hint, width * scale, height * scale, control.upscale_algorithm, "center")
