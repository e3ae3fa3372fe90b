"""Builds a depth network from its description and its weights, after a rehearsal that costs no memory."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import comfy.model_management
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import (
    MODEL_FOR_DEPTH_ESTIMATION_MAPPING,
    AutoConfig,
    PretrainedConfig,
    PreTrainedModel,
    pytorch_utils,
)

# Of weights, and of the indices that some files hold as well. Others are quantized.
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64)

# Layers work with memory of their own besides: on the CPU a run held 1.4 times what its tensors do.
_WITH_SCRATCH = 2


@dataclass(frozen=True, slots=True)
class Needs:
    """What a network needs, in numbers of its precision.

    Attributes:
        parameters: weights and buffers.
        activations: most that a run holds at once, for each pixel of its input.
    """

    parameters: int
    activations: float


def rehearse(config: dict, size: tuple[int, int]) -> Needs:
    """Build the network that a ``network_config`` describes and run it, on tensors that have shapes and no memory.

    Args:
        config: the description.
        size: (H, W) of the input.

    Raises:
        ValueError, or whatever transformers raises: the settings do not fit together.
    """
    with torch.device("meta"), torch.no_grad(), _AnyChoice(), _nothing_kept():
        description, kind = _architecture(config)
        network = kind(description).eval()
        own = [*network.parameters(), *network.buffers()]
        with _MemoryCount(own) as count:
            depth = network(pixel_values=torch.empty(1, 3, *size)).predicted_depth
    if depth.ndim != 3 or len(depth) != 1 or not depth.numel():
        raise ValueError("there is no depth map at the end")
    numbers = _WITH_SCRATCH * count.most / torch.float32.itemsize
    return Needs(sum(tensor.numel() for tensor in own), numbers / (size[0] * size[1]))


def build(config: dict, files: Sequence[Path], needs: Needs, dtype: torch.dtype) -> nn.Module:
    """Build the network of a ``network_config`` with the weights in ``files``, and nothing from elsewhere.

    Args:
        config: the description.
        files: in the safetensors format.
        needs: of this network, see ``rehearse``.
        dtype: of the weights.

    Raises:
        ValueError, or whatever transformers and safetensors raise: the weights are damaged, or another network's.
    """
    weights: dict[str, Tensor] = {}
    for file in files:
        weights.update(load_file(file))  # the host's own loader unpickles what is named otherwise
    if odd := {str(tensor.dtype).removeprefix("torch.") for tensor in weights.values() if tensor.dtype not in _DTYPES}:
        raise ValueError(f"numbers of type {', '.join(sorted(odd))} are not read")
    held = sum(tensor.numel() for tensor in weights.values())
    if 2 * held < needs.parameters:  # what is missing would be made up, which takes time and memory
        raise ValueError(f"they are {held} numbers, and config.json describes {needs.parameters}")
    description, kind = _architecture(config)
    # Without a path transformers looks for no file: no adapter, no code, no index, no hub.
    network, report = kind.from_pretrained(
        None,
        config=description,
        state_dict=weights,
        torch_dtype=dtype,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # they are told below, with their shapes
    )
    for key, found, expected in sorted(report["mismatched_keys"]):
        raise ValueError(f"{key} has the shape {tuple(found)}, and config.json describes {tuple(expected)}")
    # The first fusion layer has no second input, and published files leave out the half that would take it.
    absent = [key for key in report["missing_keys"] if "layers.0.residual_layer1" not in key]
    if absent:
        raise ValueError(f"they lack {len(absent)} of the tensors that config.json describes, such as {min(absent)}")
    return network.to(dtype)


def _architecture(config: dict) -> tuple[PretrainedConfig, type[PreTrainedModel]]:
    description = AutoConfig.for_model(**config)
    return description, MODEL_FOR_DEPTH_ESTIMATION_MAPPING[type(description)]


@contextmanager
def _nothing_kept() -> Iterator[None]:
    """Keep transformers from caching: its BEiT shares what it computed for a size among all networks of the process."""
    compiling = pytorch_utils.is_torchdynamo_compiling
    pytorch_utils.is_torchdynamo_compiling = lambda: True  # a compiled network caches nothing
    try:
        yield
    finally:
        pytorch_utils.is_torchdynamo_compiling = compiling


class _AnyChoice(TorchFunctionMode):
    """Answers 0 where a network chooses by a value, as ZoeDepth does among its heads: without memory there is none."""

    def __torch_function__(self, func, types, args=(), kwargs: Mapping | None = None) -> object:  # noqa: ARG002
        return 0 if func is Tensor.item and args[0].is_meta else func(*args, **(kwargs or {}))


class _MemoryCount(TorchDispatchMode):
    """Counts the bytes that new tensors would hold at once.

    Attributes:
        most: the largest sum so far.
    """

    def __init__(self, apart: Iterable[Tensor]) -> None:
        """Take the tensors that do not count."""
        super().__init__()
        self.most = self._now = 0
        self._known = {tensor.untyped_storage()._cdata for tensor in apart}

    def __torch_dispatch__(self, func, types, args=(), kwargs: Mapping | None = None) -> object:  # noqa: ARG002
        comfy.model_management.throw_exception_if_processing_interrupted()
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._known:
            self._known.add(key)
            self._now += storage.nbytes()
            self.most = max(self.most, self._now)
            weakref.finalize(storage, self._remove, key, storage.nbytes())

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._now -= size
