"""Steps of a registration in a grid of cells: what a cell cannot tell, the cells around it do."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# The squared gradient at which a cell and the coarser grid count alike.
_RIDGE = 0.002


def solve_steps(terms: Tensor) -> Tensor:
    """Solve the normal equations of Lucas and Kanade's method in every cell, from coarse grids to fine ones.

    Where a cell has little texture, or only along one direction, its step is that of the cells around it and not zero:
    the flow beside a nearer surface is drawn towards that one's, over many cells at once.

    Args:
        terms: (5, h, w), in every cell the sums of the squared slopes across, of the slopes across times down, of the
            squared slopes down, and of the slopes across and down times the gap.

    Returns:
        (2, h, w), columns and rows in pixels; zero where no slope is anywhere.

    Source:
        Lucas and Kanade, "An iterative image registration technique", IJCAI 1981; the grids as in Bergen et al.,
        "Hierarchical model-based motion estimation", ECCV 1992.
    """
    size = terms.shape[-2:]
    if size == (1, 1):
        expected = terms.new_zeros(2, 1, 1)
    else:
        coarse = functional.avg_pool2d(terms[None], 2, ceil_mode=True, divisor_override=1)[0]
        expected = functional.interpolate(solve_steps(coarse)[None], size, mode="bilinear")[0]
    xx, xy, yy, xg, yg = _blur(terms)
    xx, yy = xx + _RIDGE, yy + _RIDGE
    xg, yg = xg + _RIDGE * expected[0], yg + _RIDGE * expected[1]
    steps: Tensor = torch.stack([yy * xg - xy * yg, xx * yg - xy * xg]) / (xx * yy - xy * xy)
    return steps


def _blur(cells: Tensor) -> Tensor:
    """Sum up over 5 x 5 cells, the middle counting most."""
    padded = functional.pad(cells[None], (2, 2, 2, 2))
    return functional.avg_pool2d(functional.avg_pool2d(padded, 3, 1), 3, 1)[0]
