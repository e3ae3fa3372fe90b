"""Steadying of depth that was estimated frame by frame: noise planted on true disparity, and what is left of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from skimage import data
from torch import Tensor
from torch.nn import functional

from stereo_core.optical_flow import optical_flow, sample_along
from stereo_core.propagation import Averaging, PairFlow, propagate
from stereo_core.stabilization import stabilize

from .clip_scenes import VIDEO, bunny, sintel, telescope
from .table import machine, print_table

FRAMES, HEIGHT, WIDTH, WIDE = 24, 125, 180, 240
SCALE, SHIFT, SMOOTH = 0.1, 0.05, 0.02  # stds; of a picture's range of 1
CHANGE = 12  # the frame with which something near appears
_EDGE = 0.1  # the least step of true disparity that counts as an edge


class Scene(NamedTuple):
    """A clip (T, 3, H, W), its true disparity (T, 1, H, W) in [0, 1], where its object is, and the pan in pixels."""

    image: Tensor
    truth: Tensor
    thing: Tensor
    pan: int


def main() -> None:
    """Print flicker, error and edges before and after."""
    print(f"## Steadying of frame-by-frame depth, {FRAMES} frames of {WIDTH}x{HEIGHT}\n")
    print(f"{machine('cpu')}.\n")
    rows = []
    for name, make in CASES.items():
        scene = make()
        raw = _noisy(scene.truth)
        for kind, depth in (
            ("as estimated", raw),
            ("steadied", steady := stabilize(raw, scene.image)),
            ("steadied, then propagated", propagate(steady, _flows(scene.image), Averaging.CONSISTENT)),
            ("smooth errors alone", _noisy(scene.truth, 0)),
        ):
            fitted = _fitted(depth, scene.truth)
            late, edges = _late(fitted, scene), _edges(fitted, scene)
            figures = (_flicker(fitted, scene), _error(fitted, scene.truth), late, edges)
            rows.append([f"{name}: {kind}", *("" if figure is None else f"{100 * figure:.2f}" for figure in figures)])
    print_table(["percent of the range", "flicker", "error", "error after the change", "height of edges"], rows)
    if not VIDEO.is_dir():
        print(f"\n{VIDEO.parts[-3]}/data/video is not beside the project: no films.")
        return
    print()
    header = ["percent of the range: flicker, error", "as estimated", "steadied", "smooth errors alone"]
    print_table(header, [_film(name) for name in FILMS])


def _film(name: str) -> list[str]:
    """Flicker along the flow, and error, of a depth that moves with the picture: its grey values, blurred."""
    image = functional.interpolate(FILMS[name](), (HEIGHT, WIDTH), mode="area")
    truth = functional.avg_pool2d(image.mean(1, keepdim=True), 9, 1, 4, count_include_pad=False)
    truth = (truth - truth.min()) / (truth.max() - truth.min())
    flows, raw = _flows(image), _noisy(truth)
    figures = []
    for depth in (raw, stabilize(raw, image), _noisy(truth, 0)):
        fitted = _fitted(depth, truth)
        figures.append(f"{100 * _flicker_along(fitted, flows):.2f}, {100 * _error(fitted, truth):.2f}")
    return [name, *figures]


FILMS: dict[str, Callable[[], Tensor]] = {
    "Sintel, the camera moves": sintel,
    "rabbit, the camera stands, leaves move": lambda: bunny(0, FRAMES),
    "rabbit, the camera pans": lambda: bunny(0, FRAMES, 3),
    "telescope, the camera moves": lambda: telescope(200, FRAMES),
}


def _scene(pan: int = 0, moving: bool = False, appears: bool = False) -> Scene:
    left, _, disparity = data.stereo_motorcycle()
    picture = torch.from_numpy(left).movedim(-1, 0)[None] / 255
    near = torch.from_numpy(disparity).nan_to_num(0, 0, 0)[None, None]
    picture = functional.interpolate(picture, (HEIGHT, WIDE), mode="area")
    near = functional.interpolate(near / near.max(), (HEIGHT, WIDE), mode="nearest-exact")
    starts = [pan * t if pan else 30 for t in range(FRAMES)]
    image, truth = (torch.cat([whole[..., s : s + WIDTH] for s in starts]) for whole in (picture, near))
    thing = torch.zeros(FRAMES, 1, HEIGHT, WIDTH, dtype=torch.bool)
    for t in range(FRAMES):
        if moving or (appears and t >= CHANGE):
            column = 6 * t if moving else 80
            thing[t, :, 40:100, column : column + 40] = True
    return Scene(image.masked_fill(thing, 0.7), truth.masked_fill(thing, 1.0), thing, pan)


CASES: dict[str, Callable[[], Scene]] = {
    "nothing moves": _scene,
    "an object passes": lambda: _scene(moving=True),
    "an object appears": lambda: _scene(appears=True),
    "the camera pans": lambda: _scene(pan=2),
    "the camera pans, an object passes": lambda: _scene(pan=2, moving=True),
}


def _flicker_along(depth: Tensor, flows: list[PairFlow]) -> float:
    """Mean change from frame to frame of what flow finds there and back."""
    changes = []
    for (there, back), one, two in zip(flows, depth[:-1].split(1), depth[1:].split(1), strict=True):
        returned, inside = sample_along(back[None], there[None])
        found = inside & ((there + returned).square().sum(1, keepdim=True) < 1)
        changes.append((sample_along(two, there[None])[0] - one).abs()[found].mean())
    return torch.stack(changes).mean().item()


def _noisy(truth: Tensor, jitter: float = 1) -> Tensor:
    """Give every frame a scale and a shift, ``jitter`` times, and a smooth error of its own, as networks do."""
    generator = torch.Generator().manual_seed(0)
    frames = len(truth)
    scale, shift = (torch.randn(frames, 1, 1, 1, generator=generator) * jitter * std for std in (SCALE, SHIFT))
    smooth = functional.interpolate(
        torch.randn(frames, 1, 4, 6, generator=generator), (HEIGHT, WIDTH), mode="bicubic", align_corners=True
    )
    return truth * (1 + scale) + shift + SMOOTH * smooth


def _flows(image: Tensor) -> list[PairFlow]:
    pairs = zip(image[:-1].split(1), image[1:].split(1), strict=True)
    return [PairFlow(optical_flow(one, two)[0], optical_flow(two, one)[0]) for one, two in pairs]


def _fitted(depth: Tensor, truth: Tensor) -> Tensor:
    """Bring a clip to the truth by one scale and shift, which estimated depth leaves open."""
    columns = torch.stack([depth.flatten(), torch.ones(depth.numel())], dim=1)
    scale, shift = torch.linalg.lstsq(columns, truth.flatten()[:, None]).solution.flatten()
    return depth * scale + shift


def _flicker(depth: Tensor, scene: Scene) -> float:
    """Mean change from frame to frame of what has the same true disparity, along the known motion."""
    pan = scene.pan
    before, now = depth[:-1, ..., pan:], depth[1:, ..., : WIDTH - pan]
    other = (scene.thing[:-1] | scene.thing[1:])[..., : WIDTH - pan]
    return (now - before).abs()[~other].mean().item()


def _error(depth: Tensor, truth: Tensor) -> float:
    return (depth - truth).abs().mean().item()


def _late(depth: Tensor, scene: Scene) -> float | None:
    """Mean error of what appeared, in its first three frames: it is large if they lag behind."""
    first = slice(CHANGE, CHANGE + 3)
    if scene.thing[0].any() or not scene.thing.any():
        return None
    return (depth - scene.truth)[first][scene.thing[first]].abs().mean().item()


def _edges(depth: Tensor, scene: Scene) -> float:
    """Height of the steps at true edges, as a fraction of the true ones."""
    steps, true = depth.diff(dim=-1), scene.truth.diff(dim=-1)
    edge = true.abs() > _EDGE
    return ((steps * true.sign())[edge].mean() / true[edge].abs().mean()).item()
