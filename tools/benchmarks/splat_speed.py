"""How right and how fast Gaussians are drawn, and how time and memory grow."""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from stereo_core.cameras import Camera, Orbit, orbit_camera
from stereo_core.splat_fitting import fit
from stereo_core.splat_memory import fit_bytes
from stereo_core.splat_options import FitOptions
from stereo_core.splatting import CUT, Gaussians, rasterize, rotation_matrices

from .splat_plain import draw_plainly
from .table import open_table, print_table

WHITE = (1.0, 1.0, 1.0)
# Of the design's prototype on one thread: forward, forward and backward, in milliseconds.
PROTOTYPE = {
    (1000, 64): (33, 75),
    (1000, 128): (21, 67),
    (3000, 128): (29, 86),
    (3000, 256): (52, 137),
    (10000, 128): (91, 315),
    (10000, 256): (77, 242),
}
GROWTH = ((5000, 288), (10000, 288), (20000, 288), (40000, 288), (20000, 144), (20000, 576))
_PLAIN = 5e7  # Gaussians times pixels that the plain form gets
_REPEATS = 5
# Of the fits whose memory is measured, which is the same in each of their steps.
_VIEWS, _FRAMES = 4, 2
_SHORT = FitOptions(iterations=4, warm_up=2, held_out=0)
_FORGET = Path("/proc/self/clear_refs")


def cloud(count: int, size: int, dtype: torch.dtype = torch.float32) -> tuple[Gaussians, Camera]:
    """Return Gaussians of about 1 pixel in a ball that fills most of the picture, and its camera."""
    camera = orbit_camera(10, 5, 2, 33.8, size, size)
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(count, 3, generator=generator)
    radii = 0.5 * torch.rand(count, 1, generator=generator) ** (1 / 3)
    tensors = (
        directions / directions.norm(dim=-1, keepdim=True) * radii,
        torch.randn(count, 4, generator=generator),
        torch.full((count, 3), 2 / camera.focal) * (0.7 + 0.6 * torch.rand(count, 3, generator=generator)),
        torch.full((count, 1), 0.6),
        torch.rand(count, 3, generator=generator),
    )
    return Gaussians(*(tensor.to(dtype) for tensor in tensors)), camera


def print_oracles() -> None:
    """Print how far pictures and gradients are from the plain form and from themselves elsewhere."""
    exact, camera = cloud(300, 48, torch.float64)
    color, gradients = _with_gradients(partial(_plainly, camera=camera), exact)
    rows = []
    for name, dtype, cut in (
        ("cut at alpha 1/1024, float32", torch.float32, 1 / 1024),
        ("cut at 1e-9, float64", torch.float64, 1e-9),
    ):
        given = Gaussians(*(tensor.to(dtype) for tensor in exact))
        made, found = _with_gradients(partial(_tiles, camera=camera, cut=cut), given)
        worst = max(float((ours - true).norm() / true.norm()) for ours, true in zip(found, gradients, strict=True))
        rows.append([name, f"{float((made - color).abs().max()):.1e}", f"{worst:.1e}"])
    turn, shift = rotation_matrices(torch.tensor([0.7, 0.1, -0.5, 0.3])), torch.tensor([0.4, -2.0, 1.0])
    given, _ = cloud(300, 48)
    still = rasterize(given, camera, WHITE).color
    moved = given._replace(
        positions=given.positions @ turn.T + shift,
        rotations=_times(torch.tensor([0.7, 0.1, -0.5, 0.3]), given.rotations),
    )
    place = turn @ camera.position + shift
    along = Camera(camera.rotation @ turn.T, place, camera.focal, camera.center, camera.width, camera.height)
    rows.append(
        [
            "scene and camera moved together",
            f"{float((rasterize(moved, along, WHITE).color - still).abs().max()):.1e}",
            "-",
        ]
    )
    print("300 Gaussians at 48x48 against each of them at every pixel in float64, and against themselves.\n")
    print_table(["", "largest difference", "gradients, relative"], rows)


def print_speed() -> None:
    """Print times against the plain form and the prototype of the design."""
    rows = []
    for (count, size), (design, design_back) in PROTOTYPE.items():
        given, camera = cloud(count, size)
        draw, plainly = partial(_tiles, camera=camera), partial(_plainly, camera=camera)
        forward, both = _seconds(partial(draw, given)), _seconds(partial(_with_gradients, draw, given))
        plain = plain_both = "-"
        if count * size**2 <= _PLAIN:
            plain = f"{1e3 * _seconds(partial(plainly, given), 1):.0f}"
            plain_both = f"{1e3 * _seconds(partial(_with_gradients, plainly, given), 1):.0f}"
        rows.append(
            [
                f"{count}, {size} px",
                f"{1e3 * forward:.0f}",
                f"{1e3 * both:.0f}",
                plain,
                plain_both,
                str(design),
                str(design_back),
            ]
        )
    print("Milliseconds of one thread, Gaussians of about 1 pixel: forward, and forward with backward.\n")
    header = ["", "tiles", "with backward", "plain form", "with backward", "prototype", "with backward"]
    print_table(header, rows)


