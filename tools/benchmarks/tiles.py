"""Depth in tiles: how near it comes to true disparity that a model sees small, soft, and in another scale each time.

The model is exact otherwise: it stands for one whose map is a fraction of the picture's size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import fmean
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stereo_core.depth_tiles import Tiling, tiled_inverse_depth
from stereo_core.metrics import psnr
from stereo_core.rendering import Quality, render_view

from .edges import blurred, left_out
from .scenes import Scene, load_scenes
from .table import machine, print_table

SIDE = 160
"""Longer side of the model's maps, for pictures of 512: as 518 is of 1,660."""
# Std of how differently it sees each picture it is given: of the scale, and of bends over the picture, in shares of
# the whole range.
_SCALE, _BEND = 0.25, 0.08
_CELLS = (12, 24, 48)
_EDGE = 0.04  # a step of this share of the range within four pixels


class Errors(NamedTuple):
    """Mean differences in percent of the range, after one scale and shift; of the view made with it, in dB."""

    edges: float
    elsewhere: float
    view: float


def model(seed: int) -> Callable[[Tensor], Tensor]:
    """Return a model that sees the depth in the first channel of its pictures; the first one it sees unbent."""
    generator = torch.Generator().manual_seed(seed)
    bend = 0.0

    def infer(pictures: Tensor) -> Tensor:
        nonlocal bend
        depth = pictures[:, :1]
        size = [round(side * SIDE / max(depth.shape[-2:])) for side in depth.shape[-2:]]
        seen = blurred(F.interpolate(depth, size, mode="bilinear", antialias=True), 1.0)
        y, x = torch.meshgrid(*(torch.linspace(-1, 1, side) for side in size), indexing="ij")
        bends = bend * torch.randn(5, generator=generator)
        bend = _BEND
        shape = (bends.view(5, 1, 1) * torch.stack([x, y, x * y, x * x, y * y])).sum(0)
        return (1 + seen * float(torch.randn(1, generator=generator).mul(_SCALE).exp()) + shape).clamp(min=1e-3)

    return infer


def errors(scene: Scene, tiling: Tiling, seed: int = 0) -> Errors:
    true = scene.disparity / scene.disparity.max()
    found = tiled_inverse_depth(true.expand(-1, 3, -1, -1), model(seed), tiling)
    values = F.interpolate(found, true.shape[-2:], mode="bilinear").double()
    columns = torch.stack([values.flatten(), torch.ones(values.numel(), dtype=torch.float64)], 1)
    fitted = (columns @ torch.linalg.lstsq(columns, true.double().view(-1, 1)).solution).view_as(true).float()
    off = 100 * (fitted - true).abs()
    edges = F.max_pool2d(true, 9, 1, 4) + F.max_pool2d(-true, 9, 1, 4) > _EDGE
    view = render_view(scene.left, fitted * scene.disparity.max(), Quality.BEST).image
    return Errors(off[edges].mean().item(), off[~edges].mean().item(), float(psnr(view, scene.right)))


def main() -> None:
    print(f"## Depth in tiles\n\n{machine('cpu')}\n\nError in percent of the range, view in dB:\n")
    scenes = load_scenes()
    counts = {count: [errors(scene, Tiling(count)) for scene in scenes] for count in (1, 2, 3)}
    header = ["scene", *(f"{name}, {count} tiles" for name in ("edges", "elsewhere", "view") for count in counts)]
    rows = [
        [scene.name, *(f"{getattr(counts[count][number], name):.2f}" for name in Errors._fields for count in counts)]
        for number, scene in enumerate(scenes)
    ]
    means = [fmean(getattr(each, name) for each in counts[count]) for name in Errors._fields for count in counts]
    print_table(header, [*rows, ["mean", *(f"{mean:.2f}" for mean in means)]])
    by_cells = [[errors(scene, replace(Tiling(3), cells=cells), 1) for cells in _CELLS] for scene in scenes]
    chosen = left_out([[-each.edges for each in row] for row in by_cells])
    rows = [
        [name, *(f"{fmean(getattr(row[form], name) for row in by_cells):.2f}" for form in range(len(_CELLS)))]
        + [f"{fmean(getattr(row[form], name) for row, form in zip(by_cells, chosen, strict=True)):.2f}"]
        for name in Errors._fields
    ]
    print_table(["mean, 3 tiles, another seed", *(f"{cells} cells" for cells in _CELLS), "chosen by the others"], rows)


if __name__ == "__main__":
    main()
