"""How every surface moves from a frame to its neighbour, also where a nearer one hides it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .point_cells import spread
from .propagation import consistency

# What the camera's motion alone does not explain is kept in cells, so many along the longer side and in disparity.
_CELLS, _LAYERS = 24, 8
# So many reliable pixels of the flow in a cell count as much as what the cells around it say.
_SUPPORT = 4.0
# Pixels of the flow so close to a nearer surface take on its motion and do not count: its windows reach so far.
_HALO = 8
# A contrast, of 1, between neighbours at which the flow counts for half.
_CONTRAST = 0.03
_ROUNDS = 8
_LEAST_RESIDUAL = 0.02  # pixels of the flow


class SurfaceMotion(NamedTuple):
    """The motion between two neighbouring frames as a function of place and disparity.

    Attributes:
        camera: (2, 4), of columns and rows: what a constant, the column, the row and the disparity add to it, these
            three as they are in ``_unit``.
        rest: (2, layers, rows, columns), what comes on top of that.
        scale: (3,), and
        offset: (3,): column, row and disparity, in [-1, 1] over the frame, are their values * scale + offset.
    """

    camera: Tensor
    rest: Tensor
    scale: Tensor
    offset: Tensor

    def at(self, points: Tensor) -> Tensor:
        """Return the motion of points (3, N), column, row and disparity in pixels of the frame: (2, N), the same."""
        unit = points * self.scale[:, None] + self.offset[:, None]
        return self.camera[:, 1:] @ unit + self.camera[:, :1] + _sample_cells(self.rest, unit)


def still_motion(disparity: Tensor) -> SurfaceMotion:
    """Return the motion between two equal frames."""
    zero = disparity.new_zeros
    return SurfaceMotion(zero(2, 4), zero(2, 1, 1, 1), zero(3), zero(3))


def surface_motion(flow: Tensor, back: Tensor, disparity: Tensor, image: Tensor) -> SurfaceMotion:
    """Find how surfaces move, from the flow of those that are seen.

    The flow is fitted by a function linear in place and disparity, as a camera's small motion makes it, robustly: what
    moves by itself does not count. What remains is averaged in cells of place and disparity, and cells in which
    nothing is seen take the mean of those around them at the same disparity.

    Args:
        flow: (2, h, w) float32 from this frame to its neighbour, in pixels of its own grid.
        back: (2, h, w), from the neighbour to this frame.
        disparity: (H, W) of this frame, in columns of the frame's grid.
        image: (3, h, w) in [0, 1], this frame; where it has no texture the flow is a guess and counts less.

    Returns:
        The motion, in pixels of the frame.
    """
    rows, columns = flow.shape[-2:]
    height, width = disparity.shape
    near = functional.interpolate(disparity[None, None], (rows, columns), mode="nearest-exact")
    trust = consistency(flow[None], back[None])[0, 0]
    contrast = functional.max_pool2d(torch.cat([image, -image])[None], 3, 1, 1)[0]
    contrast = (contrast[:3] + contrast[3:]).mean(0).square()
    trust = trust * contrast / (contrast + _CONTRAST**2)
    edge = functional.max_pool2d(near, 2 * _HALO + 1, 1, _HALO) - near
    low, high = near.aminmax()
    trust = (trust * (edge[0, 0] < 0.05 * (high - low).clamp(min=1))).flatten() + 1e-6
    across = torch.linspace(-1 + 1 / columns, 1 - 1 / columns, columns, device=flow.device)
    down = torch.linspace(-1 + 1 / rows, 1 - 1 / rows, rows, device=flow.device)
    scale = torch.stack([near.new_tensor(2 / width), near.new_tensor(2 / height), 2 / (high - low).clamp(min=1)])
    offset = torch.stack([near.new_tensor(1 / width - 1), near.new_tensor(1 / height - 1), -1 - low * scale[2]])
    depth = near[0, 0] * scale[2] + offset[2]
    unit = torch.stack([across.expand(rows, -1), down[:, None].expand(-1, columns), depth]).flatten(1)
    moved = flow.flatten(1)
    camera = _fit(unit, moved, trust)
    rest = _average(unit, moved - (camera[:, 1:] @ unit + camera[:, :1]), trust, rows, columns)
    pixels = flow.new_tensor([width / columns, height / rows])
    return SurfaceMotion(camera * pixels[:, None], rest * pixels[:, None, None, None], scale, offset)


def _fit(unit: Tensor, moved: Tensor, trust: Tensor) -> Tensor:
    """Fit ``moved`` (2, N) linearly in ``unit`` (3, N); (2, 4). Outliers lose their weight (Geman and McClure)."""
    basis = torch.cat([torch.ones_like(unit[:1]), unit])
    camera = unit.new_zeros(2, 4)
    likely = trust >= 0.5 * trust.amax()
    camera[:, 0] = moved[:, likely].median(1).values
    ridge = torch.diag(unit.new_tensor([1e-3, 1, 1, 1])) * (1e-2 * len(trust))
    for _ in range(_ROUNDS):
        gap = (moved - camera @ basis).square().sum(0)
        typical = gap[likely].median().sqrt()
        weight = trust / (1 + gap / (2 * typical).clamp(min=_LEAST_RESIDUAL).square()).square()
        weighted = basis * weight
        change = torch.linalg.solve(weighted @ basis.T + ridge * weight.mean(), weighted @ (moved - camera @ basis).T)
        camera = camera + change.T
    return camera


def _average(unit: Tensor, rest: Tensor, trust: Tensor, rows: int, columns: int) -> Tensor:
    across = _CELLS if columns >= rows else max(1, round(_CELLS * columns / rows))
    down = _CELLS if rows > columns else max(1, round(_CELLS * rows / columns))
    size = unit.new_tensor([across, down, _LAYERS])[:, None]
    cell = ((unit + 1) / 2 * size).floor().clamp_(min=0).minimum(size - 1).long()
    index = (cell[2] * down + cell[1]) * across + cell[0]
    sums = unit.new_zeros(3, _LAYERS * down * across)
    sums.index_add_(1, index, torch.cat([rest * trust, trust[None]]))
    sums = sums.view(3, _LAYERS, down, across).transpose(0, 1)
    return spread(sums[:, :2], sums[:, 2:], _SUPPORT).transpose(0, 1)


def _sample_cells(cells: Tensor, unit: Tensor) -> Tensor:
    """Read cells (C, layers, rows, columns) at points (3, N) in [-1, 1], linearly between their centres; (C, N)."""
    size = unit.new_tensor(cells.shape[:0:-1])[:, None]
    place = ((unit + 1) / 2 * size - 0.5).clamp_(min=0).minimum(size - 1)
    first = place.floor()
    part = place - first
    low = first.long()
    high = (low + 1).minimum(size.long() - 1)
    flat = cells.flatten(1)
    total = unit.new_zeros(len(cells), unit.shape[1])
    for z, at_z in ((low[2], 1 - part[2]), (high[2], part[2])):
        for y, at_y in ((low[1], 1 - part[1]), (high[1], part[1])):
            row = (z * cells.shape[2] + y) * cells.shape[3]
            for x, at_x in ((low[0], 1 - part[0]), (high[0], part[0])):
                total.addcmul_(flat[:, row + x], at_x * at_y * at_z)
    return total
