"""What ``tools/film.py`` does once its environment is there: the work of Stereo Video File, in this process."""

from __future__ import annotations

import argparse
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from tools.host.in_process import load_host, pack_module
from tools.host.server import find_host

_EVERY = 5.0  # seconds between two lines
# Files of these are loaded by the host's own nodes; what their names hold.
_OF_THE_HOST = {
    "depth_anything_3": "nodes_depth_anything_3.LoadDA3Model",
    "da3": "nodes_depth_anything_3.LoadDA3Model",
    "moge": "nodes_moge.LoadMoGeModel",
}


class Lines:
    """Progress in lines of text, as ``nodes.film.film_progress`` wants it."""

    def __init__(self, in_words: Any) -> None:
        """Take what says a time for people."""
        self._in_words = in_words
        self._total = self._done = self._before = 0
        self._start = self._said = time.monotonic()

    def expect(self, frames: int, done: int) -> None:
        """There are so many steps in all, and so many were done before."""
        self._total, self._done, self._before = frames, done, done
        self._start = time.monotonic()

    def step(self, picture: object = None) -> None:  # noqa: ARG002  # nobody sees it here
        """One frame more is done."""
        self._done += 1
        now = time.monotonic()
        if now - self._said < _EVERY:
            return
        self._said = now
        pace = (self._done - self._before) / max(1e-6, now - self._start)
        left = self._in_words((self._total - self._done) / max(1e-6, pace))
        self.say(f"{100 * self._done / self._total:.1f} %, {pace:.1f} frames/s, about {left} left")

    def say(self, text: str) -> None:
        """Tell something in words."""
        print(text, flush=True)


def run(options: argparse.Namespace) -> int:
    """Make the film, or some of its pieces; returns the exit code.

    Raises:
        ValueError: something does not fit, or is not there.
    """
    print("Loading ...", flush=True)
    cuda = torch.cuda.is_available() and not options.cpu
    with tempfile.TemporaryDirectory(prefix="latent-stereo-") as base:
        host = load_host(find_host(), Path(base), cpu=not cuda)
        with torch.inference_mode():
            return make(host, options)


def make(host: dict[str, type], options: argparse.Namespace) -> int:
    """Make the film in the host that is loaded."""
    film = read(host, options)
    output = options.output or _beside(options.film, film)
    if output.exists():
        print(f"{output} is there already, or just being written. Remove it first if it is to be made again.")
        return 0
    folder = pack_module("nodes.film.work_folder").WorkFolder.open(
        options.folder or output.parent, output.stem, film.identity()
    )
    lines = Lines(pack_module("nodes.film.film_progress").in_words)
    lines.say(f"{len(film.plan)} frames; the work lies in {folder.path}")
    work = pack_module("nodes.film.work").Work(film, folder, lines)
    try:
        wanted = options.segments
        if wanted is not None:  # the last of a queue of jobs may ask for more than there are
            wanted = range(wanted.start, min(wanted.stop, len(work.parts)))
            if not wanted:
                raise ValueError(f"--segments: the film's pieces are 0:{len(work.parts)}. Give some of these.")
        work.make(wanted)
        if wanted is not None and not work.is_whole():
            print(f"Pieces {wanted.start} to {wanted.stop - 1} are there; others are missing.")
            return 0
        if not work.finish(output, keep=options.keep_segments):
            print("All pieces are there; another process is just writing the film.")
            return 0
    except FileNotFoundError:  # the process that writes the film deletes its pieces
        if not output.exists():
            raise
    print("\n".join((str(output), *film.remarks, *work.remarks)))
    return 0


def read(host: dict[str, type], options: argparse.Namespace) -> Any:
    """Return the film that is to be made, a ``nodes.film.film.Film``."""
    from comfy_api.latest import InputImpl

    settings = _settings(options)
    plan = pack_module("nodes.film.film_plan").FilmPlan.read(InputImpl.VideoFromFile(str(options.film)))
    given = InputImpl.VideoFromFile(str(options.depth)) if options.depth else load_model(host, options.model)
    depth = pack_module("nodes.film.film_depth").depth_of(plan, given, settings.depth)
    return pack_module("nodes.film.film").Film.read(plan, depth, settings, {})


def _beside(source: Path, film: Any) -> Path:
    suffix = pack_module("stereo_core.video_formats").name_suffix(film.settings.form)
    return source.with_name(f"{source.stem}{suffix}.{film.file.container.value}")


def load_model(host: dict[str, type], path: Path) -> Any:
    """Load a depth model as the nodes do, from wherever it lies."""
    import folder_paths

    path = path.resolve()
    folder_paths.add_model_folder_path("geometry_estimation", str(path.parent))
    loader = next((node for part, node in _OF_THE_HOST.items() if part in path.name.lower()), None)
    if loader is None or path.is_dir():
        return host["Stereo_LoadDepthModel"].execute(path.name, "default").args[0]
    module, name = loader.split(".")
    precision = ["default"] if name == "LoadDA3Model" else []
    return getattr(import_module(f"comfy_extras.{module}"), name).execute(path.name, *precision).args[0]


def _settings(options: argparse.Namespace) -> Any:
    """Return the settings, of the loaded pack's own classes."""
    film, codecs = pack_module("nodes.film.film_settings"), pack_module("nodes.delivery.video_codecs")
    formats, geometry = pack_module("stereo_core.video_formats"), pack_module("stereo_core.geometry")
    files = pack_module("nodes.delivery.video_plan")
    try:
        codec = codecs.Codec(options.codec)
    except ValueError as error:
        there = ", ".join(each.value for each in codecs.Codec)
        raise ValueError(f"--codec {options.codec}: choose one of {there}.") from error
    default = film.FilmSettings()
    return film.FilmSettings(
        formats.video_format(options.format),
        files.FileOptions(codec, codecs.Quality(options.quality), default.file.container, default.file.tags),
        film.DepthSettings(options.resolution, options.batch_size),
        film.ShiftSettings(
            geometry.StereoGeometry(options.max_disparity, options.convergence, screen=geometry.Screen(options.screen)),
            rendering=pack_module("stereo_core.rendering").Quality(options.rendering),
        ),
        options.segment_seconds,
    )
