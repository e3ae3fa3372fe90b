"""The runs behind ``film``: each in a process of its own, whose memory and time are its own."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from PIL import Image

_PAN = 256  # columns through which the picture moves before it begins again
_STEP = 4  # columns a frame


def write_film(path: Path, frames: int, height: int, width: int, depth: bool = False) -> Path:
    """Write a film of a picture that moves, or of its depth maps."""
    y, x = np.mgrid[:height, : width + _PAN]
    if depth:
        wide = np.repeat((255 * (0.5 * y / height + 0.4 * ((8 * x // width + 6 * y // height) % 2)))[..., None], 3, 2)
    else:
        coarse = np.random.default_rng(0).integers(0, 256, (height // 8 + 1, (width + _PAN) // 8 + 1, 3), np.uint8)
        wide = Image.fromarray(coarse).resize((width + _PAN, height), Image.Resampling.BICUBIC)
    wide = np.asarray(wide).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"preset": "veryfast", "crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.colorspace = stream.codec_context.color_primaries = stream.codec_context.color_trc = 1
        for index in range(frames):
            left = index * _STEP % _PAN
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(wide[:, left : left + width]), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
        container.mux(stream.encode(None))
    return path


def alone(work: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of this module in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def peak_bytes(process: int | str = "self") -> int:
    """The most memory that a process has held; 0 where the system does not tell."""
    status = Path(f"/proc/{process}/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def film_peak(film: str, depth: str) -> tuple[int, int]:
    """Make a film with the command's own functions; return the peak of memory, and the frames of what came of it."""
    with _host():
        output = _make(film, depth, "fast")
        with av.open(str(output)) as container:
            return peak_bytes(), container.streams.video[0].frames


def stages(film: str, depth: str) -> dict[str, tuple[float, float]]:
    """Return wall and CPU seconds of each stage by itself, one after another, and of the whole film."""
    with _host() as module:
        return {**_each_stage(module, film, depth), **_whole(module, film, depth)}


def _each_stage(module: Callable[[str], Any], film: str, depth: str) -> dict[str, tuple[float, float]]:
    made = _film(film, depth, "fast")
    plan, encoding, found = made.plan, made.file.encoding, {}

    def timed(name: str, work: Callable[[], Any], less: str = "") -> Any:
        start, used = time.perf_counter(), time.process_time()
        result = work()
        before = found.get(less, (0.0, 0.0))
        found[name] = time.perf_counter() - start - before[0], time.process_time() - used - before[1]
        return result

    read_frames, film_views = module("nodes.film.frames").read_frames, module("nodes.film.film_views")
    timed("decode", lambda: _decode(film))
    frames = timed("to a picture", lambda: list(read_frames(plan.file, plan.times)), "decode")
    maps = timed("depth, from a second video", lambda: list(made.depth.maps(range(len(plan)), {})))
    given = [film_views.FilmFrame(f.picture, m, None, f.decoded) for f, m in zip(frames, maps, strict=True)]
    for rendering in ("best", "fast"):
        shift = replace(made.settings.shift, rendering=module("stereo_core.rendering").Quality(rendering))
        settings = replace(made.settings, shift=shift)
        packed = timed(
            f"both views, packed: {rendering}", lambda each=settings: list(film_views.packed_pictures(given, each))
        )
    timed("to YUV 4:2:0", lambda: [picture.frame(encoding) for picture in packed])
    write, rate = module("nodes.film.segments").write_segment, plan.timing.encoders
    out = Path(film).with_name("stage.mp4")
    timed("encode, H.264", lambda: write(out, encoding, rate, made.size, packed), "to YUV 4:2:0")
    return found


def _whole(module: Callable[[str], Any], film: str, depth: str) -> dict[str, tuple[float, float]]:
    users = [module(f"nodes.film.{name}") for name in ("work", "film_depth")]
    ahead, found = users[0].ahead, {}
    for taken, more in ((ahead, ""), (iter, ", without working ahead")):
        for user in users:
            user.ahead = taken
        for rendering in ("fast", "best"):
            start, used = time.perf_counter(), time.process_time()
            _make(film, depth, rendering).unlink()
            found[f"the film, {rendering}{more}"] = time.perf_counter() - start, time.process_time() - used
    return found


def _decode(film: str) -> None:
    with av.open(film) as container:
        for _ in container.decode(video=0):
            pass


@contextlib.contextmanager
def _host() -> Iterator[Callable[[str], Any]]:
    from tools.host.in_process import load_host, pack_module
    from tools.host.server import find_host

    quiet = contextlib.redirect_stdout(io.StringIO())
    with tempfile.TemporaryDirectory() as base, quiet, torch.inference_mode():
        load_host(find_host(), Path(base))
        yield pack_module


def _options(film: str, depth: str, rendering: str) -> Any:
    from tools import film as command

    output = Path(film).with_name(f"{Path(film).stem}_{os.getpid()}.mp4")
    words = ["--depth", depth, "--rendering", rendering, "--output", str(output), "--cpu"]
    return command.parse([film, *words])


def _film(film: str, depth: str, rendering: str) -> Any:
    from tools import film_run

    return film_run.read({}, _options(film, depth, rendering))


def _make(film: str, depth: str, rendering: str) -> Path:
    from tools import film_run

    options = _options(film, depth, rendering)
    film_run.make({}, options)
    return options.output
