"""Times of the warp and of rendered views against plain forms, growth with size, peak memory."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor

from stereo_core.parallel import operation_threads
from stereo_core.rendering import Quality, render_view, working_bytes
from stereo_core.warping import forward_warp

from .references import warp_and_stretch, warp_by_unique
from .scenes import load_scenes
from .table import machine, print_table

MEGAPIXEL = 1_000_000
SHAPES = ((512, 4096), (724, 2896), (1448, 1448), (2896, 724), (4096, 512))  # 8:1 to 1:8, one area
SCALED = (Quality.FAST, Quality.BEST)  # detail takes seconds
GROWTH_SIZES = ((384, 640), (540, 960), (768, 1280), (1080, 1920), (1440, 2560), (2160, 3840))


def interleaved(
    functions: Mapping[str, Callable[[], object]],
    device: str,
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Run the functions in turns and return the median of the seconds of each, by ``clock``."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for repeat in range(repeats + 2):
        for name, function in functions.items():
            _wait(device)
            start = clock()
            function()
            _wait(device)
            if repeat >= 2:
                seconds[name].append(clock() - start)
    return {name: median(found) for name, found in seconds.items()}


def sized_scene(height: int, width: int, device: str = "cpu") -> tuple[Tensor, Tensor]:
    """Return Motorcycle's left view (1, 3, H, W) and its disparity in columns (1, 1, H, W)."""
    scene = load_scenes(names=())[0]
    image = F.interpolate(scene.left, size=(height, width), mode="bilinear")
    disparity = F.interpolate(scene.disparity, size=(height, width), mode="nearest-exact") * (width / 512)
    return image.to(device), disparity.to(device)


def main() -> None:
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    for device in devices:
        print(f"## Speed on {device}\n\n{machine(device)}. Medians of interleaved runs.\n")
        with torch.inference_mode():
            _warp_table(device)
            _render_table(device)
            _growth_table(device)
            _shape_table(device)
            if device == "cpu":
                _thread_table()
    if devices == ["cpu"]:
        print("No CUDA device is at hand: no GPU table.")


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _warp_table(device: str) -> None:
    rows = [_warp_row(size, device) for size in (512, 64)]
    header = ["forward_warp nearest", "time", "copy of the source"]
    print_table(header + (["unique-based", "faster by"] if device == "cpu" else []), rows)


def _warp_row(size: int, device: str) -> list[str]:
    source = torch.rand(1, 4, size, size, device=device)
    disparity = torch.rand(1, 1, size, size, device=device) * 0.08 * size
    functions: dict[str, Callable[[], Tensor]] = {
        "warp": lambda: forward_warp(source, disparity).image,
        "copy": lambda: source.clone(),
    }
    if device == "cpu":
        functions["unique"] = lambda: warp_by_unique(source, disparity)
        if not torch.equal(functions["unique"](), functions["warp"]()):
            raise AssertionError("the unique-based form and forward_warp differ")
    found = interleaved(functions, device, 31)
    row = [f"{size}x{size}x4", f"{found['warp'] * 1e3:.3f} ms", f"{found['copy'] * 1e3:.3f} ms"]
    if device == "cpu":
        row += [f"{found['unique'] * 1e3:.2f} ms", f"{found['unique'] / found['warp']:.1f}x"]
    return row


def _render_table(device: str) -> None:
    """Time rendered views; on a CPU also the processor time on one thread, which other work hardly changes."""
    image, disparity = sized_scene(1080, 1920, device)
    functions: dict[str, Callable[[], object]] = {
        "truncated shift + stretch, plain": lambda: warp_and_stretch(image, disparity),
        "fast": lambda: render_view(image, disparity, Quality.FAST),
        "best": lambda: render_view(image, disparity, Quality.BEST),
        "copy of image and disparity": lambda: (image.clone(), disparity.clone()),
    }
    columns = {"time": interleaved(functions, device, 15)}
    if device == "cpu":
        with operation_threads(1):
            columns["processor time, one thread"] = interleaved(functions, device, 15, time.process_time)
    rows = []
    for name in functions:
        row = [name]
        for found in columns.values():
            row += [f"{found[name] * 1e3:.1f} ms", f"{found[name] / next(iter(found.values())):.2f}x"]
        rows.append(row)
    print_table(["render_view 1920x1080x3", *(head for column in columns for head in (column, "of plain"))], rows)


