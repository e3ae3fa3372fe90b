"""What ``tools/film.py`` does once its environment is there: the work of Stereo Video File, in this process."""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Job:
    """A film that is to be made, and where.

    Attributes:
        film: a ``nodes.film.film.Film``.
        output: the file that it becomes.
        folder: of the work, a ``nodes.film.work_folder.WorkFolder``.
        work: a ``nodes.film.work.Work``.
    """

    film: Any
    output: Path
    folder: Any
    work: Any

    @classmethod
    def open(cls, film: Any, options: argparse.Namespace, progress: Any) -> Job | None:
        """Open the folder of the work; ``None`` where the film is there already."""
        output = output_of(film, options)
        if is_there(output):
            return None
        folders = pack_module("nodes.film.work_folder")
        folder = folders.WorkFolder.open(options.folder or output.parent, output.stem, film.identity())
        if is_there(output) and not list(folder.path.glob("*.mp4")):  # it was just finished, and its pieces deleted
            folder.remove()
            return None
        return cls(film, output, folder, pack_module("nodes.film.work").Work(film, folder, progress))

    def finish(self, keep: bool) -> bool:
        """Write the film from its pieces; false where another process is just writing it."""
        return self.work.finish(self.output, keep, chosen=True)


def run(options: argparse.Namespace) -> int:
    """Make the film, or some of its pieces; returns the exit code.

    Raises:
        ValueError: something does not fit, or is not there.
    """
    print("Loading ...", flush=True)
    with tempfile.TemporaryDirectory(prefix="latent-stereo-") as base:
        host = load(Path(base), options)
        with torch.inference_mode():
            return make(host, options)


def load(base: Path, options: argparse.Namespace) -> dict[str, type]:
    """Load the host into this process, with ``base`` for its files."""
    cuda = torch.cuda.is_available() and not options.cpu
    return load_host(find_host(), base, cpu=not cuda)


def make(host: dict[str, type], options: argparse.Namespace) -> int:
    """Make the film in the host that is loaded."""
    film, lines = read(host, options), Lines(pack_module("nodes.film.film_progress").in_words)
    job = Job.open(film, options, lines)
    if job is None:
        print(f"{output_of(film, options)} is there already. Remove it first if it is to be made again.")
        return 0
    lines.say("\n".join((f"{len(film.plan)} frames; the work lies in {job.folder.path}", *film.remarks)))
    work = job.work
    try:
        wanted = options.segments
        if wanted is not None:  # the last of a queue of jobs may ask for more than there are
            wanted = range(wanted.start, min(wanted.stop, len(work.parts)))
            if not wanted:
                raise ValueError(f"--segments: the film's pieces are 0:{len(work.parts)}. Give some of these.")
        work.make(wanted)
        if wanted is not None and not work.is_whole():
            some = f"Pieces {wanted.start} to {wanted.stop - 1} are" if len(wanted) > 1 else f"Piece {wanted.start} is"
            print(f"{some} there; others are missing.")
            return 0
        if not job.finish(options.keep_segments):
            print("All pieces are there; another process is just writing the film.")
            return 0
    except FileNotFoundError:  # the process that writes the film deletes its pieces
        if not is_there(job.output):
            raise
    print("\n".join((str(job.output), *work.remarks)))
    return 0


def is_there(output: Path) -> bool:
    """Tell whether the film is written."""
    return pack_module("nodes.film.unfinished").is_there(output)


def read(host: dict[str, type], options: argparse.Namespace) -> Any:
    """Return the film that is to be made, a ``nodes.film.film.Film``."""
    from comfy_api.latest import InputImpl

    settings = _settings(options)
    plan = pack_module("nodes.film.film_plan").FilmPlan.read(InputImpl.VideoFromFile(str(options.film)))
    given = InputImpl.VideoFromFile(str(options.depth)) if options.depth else load_model(host, options.model)
    depth = pack_module("nodes.film.film_depth").depth_of(plan, given, settings.depth)
    return pack_module("nodes.film.film").Film.read(plan, depth, settings, {})


def output_of(film: Any, options: argparse.Namespace) -> Path:
    """Return the file that a film becomes.

    Raises:
        ValueError: its name ends otherwise than such a file's.
    """
    if options.output:
        if film.file.container.value != options.output.suffix.lower().removeprefix("."):
            raise ValueError(
                f"--output {options.output}: mp4 cannot hold all of the film's sound and subtitles. Give a name that "
                "ends with .mkv, or leave out with --container mp4 what does not fit."
            )
        return options.output
    suffix = pack_module("stereo_core.video_formats").name_suffix(film.settings.form)
    return options.film.with_name(f"{options.film.stem}{suffix}.{film.file.container.value}")


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
    return film.FilmSettings(
        formats.video_format(options.format),
        pack_module("nodes.delivery.video_plan").FileOptions(
            codecs.Codec(options.codec),
            codecs.Quality(options.quality),
            pack_module("nodes.delivery.video_file").Container(options.container),
            formats.Tags(options.tags),
        ),
        film.DepthSettings(
            options.resolution, options.batch_size, not options.no_stabilize, options.percentile, options.invert
        ),
        film.ShiftSettings(
            geometry.StereoGeometry(
                options.max_disparity, options.convergence, options.exponent, geometry.Screen(options.screen)
            ),
            options.balance,
            pack_module("stereo_core.rendering").Quality(options.rendering),
            options.edge_growth,
            pack_module("stereo_core.depth_edges").DepthEdges(options.depth_edges),
            pack_module("stereo_core.clip_filling").FillFrom(options.fill_from),
        ),
        options.segment_seconds,
    )
