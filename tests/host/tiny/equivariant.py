"""A model that treats every place alike: what lies in a picture, moved, moves the picture and changes nothing else.

Import only after the host is importable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tests.host.tiny.families import load


@dataclass
class Watched:
    """A family's model in whose place a sum of what it is given at each place answers.

    Attributes:
        name: of the family.
        given: what each evaluation was given: ``x``, and every tensor and list of tensors by its name.
    """

    name: str
    given: list[dict[str, Any]] = field(default_factory=list)

    def model(self) -> Any:
        """The MODEL; the family's own is not changed."""
        from comfy.patcher_extension import WrappersMP

        model = load(self.name).clone()
        model.add_wrapper(WrappersMP.APPLY_MODEL, self._answer)
        return model

    def _answer(
        self,
        _network: Any,
        x: Tensor,
        _t: Tensor,
        c_concat: Tensor | None = None,
        c_crossattn: Tensor | None = None,
        control: Any = None,
        transformer_options: Any = None,
        **conds: Any,
    ) -> Tensor:
        """The prompt's level; a little of x; of the width that is seen, of the extra channels, and of ControlNets."""
        self.given.append({"x": x.clone(), "c_concat": c_concat, "options": transformer_options, **conds})
        level = c_crossattn.float().mean((1, 2)).view(-1, *[1] * (x.ndim - 1))
        answer = level.to(x) + 0.01 * x + 0.001 * x.shape[-1]
        if c_concat is not None:
            answer = answer + 0.1 * c_concat.mean(1, keepdim=True)
        if control is not None:
            answer = answer + 0.1 * control["output"][0]
        return answer


def prompt(level: float, width: int = 768, **extras: Any) -> list[list[Any]]:
    """A conditioning that asks for a flat picture of this level."""
    return [[torch.full((1, 7, width), level), {"pooled_output": None, **extras}]]


def near(height: int, width: int) -> Tensor:
    """Depth of a flat picture in front of the screen, an IMAGE: all of it moves by ``max_disparity``."""
    return torch.ones(1, 8 * height, 8 * width, 3)


def moved(values: Tensor, columns: int) -> Tensor:
    """What the right view shows of ``values`` with every column moved; as wide as what it shows."""
    return values[..., columns:]