def _growth_table(device: str) -> None:
    rows = [_growth_row(height, width, device) for height, width in GROWTH_SIZES]
    per_quality = [f"{q.value} {what}" for q in SCALED for what in ("time", "per megapixel", "peak memory", "estimate")]
    print_table(["size", "megapixels", *per_quality], rows)
    if device == "cpu" and sys.platform == "win32":
        print("Peak memory is not measured on Windows.\n")


def _growth_row(height: int, width: int, device: str) -> list[str]:
    image, disparity = sized_scene(height, width, device)
    pixels = height * width
    functions = {q.value: partial(render_view, image, disparity, q) for q in SCALED}
    found = interleaved(functions, device, 5)
    row = [f"{width}x{height}", f"{pixels / MEGAPIXEL:.2f}"]
    for quality in SCALED:
        peak = _peak_bytes(height, width, quality, device)
        row += [
            f"{found[quality.value] * 1e3:.1f} ms",
            f"{found[quality.value] * 1e3 / pixels * MEGAPIXEL:.1f} ms",
            "not measured here" if peak is None else f"{peak / 2**20:.0f} MiB ({peak / pixels:.0f} B/pixel)",
            f"{working_bytes(height, width, 3, quality) / 2**20:.0f} MiB",
        ]
    return row


def _shape_table(device: str) -> None:
    rows = []
    for height, width in SHAPES:
        image, disparity = sized_scene(height, width, device)
        found = interleaved({q.value: partial(render_view, image, disparity, q) for q in SCALED}, device, 7)
        per_megapixel = (seconds * 1e3 * MEGAPIXEL / (height * width) for seconds in found.values())
        rows.append([f"{width}x{height}", *(f"{time:.1f} ms" for time in per_megapixel)])
    print_table(["shape, time per megapixel", *(q.value for q in SCALED)], rows)


def _thread_table() -> None:
    """Time one thread against two in turns, so that what else runs on the machine slows both."""
    before = torch.get_num_threads()
    rows = []
    for height, width in ((256, 256), (512, 512), (1080, 1920)):
        image, disparity = sized_scene(height, width)

        def render(quality: Quality, threads: int, image: Tensor = image, disparity: Tensor = disparity) -> None:
            torch.set_num_threads(threads)
            render_view(image, disparity, quality)

        cases = {f"{q.value} {threads}": partial(render, q, threads) for q in SCALED for threads in (1, 2)}
        found = interleaved(cases, "cpu", 9)
        times = (f"{found[f'{q.value} 1'] * 1e3:.1f} / {found[f'{q.value} 2'] * 1e3:.1f} ms" for q in SCALED)
        rows.append([f"{width}x{height}", *times])
    torch.set_num_threads(before)
    print_table(["one thread / two threads", *(q.value for q in SCALED)], rows)


def _peak_bytes(height: int, width: int, quality: Quality, device: str) -> int | None:
    """Return the most memory that one call holds beside its inputs; None where it cannot be asked."""
    if device == "cuda":
        image, disparity = sized_scene(height, width, device)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        render_view(image, disparity, quality)
        return torch.cuda.max_memory_allocated() - before
    if sys.platform == "win32":
        return None
    # A process of its own: the peak of this one is that of all that ran before.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_in_process, (height, width, quality))


def _peak_in_process(height: int, width: int, quality: Quality) -> int:
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    image = torch.rand(1, 3, height, width)
    columns = torch.arange(width).mul(20 / width).floor()
    disparity = ((columns % 2) * (0.05 * width)).expand(1, 1, height, width).contiguous()
    render_view(image[..., :64, :64], disparity[..., :64, :64], quality)
    ballast = torch.ones(1 << 28)  # above what the imports once took, so that the call alone makes the peak
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    render_view(image, disparity, quality)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    del ballast
    return peak * unit


if __name__ == "__main__":
    main()
