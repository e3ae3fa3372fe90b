"""That a wrong node is seen to be wrong."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.host.fuzz.catalogue import OURS, Kind, Socket
from tests.host.fuzz.given import Scene
from tests.host.fuzz.graphs import Graph
from tests.host.fuzz.running import run_graph
from tests.host.fuzz.shrinking import shrink

PICTURE = {"kind": "ramp", "frames": 1, "height": 4, "width": 8, "channels": 3, "dtype": "float32", "layout": "plain"}


def raising(error: Exception) -> Callable[..., Tensor]:
    def execute(**_: Tensor) -> Tensor:
        raise error

    return execute


def in_place(picture: Tensor) -> Tensor:
    return picture.mul_(0.5)


def infinite(picture: Tensor) -> Tensor:
    return picture / 0


ENDS = {
    "well": (lambda picture: picture / 2, "worked"),
    "clear": (raising(ValueError("picture: is 8x4. Connect a larger one.")), "refused"),
    "another error": (raising(RuntimeError("picture: is 8x4. Connect a larger one.")), "fault"),
    "nothing to do": (raising(ValueError("picture: is 8x4, which is small.")), "fault"),
    "no input": (raising(ValueError("it is 8x4. Connect a larger one.")), "fault"),
    "internal words": (raising(ValueError("picture: a tensor of ndim 4. Connect another.")), "fault"),
    "in place": (in_place, "fault"),
    "infinite": (infinite, "fault"),
}


def catalogue_of(execute: Callable[..., Tensor]) -> Any:
    """A catalogue with one node of ours."""
    name = f"{OURS}Judged"
    node = type("Judged", (), {"FUNCTION": "execute", "execute": lambda _, **inputs: (execute(**inputs),)})
    kind = Kind(name, (Socket("picture", "IMAGE", False),), (), ("IMAGE",))
    given = Kind("Given_Image", (), (), ("IMAGE",))
    return SimpleNamespace(classes={name: node}, kinds={name: kind, given.name: given})


def graph() -> Graph:
    return {
        "1": {"class_type": "Given_Image", "inputs": {**PICTURE, "seed": 0}},
        "2": {"class_type": f"{OURS}Judged", "inputs": {"picture": ["1", 0]}},
    }


@pytest.mark.parametrize("case", ENDS)
def test_a_node_is_judged(host: dict[str, type], case: str):  # noqa: ARG001  # it makes the host importable
    execute, ended = ENDS[case]
    assert run_graph(graph(), catalogue_of(execute)).ended == ended


def test_the_least_graph_keeps_the_fault(host: dict[str, type]):  # noqa: ARG001
    catalogue = catalogue_of(lambda picture: torch.log(picture))  # minus infinity where the picture is black
    whole = {"0": {"class_type": "Given_Image", "inputs": {**PICTURE, "seed": 1, "kind": "white"}}, **graph()}
    fault = run_graph(whole, catalogue)
    least = shrink(
        whole,
        fault.node,
        catalogue,
        Scene("sd15", 1, 1, 1, 1, True),
        lambda g: run_graph(g, catalogue).where == fault.where,
    )
    assert fault.ended == "fault" and least == graph()
