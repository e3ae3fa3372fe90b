"""ControlNet hints for samplers that go from one view to the pair on the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from comfy.controlnet import ControlBase
from torch import Tensor


def renew_control_hints(conds: Mapping[str, Iterable[Mapping[str, Any]]]) -> None:
    """Have every ControlNet prepare its hint anew.

    The host cuts a hint to the batch of its first call and keeps the rest of the run to what is left: of the hints
    of a pair, left ones first, only the left ones. A sampler that goes from the left view to the pair calls this
    between the two.

    Args:
        conds: a guider's processed conditions by name, ``model_wrap.conds`` inside a sampler.
    """
    for entry in (entry for entries in conds.values() for entry in entries):
        control = entry.get("control")
        while control is not None:
            for instance in (control, *control.multigpu_clones.values()):
                instance.cond_hint = None
            control = control.previous_controlnet


class PairedHint(ControlBase):
    """Stands before a ControlNet and gives it, at every call, the hints of the views that are being sampled.

    The host fits a hint to its batch once, and where cond and uncond of the left view together count as many entries
    as the hint it takes them for the pair. This one asks how many entries a condition really has.
    """

    def __init__(self, hint: Tensor) -> None:
        """``hint`` (2B, 3, H, W): the left views' hints, then the right ones'; a left view alone takes the first B."""
        super().__init__()
        self.hint = hint

    def get_control(
        self, x_noisy: Tensor, t: Tensor, cond: dict[str, Any], batched_number: int, transformer_options: dict[str, Any]
    ) -> dict[str, list[Tensor | None]] | None:
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
