"""Depth carried along the motion of a clip, so that every frame's map becomes a mean over many frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .checks import expect_finite, expect_shape
from .optical_flow import resize_flow, sample_along

# The most that is carried at once, in bytes; beyond that a limited reach takes several rounds.
_CARRIED = 256 * 2**20
# How far, in pixels of the flow, the way there and back may end from its start for what is carried to count for 0.6
# still: at 0.3 and more errors add up over many frames, at 0.2 good pixels are dropped.
_GAP = 0.25


class Averaging(str, Enum):
    """What counts in the mean: every carried map alike, or each by how well its flows agree on the way."""

    MEAN = "mean"
    CONSISTENT = "consistent"


class PairFlow(NamedTuple):
    """The motion between two neighbouring frames.

    Attributes:
        forward: (2, h, w) float32, from the earlier to the later frame, in pixels of this grid (columns, rows).
        backward: (2, h, w), from the later to the earlier one.
    """

    forward: Tensor
    backward: Tensor


def propagate(
    depth: Tensor,
    flows: Sequence[PairFlow | None],
    averaging: Averaging = Averaging.MEAN,
    reach: int = 0,
    device: torch.device | None = None,
    on_step: Callable[[], None] | None = None,
) -> Tensor:
    r"""Replace every frame's depth by the mean over its own and the other frames' depth, carried to it along the flow.

    From every frame s the depth is carried from frame to frame, forward in time by

    .. math:: D^s_{t+1}(x) = D^s_t(x + F_{t+1 \to t}(x))

    and backward in time likewise with :math:`F_{t \to t+1}`. Both flows are measured; StereoCrafter-Zero has
    :math:`F_{t \to t+1}` in the forward step and takes one flow for the negative of the other, which holds only where
    the flow is uniform. What comes from outside the frame does not count. ``consistent`` (ours) also weighs what is
    carried, at every step, by how well the two flows agree: what was hidden on the way does not count, nor does what
    a wrong flow brings.

    Carrying is linear in the depth: with an unlimited reach, the sum over all source frames is carried as one map, and
    two maps (it and its weight) are warped per frame and direction. A frame to which nothing is carried keeps its
    depth, and a clip in which nothing moves and no depth changes comes back bit for bit. A limited reach carries each
    source frame by itself, ``reach`` of them at once, or, where that takes more than 256 MiB, fewer in several rounds,
    which may change the last digit.

    Args:
        depth: (T, 1, H, W), any floating dtype.
        flows: T - 1 flows between neighbouring frames, of any size with the aspect ratio of the depth; ``None`` at a
            cut, across which nothing is carried.
        averaging: what counts in the mean.
        reach: how many frames, in either direction, a frame's depth is carried; 0 is the whole scene, as in Eq. 12.
        device: where to compute; ``None`` is where ``depth`` is.
        on_step: called after every step from one frame to its neighbour.

    Returns:
        (T, 1, H, W), the dtype and device of ``depth``.

    Raises:
        ValueError: a shape does not fit, values are not finite, ``reach`` is below 0, or the averaging is unknown.

    Source:
        StereoCrafter-Zero (Shi et al.), appendix D.1, Eq. 12.
    """
    averaging = Averaging(averaging)
    expect_shape("depth", depth, "T 1 H W")
    expect_finite("depth", depth)
    if len(flows) != len(depth) - 1:
        raise ValueError(f"flows: got {len(flows)} for {len(depth)} maps. Give one for every two neighbouring frames.")
    if reach < 0:
        raise ValueError(f"reach: got {reach}. Give a number of frames, or 0 for the whole scene.")
    for flow in flows:
        _expect_flow(flow)
    steady = depth.clone()
    start = 0
    for end in [*(index + 1 for index, flow in enumerate(flows) if flow is None), len(depth)]:
        if end - start > 1:
            scene = _Scene(depth[start:end], [f for f in flows[start : end - 1] if f], averaging, device)
            steady[start:end] += scene.change(reach, on_step)
        start = end
    return steady


@dataclass(frozen=True)
class MotionState:
    """What the frames of a scene so far leave for the next: to be kept, saved and taken up again.

    Attributes:
        depth: (1, 1, H, W) each, the maps that still count: at most four times ``reach``.
        flows: (2, 2, h, w) each, forward and backward, between these.
        given: how many of them have been given back.
    """

    depth: tuple[Tensor, ...]
    flows: tuple[Tensor, ...] = ()
    given: int = 0


def follow_motion(
    depth: Tensor,
    flow: PairFlow | None,
    state: MotionState | None,
    averaging: Averaging = Averaging.MEAN,
    reach: int = 4,
    device: torch.device | None = None,
) -> tuple[list[Tensor], MotionState]:
    """Go on to the next frame of a clip, as :func:`propagate` does through all of them, to the bit.

    Args:
        depth: (1, 1, H, W), any floating dtype.
        flow: from the frame before to this one and back; ``None`` where a scene starts.
        state: that of the frame before; ``None`` at the start of the clip.
        averaging, device: as for :func:`propagate`.
        reach: how many frames a frame's depth is carried, at least 1: a mean over a whole scene needs all of it.

    Returns:
        The next frames' means (1, 1, H, W): none, or twice ``reach`` at once, or all that are left of a scene that has
        ended; and the state for the next frame.

    Raises:
        ValueError: a shape does not fit, values are not finite, or ``reach`` is below 1 or too large for these maps.
    """
    expect_shape("depth", depth, "1 1 H W")
    expect_finite("depth", depth)
    _expect_flow(flow)
    most = _most_sources(depth)
    if not 1 <= reach <= most:
        height, width = depth.shape[-2:]
        raise ValueError(f"reach: got {reach}. Give 1 to {most} frames for maps of {width}x{height}.")
    if state is None or flow is None:
        ended = [] if state is None else end_motion(state, averaging, reach, device)
        return ended, MotionState((depth,))
    state = MotionState((*state.depth, depth), (*state.flows, torch.stack(flow)), state.given)
    block = 2 * reach
    if len(state.depth) < state.given + block + reach:
        return [], state
    steady = _held_means(state, averaging, reach, device)[:block]
    given = state.given + block
    old = given - reach
    return steady, MotionState(state.depth[old:], state.flows[old:], reach)


def end_motion(
    state: MotionState, averaging: Averaging = Averaging.MEAN, reach: int = 4, device: torch.device | None = None
) -> list[Tensor]:
    """Return the means that are left at the end of a clip, with the arguments of :func:`follow_motion`."""
    return _held_means(state, averaging, reach, device)


def _held_means(state: MotionState, averaging: Averaging, reach: int, device: torch.device | None) -> list[Tensor]:
    """The means of the frames that have not been given back, of which the last lack what comes after them."""
    depth = torch.cat(state.depth)
    if len(depth) > 1:
        flows = [PairFlow(*flow) for flow in state.flows]
        depth = depth + _Scene(depth, flows, Averaging(averaging), device).change(reach, None)
    return [depth[frame : frame + 1] for frame in range(state.given, len(depth))]


def _expect_flow(flow: PairFlow | None) -> None:
    for name, part in zip(PairFlow._fields, flow or (), strict=False):
        expect_shape(name, part, "2 h w")
        expect_finite(name, part)


def _most_sources(depth: Tensor) -> int:
    """How many maps of the size of (..., H, W) are carried at once, at most."""
    height, width = depth.shape[-2:]
    return max(1, _CARRIED // (2 * height * width * torch.float32.itemsize))


class _Carried(NamedTuple):
    """S maps carried to one frame: how each differs from that frame's depth, times its weight, and that weight.

    Differences rather than depth, since they are exactly zero where nothing moves or changes. Both (S, H, W).
    """

    difference: Tensor
    weight: Tensor


class _Scene:
    """The maps between two cuts."""

    def __init__(
        self, depth: Tensor, flows: Sequence[PairFlow], averaging: Averaging, device: torch.device | None
    ) -> None:
        self.depth, self.flows, self.averaging = depth, flows, averaging
        self.device = device or depth.device

    def change(self, reach: int, on_step: Callable[[], None] | None) -> Tensor:
        """What has to be added to every map to make it the mean, (T, 1, H, W)."""
        difference = torch.zeros(self.depth.shape, device=self.depth.device)
        weight = torch.ones_like(difference)
        for order in (range(len(self.depth)), range(len(self.depth) - 1, -1, -1)):
            for frame, carried in self._carry(order, reach):
                if on_step is not None:
                    on_step()
                difference[frame, 0] += carried.difference.sum(dim=0).to(difference.device)
                weight[frame, 0] += carried.weight.sum(dim=0).to(weight.device)
        return difference.div_(weight).to(self.depth.dtype)

    def _carry(self, order: range, reach: int) -> Iterator[tuple[int, _Carried]]:
        """What is carried to each frame along ``order``, in one round or, to save memory, in several."""
        if reach == 0 or reach >= len(order) - 1:
            yield from self._walk(order, sources=len(order), reach=0)
            return
        sources = _most_sources(self.depth)
        if reach <= sources:  # what has arrived is dropped: no more than ``reach`` are carried at once
            sources = len(order)
        for start in range(0, len(order) - 1, sources):
            yield from self._walk(order[start : start + sources + reach], sources, reach)

    def _walk(self, order: range, sources: int, reach: int) -> Iterator[tuple[int, _Carried]]:
        """Carry the first ``sources`` frames of ``order``: summed up (reach 0), or each of them as far as ``reach``."""
        before, oldest = self._map(order[0]), 0
        carried = _Carried(torch.zeros_like(before), torch.ones_like(before))
        for index, (previous, frame) in enumerate(zip(order, order[1:], strict=False), start=1):
            here = self._map(frame)
            carried = self._warp(carried, before, here, previous, frame)
            yield frame, carried
            difference, weight = carried
            if not reach:
                carried = _Carried(difference, weight + 1)
            else:
                if index < sources:
                    difference = torch.cat([difference, torch.zeros_like(here)])
                    weight = torch.cat([weight, torch.ones_like(here)])
                arrived = max(0, index + 1 - reach - oldest)
                carried, oldest = _Carried(difference[arrived:], weight[arrived:]), oldest + arrived
            before = here

    def _warp(self, carried: _Carried, before: Tensor, here: Tensor, previous: int, frame: int) -> _Carried:
        """Carry from frame ``previous``, whose map is ``before``, to its neighbour ``frame``, whose map is ``here``."""
        pair = self.flows[min(previous, frame)]
        back, there = pair[::-1] if frame > previous else pair
        back, there = back.to(self.device)[None], there.to(self.device)[None]
        size = (here.shape[-2], here.shape[-1])
        values = torch.cat([carried.difference + carried.weight * before, carried.weight])[None]
        read, visible = sample_along(values, resize_flow(back, size))
        seen = visible[0].float()
        if self.averaging is Averaging.CONSISTENT:
            seen = seen * functional.interpolate(consistency(back, there), size, mode="bilinear")[0]
        value, weight = read[0].chunk(2)
        return _Carried((value - weight * here).mul_(seen), weight * seen)

    def _map(self, frame: int) -> Tensor:
        return self.depth[frame].to(self.device, torch.float32)


def consistency(flow: Tensor, back: Tensor) -> Tensor:
    r"""Weigh every pixel by how close to its start the way along ``flow`` and back along ``back`` ends.

    .. math:: \exp(-\|F(x) + B(x + F(x))\|^2 / 2\sigma^2), \quad \sigma = 0.25

    Args:
        flow: F, (B, 2, H, W) float32 in pixels, from this frame to another.
        back: B, the same shape, from the other frame to this one.

    Returns:
        (B, 1, H, W) float32, 0 to 1; near 0 where what this frame shows is hidden in the other frame.
    """
    returned, _ = sample_along(back, flow)
    gap = (flow + returned).square().sum(dim=1, keepdim=True)
    return torch.exp(gap / (-2 * _GAP**2))
