"""Render the moving scene of Splat 4D Example: balls that turn, circle and bounce, ray-traced from twelve sides.

python tools/example/moving_scene.py [--output FOLDER]
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tools.setup import environment  # noqa: E402

if __name__ == "__main__":
    environment.enter(__file__)

from PIL import Image  # noqa: E402  # only inside the environment
from torch import Tensor  # noqa: E402

from stereo_core.cameras import Orbit  # noqa: E402
from stereo_core.image_matrix import full_turn  # noqa: E402
from tools.benchmarks.splat_truth import Ball, Vector, trace_matrix  # noqa: E402
from tools.example.files import SHIPPED  # noqa: E402

VIEWS, FRAMES, SIZE = 12, 8, 128
ORBIT = Orbit(tuple(full_turn(VIEWS)))


def _around(t: float) -> Vector:
    angle = math.radians(-50 + 100 * t)
    return 0.38 * math.sin(angle), 0.06, 0.38 * math.cos(angle)


def _bouncing(t: float) -> Vector:
    return -0.26, -0.2 + 0.28 * 4 * t * (1 - t), 0.16


BALLS = (
    Ball(
        0.23,
        lambda _: (0.02, -0.16, -0.06),
        ((0.86, 0.22, 0.12), (0.97, 0.86, 0.42)),
        (4, (1, 0.4, 0)),
        lambda t: 40 * t,
    ),
    Ball(0.13, _around, ((0.10, 0.28, 0.68), (0.50, 0.80, 0.86)), (3, (0.2, 1, 0)), lambda t: 100 * t),
    Ball(0.10, _bouncing, ((0.16, 0.52, 0.24), (0.76, 0.90, 0.44)), (3, (0, 1, 0.3))),
)


def times() -> list[float]:
    """When the frames are, from 0 to 1."""
    return [frame / (FRAMES - 1) for frame in range(FRAMES)]


def sheet() -> Tensor:
    """(3, V * size, F * size) in [0, 1], views below each other, frames side by side."""
    cells = trace_matrix(BALLS, ORBIT, times(), SIZE)
    return cells.permute(2, 0, 3, 1, 4).flatten(3).flatten(1, 2)


def main() -> int:
    """Write the sheet."""
    parser = argparse.ArgumentParser(prog="python tools/example/moving_scene.py", description=__doc__)
    parser.add_argument("--output", type=Path, default=SHIPPED, metavar="FOLDER", help="default: the pack's own")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    pixels = (sheet() * 255).round().byte().movedim(0, -1).numpy()
    file = folder / "moving_scene.png"
    Image.fromarray(pixels).quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(file, optimize=True)
    print(f"{file}: {file.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
