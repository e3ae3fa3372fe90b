"""Render the example that the pack ships, and its true right view for the tests.

python tools/example/render.py [--samples N] [--output FOLDER]
"""

from __future__ import annotations

import argparse
import sys
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tools.setup import environment  # noqa: E402

environment.enter(__file__)

import numpy as np  # noqa: E402  # only inside the environment
from PIL import Image  # noqa: E402

from tools.example.camera import Camera, right_camera  # noqa: E402
from tools.example.files import SHIPPED, TRUTH  # noqa: E402
from tools.example.still_life import scene  # noqa: E402
from tools.example.tracing import Scene, radiance, surfaces  # noqa: E402

PICTURE, MOST_BYTES = (1152, 768), 250_000
BRIGHTEST = 6.0  # of a sample, so that a mirrored window does not leave steps at its edges
TILE = 1 << 15  # rays at a time: what a processor's cache holds


def tiles(camera: Camera) -> list[np.ndarray]:
    pixels = np.arange(camera.width * camera.height)
    return np.array_split(pixels, max(1, len(pixels) // TILE))


class Guide(NamedTuple):
    """What the rays through the pixels' centres meet: inverse depth (H, W), points and normals (3, H, W)."""

    inverse_depth: np.ndarray
    point: np.ndarray
    normal: np.ndarray


def trace_centres(world: Scene, camera: Camera) -> Guide:
    parts = []
    for pixel in tiles(camera):
        origin, direction = camera.rays(pixel, 0.5, 0.5)
        t, point, normal = surfaces(world, origin, direction)
        parts.append((camera.inverse_depth(direction, t), point, normal))
    size = camera.height, camera.width
    depth, point, normal = (np.concatenate(part, -1) for part in zip(*parts, strict=True))
    return Guide(depth.reshape(size), point.reshape(3, *size), normal.reshape(3, *size))


def trace_picture(world: Scene, camera: Camera, guide: Guide, samples: int) -> np.ndarray:
    """The picture (H, W, 3) in [0, 1], sRGB, from ``samples`` rays a pixel."""
    parts = []
    for number, pixel in enumerate(tiles(camera)):
        own = np.random.default_rng(number).random((8, pixel.size), np.float32)
        total = np.zeros((3, 3, pixel.size), np.float32)
        for sample in range(samples):
            spread = (own + (sample + 1) * STEPS[:, None]) % 1
            dx, dy = (sample + 0.5) / samples, (sample * STEPS[0] + 0.5) % 1
            total += np.minimum(radiance(world, *camera.rays(pixel, dx, dy), spread[2:]), BRIGHTEST)
        parts.append(total / samples)
    scattered, falling, rest = np.concatenate(parts, -1).reshape(3, 3, camera.height, camera.width)
    # What the samples' chance did to the falling light it did to the picture, too; textures do not blur.
    light = scattered * smoothed(falling, guide) / np.maximum(falling, 1e-3) + rest
    return np.moveaxis(tone(light), 0, -1)


def smoothed(falling: np.ndarray, guide: Guide) -> np.ndarray:
    """Falling light (3, H, W) averaged over each surface by the a-trous wavelet (Dammertz et al., HPG 2010)."""
    kernel = np.array([1, 4, 6, 4, 1], np.float32) / 16
    pixel = 2 / guide.inverse_depth.shape[1] / np.maximum(guide.inverse_depth, 1e-4)  # a pixel's size there
    rows, columns = (np.arange(side) for side in guide.inverse_depth.shape)
    for level in range(3):
        total, weights = np.zeros_like(falling), np.zeros_like(falling[:1])
        for dy in range(-2, 3):
            for dx in range(-2, 3):
                row = np.clip(rows + dy * 2**level, 0, rows[-1])[:, None]
                column = np.clip(columns + dx * 2**level, 0, columns[-1])
                other = falling[:, row, column]
                turned = ((guide.normal[:, row, column] - guide.normal) ** 2).sum(0)
                off = ((guide.point[:, row, column] - guide.point) * guide.normal).sum(0) / pixel
                change = (other - falling).mean(0) / (falling.mean(0) + 0.02)
                weight = kernel[dy + 2] * kernel[dx + 2] * np.exp(-8 * turned - off**2 - (change * 2**level / 0.4) ** 2)
                total += weight * other
                weights += weight
        falling = total / weights
    return falling


def _steps(dimensions: int) -> np.ndarray:
    """Steps of the sequence that fills the unit cube evenly: powers of the generalised golden ratio (Roberts, 2018)."""
    ratio = 1.5
    for _ in range(40):
        ratio = (1 + ratio) ** (1 / (dimensions + 1))
    return np.array([ratio**-n % 1 for n in range(1, dimensions + 1)], np.float32)


STEPS = _steps(8)


def tone(light: np.ndarray) -> np.ndarray:
    """Linear light to sRGB, with a shoulder for what is bright (Narkowicz's fit of ACES)."""
    x = light * np.float32(0.85)
    x = np.clip(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0, 1)
    return x ** np.float32(1 / 2.2)


def render(shipped: Path, truth: Path, samples: int) -> None:
    world, camera = scene(), Camera(*PICTURE)
    guide = trace_centres(world, camera)
    low, high = guide.inverse_depth.min(), guide.inverse_depth.max()
    grey = np.round((guide.inverse_depth - low) / (high - low) * 65535).astype(np.uint16)
    Image.fromarray(grey).save(shipped / "still_life_depth.png", optimize=True)
    save(trace_picture(world, camera, guide, samples), shipped / "still_life.jpg")
    right = right_camera(camera, guide.inverse_depth)
    save(trace_picture(world, right, trace_centres(world, right), samples), truth / "still_life_right.jpg")


def save(picture: np.ndarray, file: Path) -> None:
    """Save as a JPEG, as good as ``MOST_BYTES`` allow."""
    for quality in range(94, 0, -2):
        data = BytesIO()
        Image.fromarray(np.round(picture * 255).astype(np.uint8)).save(data, "JPEG", quality=quality, optimize=True)
        if data.tell() <= MOST_BYTES:
            break
    file.write_bytes(data.getvalue())


def main() -> None:
    """Render and save everything."""
    parser = argparse.ArgumentParser(
        prog="python tools/example/render.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=16, help="rays a pixel")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: over the files that the pack ships")
    options = parser.parse_args()
    shipped, truth = (SHIPPED, TRUTH) if options.output is None else (options.output, options.output)
    shipped.mkdir(parents=True, exist_ok=True)
    render(shipped, truth, options.samples)


if __name__ == "__main__":
    main()
