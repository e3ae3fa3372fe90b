"""Memory of a server that runs Image Stereo Shift on 1920x1080 two hundred times over."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
from PIL import Image

from tools.host.server import Server

from .table import machine, print_table

RUNS, EVERY = 200, 20
WIDTH, HEIGHT = 1920, 1080
SETTLED = 40
"""Runs after which what is loaded on first use is there."""
MIDDLE = (SETTLED + RUNS) // 2


def main() -> None:
    print(f"## Memory of the server\n\n{machine('cpu')}. Image Stereo Shift, best, {WIDTH}x{HEIGHT}.\n")
    with tempfile.TemporaryDirectory() as base, Server(Path(base), cpu=True) as server:
        pictures = {name: server.place(_save(Path(base), name)) for name in ("picture", "depth")}
        held = [_held_bytes()]
        for run in range(RUNS):
            server.run(_prompt(pictures, run))
            held.append(_held_bytes())
    rows = [[str(run), f"{held[run] / 2**20:.0f} MiB"] for run in range(0, RUNS + 1, EVERY)]
    print_table(["runs", "memory of the server"], rows)
    first, last = (median(held[half]) / 2**20 for half in (slice(SETTLED + 1, MIDDLE + 1), slice(MIDDLE + 1, None)))
    print(
        f"Median of runs {SETTLED + 1} to {MIDDLE}: {first:.0f} MiB; of runs {MIDDLE + 1} to {RUNS}: {last:.0f} MiB. "
        f"One picture is {WIDTH * HEIGHT * 12 / 2**20:.0f} MiB.\n"
    )


def _prompt(pictures: dict[str, str], run: int) -> dict[str, Any]:
    # The balance is another for each run: what is unchanged the host does not run again.
    widgets = {"balance": run / RUNS, "quality": "best", "edge_growth": 1}
    loaded = {name: {"class_type": "LoadImage", "inputs": {"image": file}} for name, file in pictures.items()}
    links = {"image": ["picture", 0], "depth": ["depth", 0]}
    return {
        **loaded,
        "shift": {"class_type": "Stereo_ImageStereoShift", "inputs": {**links, **widgets}},
        "out": {"class_type": "PreviewAny", "inputs": {"source": ["shift", 1]}},
    }


def _save(folder: Path, name: str) -> Path:
    """A picture with texture everywhere, or depth with edges."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    if name == "depth":
        values = 255 * (y / HEIGHT * 0.5 + 0.4 * ((x // 240 + y // 180) % 2))
    else:
        values = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3))
    file = folder / f"{name}.png"
    Image.fromarray(values.astype(np.uint8)).save(file, compress_level=1)
    return file


def _held_bytes() -> int:
    """Memory that the server, this process's only child, holds."""
    return sum(int(child.memory_info().rss) for child in psutil.Process().children(recursive=True))
