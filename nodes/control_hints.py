"""What has to be done for ControlNets when a sampler changes its batch on the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


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
