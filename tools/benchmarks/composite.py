"""Stereo Composite's views: cropped or scaled by what generated them, put back in their place or stretched."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from stereo_core.compositing import composite, resize_view
from stereo_core.placement import Placement, find_placement, place_view, placements
from stereo_core.rendering import Quality, RenderedView, render_view

from .scenes import STEREO_DATA, Scene, load_scenes
from .table import machine, print_table


class Generated(NamedTuple):
    """A view (1, 3, h, w) as it comes from a generator, and where it lies on the picture."""

    view: Tensor
    place: Placement


def cropped(view: Tensor, stride: int) -> Generated:
    """Crop at the middle to multiples of ``stride``, as ComfyUI's VAE Encode does."""
    size = view.shape[-2:]
    rows, columns = (side // stride * stride for side in size)
    top, left = (size[0] - rows) // 2, (size[1] - columns) // 2
    return Generated(view[..., top : top + rows, left : left + columns], Placement(top, left, rows, columns))


def scaled(view: Tensor, stride: int) -> Generated:
    """Scale to the same multiples."""
    rows, columns = (side // stride * stride for side in view.shape[-2:])
    return Generated(resize_view(view, (rows, columns)), Placement(0, 0, *view.shape[-2:]))


def scaled_then_cropped(view: Tensor, factor: float, stride: int) -> Generated:
    """Scale both sides by ``factor``, then crop."""
    height, width = view.shape[-2:]
    size = round(height * factor), round(width * factor)
    crop = cropped(resize_view(view, size), stride)
    down, across = height / size[0], width / size[1]
    top, left, rows, columns = crop.place
    return Generated(crop.view, Placement(top * down, left * across, rows * down, columns * across))


WAYS: dict[str, Callable[[Tensor], Generated]] = {
    **{f"cropped to multiples of {of}": lambda view, of=of: cropped(view, of) for of in (8, 16, 32)},
    **{f"scaled to multiples of {of}": lambda view, of=of: scaled(view, of) for of in (8, 16, 32)},
    "scaled by 1.5, cropped to multiples of 16": lambda view: scaled_then_cropped(view, 1.5, 16),
    "scaled by 0.5, cropped to multiples of 8": lambda view: scaled_then_cropped(view, 0.5, 8),
}


def main() -> None:
    """Print a table of one row for each way."""
    scenes = load_scenes(None)
    print(
        f"## Generated views, cropped or scaled\n\n{machine('cpu')}. {len(scenes)} pairs at the photographs' size: the "
        "photographed right view, as a generator gives it back, fills the holes of the rendered one. PSNR of all holes "
        "together; told right: views whose place was found to within a pixel.\n"
    )
    if not STEREO_DATA.is_dir():
        print(f"Motorcycle alone: {STEREO_DATA.parts[-3]}/data/stereo is not beside the project.\n")
    with torch.inference_mode():
        views = [render_view(scene.left, scene.disparity) for scene in scenes]
        rows = [[name, *_row(way, scenes, views)] for name, way in WAYS.items()]
    print_table(["the view was", "put in its place", "stretched over the picture", "told right"], rows)


def _row(way: Callable[[Tensor], Generated], scenes: list[Scene], views: list[RenderedView]) -> list[str]:
    errors: list[list[Tensor]] = [[], []]
    told = count = 0
    for scene, rendered in zip(scenes, views, strict=True):
        generated = way(scene.right)
        size = tuple(scene.right.shape[-2:])
        if generated.view.shape[-2:] == size:  # nothing to tell
            continue
        found = place(generated.view, scene)
        count += 1
        told += all(abs(a - b) < 1 for a, b in zip(found, generated.place, strict=True))
        for error, where in zip(errors, (found, Placement(0, 0, *size)), strict=True):
            finished = composite(rendered, place_view(generated.view, where, size))
            error.append((finished - scene.right)[rendered.hole.expand_as(finished)].square())
    return [*(f"{-10 * torch.cat(error).mean().log10().item():.1f}" for error in errors), f"{told} of {count}"]


def place(view: Tensor, scene: Scene) -> Placement:
    """Find where a view lies, as Stereo Composite does."""
    candidates = placements(tuple(view.shape[-2:]), tuple(scene.left.shape[-2:]))
    warped = render_view(scene.left, scene.disparity, Quality.FAST)
    return find_placement(candidates, view, warped.image, ~warped.hole)


if __name__ == "__main__":
    main()