def print_growth() -> None:
    """Print time and memory by Gaussians and pixels, a row as soon as it is there."""
    print(
        f"Growth. Memory in MiB at its peak, above what was held before, in a process of its own; a fit is one of "
        f"{_VIEWS} views by {_FRAMES} frames, beside which stands what the node tells of it.\n"
    )
    header = ["", "forward and backward, ms", "memory of it", "memory of a fit", "as the node tells"]
    add = open_table(header)
    for count, size in GROWTH:
        given, camera = cloud(count, size)
        both = _seconds(partial(_with_gradients, partial(_tiles, camera=camera), given), 3)
        told = fit_bytes(replace(_SHORT, gaussians=count), _VIEWS, _FRAMES, size, size)
        peaks = [_mebibytes(_apart(work, count, size)) for work in (_peak_of_step, _peak_of_fit)]
        add([f"{count}, {size} px", f"{1e3 * both:.0f}", *peaks, _mebibytes(told)])
    print()


def seen_pictures(given: Gaussians, orbit: Orbit, size: int) -> Tensor:
    """Return (V, 3, size, size) uint8, what the cameras see."""
    with torch.no_grad():
        views = [_tiles(given, orbit.camera(azimuth, size, size)) for azimuth in orbit.azimuths]
    return (torch.stack(views).clamp(0, 1) * 255).round().byte()


def _tiles(given: Gaussians, camera: Camera, cut: float = CUT) -> Tensor:
    return rasterize(given, camera, WHITE, cut=cut).color


def _plainly(given: Gaussians, camera: Camera) -> Tensor:
    return draw_plainly(given, camera, WHITE)[0]


def _times(first: Tensor, second: Tensor) -> Tensor:
    """Product of quaternions (4,) and (N, 4)."""
    a, v = first[0], first[1:].expand(len(second), 3)
    b, w = second[:, :1], second[:, 1:]
    return torch.cat([a * b - (v * w).sum(1, keepdim=True), a * w + b * v + torch.linalg.cross(v, w)], dim=1)


def _with_gradients(draw: Callable[[Gaussians], Tensor], given: Gaussians) -> tuple[Tensor, list[Tensor]]:
    own = Gaussians(*(tensor.clone().requires_grad_() for tensor in given))
    made = draw(own)
    weights = torch.linspace(0, 1, made.numel(), dtype=made.dtype).view_as(made)
    return made.detach(), list(torch.autograd.grad((made * weights).sum(), own))


def _seconds(work: Callable[[], object], repeats: int = _REPEATS) -> float:
    """The median of the processor's seconds, after one run that does not count."""
    work()
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return sorted(found)[len(found) // 2]


def _apart(work: Callable[[int, int], int | None], *arguments: int) -> int | None:
    """Run it in a process of its own, where nothing else was ever held."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def _peak_of_step(count: int, size: int) -> int | None:
    """The most bytes that drawing with gradients holds beside the Gaussians."""
    torch.set_num_threads(1)
    small, camera = cloud(50, 32)
    _with_gradients(partial(_tiles, camera=camera), small)
    given, camera = cloud(count, size)
    return _peak(partial(_with_gradients, partial(_tiles, camera=camera), given))


def _peak_of_fit(count: int, size: int) -> int | None:
    """The most bytes that a fit holds beside its pictures."""
    torch.set_num_threads(1)
    given, _ = cloud(count, size)
    orbit = Orbit(tuple(360 * view / _VIEWS for view in range(_VIEWS)))
    pictures = seen_pictures(given, orbit, size)[:, None].repeat(1, _FRAMES, 1, 1, 1)
    fit_something()
    return _peak(partial(fit, pictures, orbit, replace(_SHORT, gaussians=count)))


def fit_something() -> None:
    """Make a small fit, so that what is loaded with the first one counts for none that is measured."""
    given, _ = cloud(2000, 32)
    orbit = Orbit(tuple(360 * view / _VIEWS for view in range(_VIEWS)))
    fit(seen_pictures(given, orbit, 32)[:, None].repeat(1, _FRAMES, 1, 1, 1), orbit, replace(_SHORT, gaussians=50))


def _peak(work: Callable[[], object]) -> int | None:
    """The most bytes that this process holds meanwhile, above what it held before; ``None`` where nothing tells it."""
    if not _FORGET.exists():
        return None
    gc.collect()
    _FORGET.write_text("5")  # the most so far becomes what is held now
    before = _held("VmHWM")
    work()
    return _held("VmHWM") - before


def _held(what: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(what))


def _mebibytes(count: int | None) -> str:
    return "-" if count is None else f"{count / 2**20:.0f}"
