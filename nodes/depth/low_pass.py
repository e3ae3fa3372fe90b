"""What takes detail out of a depth map: the methods' measures, low-passes over a clip, and the strip to choose from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from ...stereo_core.depth_lowpass import edge_aware, gaussian, resample
from ..host import compute_device

_STRENGTHS = (0, 10, 20, 30, 40, 45)
"""The paper's."""
_SCALES = (1.0, 0.5, 0.25, 0.125)
"""The paper's, and one more."""
_RADII = (0.0, 0.5, 1.0, 2.0, 4.0)
_PICTURE_WIDTH = 384


class DissolveMethod(str, Enum):
    """What takes the detail away."""

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
    """The amounts that the preview shows: nothing, then ``amount`` alone or among a choice of others."""
    kinds = {DissolveMethod.DISSOLVE: _STRENGTHS, DissolveMethod.RESAMPLE: _SCALES}
    nothing, *choice = kinds.get(method, _RADII)
    others = {amount, *(choice if strip else [])} - {nothing}
    return [nothing, *sorted(others, reverse=method is DissolveMethod.RESAMPLE)]


def caption(method: DissolveMethod, amount: float) -> str:
    """An amount as the widgets count it."""
    text = {DissolveMethod.DISSOLVE: "t = {:g}", DissolveMethod.RESAMPLE: "{:g}"}
    return text.get(method, "{:g} %").format(amount)


@dataclass(frozen=True, slots=True)
class LowPass:
    """A method that needs no model.

    Attributes:
        method: which.
    """

    method: DissolveMethod

    def ticks(self, frames: int) -> tuple[int, int]:
        """How often ``clip`` and ``frame`` tick."""
        return frames, 1

    def clip(self, depth: Tensor, amount: float, tick: Callable[[], object]) -> Tensor:
        """Smooth a clip (T, 1, H, W), each frame by itself: equal frames stay equal."""
        smooth = torch.empty_like(depth)
        for index in range(len(depth)):
            smooth[index] = self.frame(depth, index, amount, tick)
        return smooth

    def frame(self, depth: Tensor, index: int, amount: float, tick: Callable[[], object]) -> Tensor:
        """Smooth one frame of a clip: (1, H, W)."""
        tick()
        return _LOW_PASSES[self.method](depth[index : index + 1].to(compute_device()), amount)[0].to(depth)


def draw_strip(frames: Sequence[Tensor]) -> Tensor:
    """Put maps (1, H, W) in rows: a grey (1, 3, h, w), no map wider than a preview needs.

    In as many rows as make the maps largest on a node, which is about as wide as high: side by side, six maps would be
    60 pixels wide there.
    """
    columns = math.ceil(math.sqrt(len(frames)))
    empty = [torch.zeros_like(frames[0])] * (-len(frames) % columns)
    maps = torch.stack([*frames, *empty])
    scale = min(1.0, _PICTURE_WIDTH / maps.shape[-1])
    size = [max(1, round(scale * side)) for side in maps.shape[-2:]]
    maps = functional.interpolate(maps, size, mode="area")
    return rearrange(maps, "(r n) c h w -> 1 c (r h) (n w)", n=columns).expand(-1, 3, -1, -1)
