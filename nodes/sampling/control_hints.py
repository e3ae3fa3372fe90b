"""ControlNet hints for samplers that go from one view to a pair in the middle of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from comfy.controlnet import ControlBase
from torch import Tensor


def renew_control_hints(conds: Mapping[str, Iterable[Mapping[str, Any]]]) -> None:
    """Make every ControlNet prepare its hint again.

    The host cuts a hint to the batch of its first call, and uses what is left for the rest of the run: a pair's hints
    would be reduced to those of the left views. A sampler that goes from the left view to the pair calls this between
    the two.

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
