"""Ways to remove detail from a depth map: their amounts, the low-passes, and a strip of maps to choose from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Protocol

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from ...stereo_core.depth_lowpass import edge_aware, gaussian, resample
from ..host import compute_device, each_frame

# StereoCrafter-Zero's strengths, and its scales with one more.
_STRENGTHS = (0, 10, 20, 30, 40, 45)
_SCALES = (1.0, 0.5, 0.25, 0.125)
_RADII = (0.0, 0.5, 1.0, 2.0, 4.0)
_PICTURE_WIDTH = 384


class DissolveMethod(str, Enum):
    """What removes the detail."""

    DISSOLVE = "dissolve"
    GAUSSIAN = "gaussian"
    RESAMPLE = "resample"
    EDGE_AWARE = "edge_aware"


_LOW_PASSES = {
    DissolveMethod.GAUSSIAN: gaussian,
    DissolveMethod.RESAMPLE: resample,
    DissolveMethod.EDGE_AWARE: edge_aware,
}


def amounts_to_show(method: DissolveMethod, amount: float, strip: bool) -> list[float]:
    """Return the amounts that the preview shows: no change, then ``amount`` alone or, in a strip, among others.

    Args:
        method: whose amounts they are.
        amount: strength (0 to 50), radius (percent of the width) or scale (0 to 1), as the method has it.
        strip: whether others are shown.
    """
    kinds = {DissolveMethod.DISSOLVE: _STRENGTHS, DissolveMethod.RESAMPLE: _SCALES}
    nothing, *choice = kinds.get(method, _RADII)
    others = {amount, *(choice if strip else [])} - {nothing}
    return [nothing, *sorted(others, reverse=method is DissolveMethod.RESAMPLE)]


def caption(method: DissolveMethod, amount: float) -> str:
    """Return an amount as text, in the unit of its widget."""
    text = {DissolveMethod.DISSOLVE: "t = {:g}", DissolveMethod.RESAMPLE: "{:g}"}
    return text.get(method, "{:g} %").format(amount)


@dataclass(frozen=True, slots=True)
class LowPass:
    """A method that needs no model; the counterpart of ``DepthDissolver``.

    Attributes:
        method: any but ``DISSOLVE``.
    """

    method: DissolveMethod

    def ticks(self, frames: int) -> tuple[int, int]:
        """Return how often ``clip`` and ``frame`` call ``tick``."""
        return frames, 1

    def clip(self, depth: Tensor, amount: float, tick: Callable[[], object]) -> Tensor:
        """Smooth a clip, each frame by itself, so that equal frames stay equal.

        Args:
            depth: (T, 1, H, W) in [0, 1].
            amount: radius in percent of the width, or scale, 0 to 1.
            tick: called before each frame, for progress.

        Returns:
            (T, 1, H, W) in [0, 1].
        """
        smooth = torch.empty_like(depth)
        for index in range(len(depth)):
            smooth[index] = self.frame(depth, index, amount, tick)
        return smooth

    def frame(self, depth: Tensor, index: int, amount: float, tick: Callable[[], object]) -> Tensor:
        """Smooth frame ``index`` of a clip, 0 to T - 1; as ``clip``, but returns (1, H, W)."""
        tick()
        return _LOW_PASSES[self.method](depth[index : index + 1].to(compute_device()), amount)[0].to(depth)


class Dissolver(Protocol):
    """What dissolves a clip: ``LowPass``, or ``DepthDissolver`` with a model."""

    def ticks(self, frames: int) -> tuple[int, int]:
        """Return how often ``clip`` and ``frame`` call ``tick``."""
        ...

    def clip(self, depth: Tensor, amount: Any, tick: Callable[[], object]) -> Tensor:
        """Dissolve a clip (T, 1, H, W) in [0, 1], to the same shape and range."""
        ...

    def frame(self, depth: Tensor, index: int, amount: Any, tick: Callable[[], object]) -> Tensor:
        """Dissolve frame ``index`` of a clip (T, 1, H, W) in [0, 1], to (1, H, W)."""
        ...


def dissolve_clip(
    worker: Dissolver, maps: Tensor, amount: float, amounts: Sequence[float]
) -> tuple[Tensor | None, list[Tensor]]:
    """Dissolve a clip by one amount, and its middle frame by several, showing progress on the node.

    Args:
        worker: what dissolves.
        maps: (T, 1, H, W) in [0, 1].
        amount: for the clip; strength, radius or scale.
        amounts: for the middle frame.

    Returns:
        The clip (T, 1, H, W), ``None`` if ``amount`` is not among ``amounts``; and the middle frame (1, H, W) at each.
    """
    middle = len(maps) // 2
    whole, single = worker.ticks(len(maps))
    tick = partial(next, each_frame(sum(whole if each == amount else single for each in amounts)))
    clip, frames = None, []
    for each in amounts:
        if each == amount:
            clip = worker.clip(maps, amount, tick)
            frames.append(clip[middle])
        else:
            frames.append(worker.frame(maps, middle, each, tick))
    return clip, frames


def draw_strip(frames: Sequence[Tensor]) -> Tensor:
    """Arrange maps (1, H, W) in rows, as one grey picture (1, 3, h, w), no map wider than a preview needs.

    There are about as many rows as columns, because previews on a node are about as wide as they are high: in a single
    row, each of six maps would be 60 pixels wide.
    """
    columns = math.ceil(math.sqrt(len(frames)))
    empty = [torch.zeros_like(frames[0])] * (-len(frames) % columns)
    maps = torch.stack([*frames, *empty])
    scale = min(1.0, _PICTURE_WIDTH / maps.shape[-1])
    size = [max(1, round(scale * side)) for side in maps.shape[-2:]]
    maps = functional.interpolate(maps, size, mode="area")
    return rearrange(maps, "(r n) c h w -> 1 c (r h) (n w)", n=columns).expand(-1, 3, -1, -1)
