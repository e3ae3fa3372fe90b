"""Films: what each stage costs, memory whatever the length, the same clip through pictures, one worker and two."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from tools.host.server import Server
from tools.setup.environment import ROOT

from .film_runs import alone, film_peak, peak_bytes, stages, write_film
from .table import machine, print_table

HEIGHT, WIDTH, FRAMES = 1080, 1920, 24
SMALL, LENGTHS = (64, 96), (200, 2000, 10000)
SHARED = (540, 960, 96)  # of the film that two workers share
SETTINGS = {"max_disparity": 3.0, "screen": "value", "convergence": 0.5}
FILE = {"format": "full_sbs", "codec": "h264", "quality": "high", "filename_prefix": "film"}


def main() -> None:
    print(f"## Films\n\n{machine('cpu')}.\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        films = [write_film(folder / f"{depth}.mp4", FRAMES, HEIGHT, WIDTH, depth) for depth in (False, True)]
        print_stages(*map(str, films))
        print_clip(*films)
        print_memory(folder)
        print_workers(folder)


def print_stages(film: str, depth: str) -> None:
    """Print milliseconds a frame of each stage, and of the whole."""
    found = alone(stages, film, depth)
    print(f"{WIDTH}x{HEIGHT} to {2 * WIDTH}x{HEIGHT}, {FRAMES} frames, milliseconds a frame.\n")
    rows = [[name, *(f"{1000 * max(0.0, each) / FRAMES:.0f}" for each in times)] for name, times in found.items()]
    print_table(["", "wall", "CPU"], rows)


def print_clip(film: Path, depth: Path) -> None:
    """Print what the same frames take through pictures, and through the film's node."""
    ways = {"Load Video, Image Stereo Shift, Save Stereo Video": _as_clip, "Stereo Video File": _as_film}
    rows = []
    for name, way in ways.items():
        with tempfile.TemporaryDirectory() as base, Server(Path(base), cpu=True) as server:
            prompt = way(server.place(film), server.place(depth))
            process = next(each for each in psutil.Process().children() if "--port" in each.cmdline())
            held, used, start = process.memory_info().rss, _cpu(process), time.perf_counter()
            server.run(prompt)
            wall, taken = time.perf_counter() - start, _cpu(process) - used
            peak = peak_bytes(process.pid)
        rows.append([name, f"{wall:.1f}", f"{taken:.1f}", _mebibytes(peak), _mebibytes(peak - held)])
    print(f"The same {FRAMES} frames in the server, fast.\n")
    print_table(["", "seconds", "CPU seconds", "peak memory", "of it for the film"], rows)


def print_memory(folder: Path) -> None:
    """Print the peak of memory of short and long films."""
    rows, first = [], 0
    for frames in LENGTHS:
        films = [write_film(folder / f"{frames}_{depth}.mp4", frames, *SMALL, depth) for depth in (False, True)]
        peak, made = alone(film_peak, *map(str, films))
        first = first or peak
        rows.append([str(frames), str(made), _mebibytes(peak), f"{100 * peak / max(1, first) - 100:+.1f} %"])
    print(f"Films of {SMALL[1]}x{SMALL[0]}, each in a process of its own.\n")
    print_table(["frames", "frames of the finished film", "peak memory", "against the first"], rows)


def print_workers(folder: Path) -> None:
    """Print how long one process and two at once take for a film, and whether it is the same film."""
    height, width, frames = SHARED
    films = [write_film(folder / f"shared_{d}.mp4", frames, height, width, d) for d in (False, True)]
    rows, hashes = [], set()
    for count in (1, 2):
        output = folder / f"workers_{count}" / "film.mp4"
        output.parent.mkdir()
        words = [str(films[0]), "--depth", str(films[1]), "--output", str(output), "--segment-seconds", "1", "--cpu"]
        command = [sys.executable, str(ROOT / "tools" / "film.py"), *words]
        one_core = {**os.environ, "OMP_NUM_THREADS": "1"}
        start = time.perf_counter()
        running = [subprocess.Popen(command, stdout=subprocess.DEVNULL, env=one_core) for _ in range(count)]
        codes = [each.wait() for each in running]
        if any(codes):
            raise RuntimeError(f"The command for films ended with {codes}.")
        found = hashlib.sha256(output.read_bytes()).hexdigest()
        hashes.add(found)
        rows.append([str(count), f"{time.perf_counter() - start:.1f}", found[:12]])
    print(f"{frames} frames of {width}x{height} on one folder, one torch thread a process, their start included.\n")
    print_table(["processes", "seconds", "SHA-256 of the film"], rows)
    print(f"{'The same film, to the byte' if len(hashes) == 1 else 'The films DIFFER'}.\n")


def _as_clip(film: str, depth: str) -> dict[str, Any]:
    frames = {
        name: {"class_type": "GetVideoComponents", "inputs": {"video": [f"load_{name}", 0]}}
        for name in ("film", "maps")
    }
    strength = {"depth": ["maps", 0], **SETTINGS, "exponent": 1.0, "invert": False}
    shift = {"image": ["film", 0], "depth": ["strength", 0], "balance": 0.0, "quality": "fast", "edge_growth": 0}
    save = {"left": ["shift", 0], "right": ["shift", 1], "source": ["load_film", 0], "fps": 24.0, **FILE}
    return {
        **_loaded(film, depth),
        **frames,
        "strength": {"class_type": "Stereo_StereoStrength", "inputs": strength},
        "shift": {"class_type": "Stereo_ImageStereoShift", "inputs": shift},
        "save": {
            "class_type": "Stereo_SaveStereoVideo",
            "inputs": {**save, "name": "player", "container": "auto", "tags": "container"},
        },
    }


def _as_film(film: str, depth: str) -> dict[str, Any]:
    given = {"video": ["load_film", 0], "depth": ["load_maps", 0], "rendering": "fast"}
    return {
        **_loaded(film, depth),
        "film": {"class_type": "Stereo_StereoVideoFile", "inputs": {**given, **SETTINGS, **FILE}},
    }


def _loaded(film: str, depth: str) -> dict[str, Any]:
    files = {"load_film": film, "load_maps": depth}
    return {name: {"class_type": "LoadVideo", "inputs": {"file": file}} for name, file in files.items()}


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:.0f} MiB"
