"""StereoCrafter-Zero's Tables 1, 3, 4 and 6 with a video model of one's own, through the real host and the nodes."""

from __future__ import annotations

import argparse
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .clips_depth import MissingDepthError, Source, depth_name, is_network, map_files, open_depth, simplified
from .clips_measures import MET3R, Judges, load_judges, measure, measure_left, missing
from .clips_methods import ATTENTION, CRAFTED, ClipSettings, Left, Pictures, load_video, timed
from .clips_published import DISSOLVED, FRAMES, FULL, METHODS, SCALES, row_name
from .clips_tables import LEFT, Kept, print_tables
from .kept_figures import (
    RECIPE,
    describe_file,
    describe_network,
    keep_figures,
    keep_settings,
    outdated,
    read_json,
    write_json,
    write_png,
)
from .own_models import at_least, expect_file, number_in, run_in_host, surroundings, timed_unit, told
from .stereodiffusion import draw_sheet
from .table import counted

PROMPTS = Path(__file__).with_name("clips_prompts.txt")
TABLES = ("1", "3", "4", "6")
PICTURES, FURTHER = "picture_model", "further depth"
SHEET = "sheet.png"


class Row(NamedTuple):
    """One right view: a method, and which depth it has."""

    name: str
    method: str
    source: int = 0
    dissolved: int = 0
    scale: float = 1.0


def main(arguments: Sequence[str] = ()) -> int:
    """Measure what is not measured yet and print the tables; returns the exit code."""
    return run_in_host(parser().parse_args(arguments), _expect_files, run)


def run(host: dict[str, Any], options: argparse.Namespace, judges: Judges | None = None) -> int:
    """Do what the command asks for, with a host that is already loaded, and with other judges if they are given."""
    _expect_files(options)
    settings = ClipSettings(**{name: getattr(options, name) for name in ClipSettings.__dataclass_fields__})
    depths = options.depth or [options.out / "depth"]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    described = _described(options, settings, depths)
    keep_settings(options.out, described, [PICTURES, FURTHER, RECIPE], surroundings(device))
    rows = list(rows_of(options.tables, [depth_name(path) for path in depths], options.picture_model is not None))
    for line in missing(options.clip, options.features) if judges is None else ():
        print(line)
    if options.picture_model is None and "1" in options.tables:
        print(f"{FRAMES} is left out: name an SD 1.5 checkpoint, such as v1-5-pruned-emaonly, with --picture-model.")
    bench: Bench | None = None
    clips = read_prompts(options.prompts)[: options.limit]
    for index, (name, prompt) in enumerate(clips, 1):
        folder = options.out / "clips" / name
        wanted = wanted_rows(name, rows, depths, folder)
        if wanted:
            (folder / SHEET).unlink(missing_ok=True)
            bench = bench or Bench(host, options, settings, depths, judges)
            print(f"{index} of {len(clips)}: {prompt}", flush=True)
            try:
                with timed_unit(name, len(clips) - index):
                    bench.measure(name, prompt, wanted, folder)
            except MissingDepthError as error:
                print(f"{error} Its left view lies in {folder / 'left'}: make its depth and run this again.")
            except ValueError as error:  # such as maps of another number of frames
                print(f"{name} is left out: {told(error, options)}")
        if (folder / f"{_slug(LEFT)}.json").is_file() and not (folder / SHEET).is_file():
            draw_middle_frames(folder, rows)
    kept = [_read(options.out / "clips" / name, rows) for name, _ in clips]
    kept = [figures for figures in kept if len(figures) == len(rows) + 1]
    if not kept:
        print("No clip is finished, so there is no table.")
        return 1
    frames = f"{counted(settings.frames, 'frame')} of {settings.width}x{settings.height}, {settings.steps} steps"
    title = f"{counted(len(kept), 'clip')}, {frames}"
    print_tables(kept, options.tables, [depth_name(path) for path in depths], title, device)
    return 0


def rows_of(tables: Sequence[str], depths: Sequence[str], with_pictures: bool) -> Iterator[Row]:
    """Yield the rows that the tables need, each once; the first depth is that of all but the rows named by another."""
    yield Row(FULL, FULL)
    if "1" in tables:
        yield from (Row(name, name) for name in METHODS[1:] if name != FRAMES or with_pictures)
    scales = SCALES if "6" in tables else SCALES[:1] if "4" in tables else ()
    for scale in scales:
        yield from (Row(row_name(step, scale), FULL, 0, step, scale) for step in DISSOLVED if step or scale < 1)
    if "3" in tables or "6" in tables:
        for source, depth in enumerate(depths[1:], 1):
            for scale in scales or SCALES[:1]:
                yield Row(row_name(0, scale, depth), FULL, source, 0, scale)


def wanted_rows(clip: str, rows: Sequence[Row], depths: Sequence[Path], folder: Path) -> list[Row]:
    """The rows of a clip that have no figures yet, or those of another depth; the latter is told."""
    wanted, mentioned = [], set()
    for row in rows:
        file, source = folder / f"{_slug(row.name)}.json", depths[row.source]
        stale = outdated(file, map_files(source, clip))
        if file.is_file() and not stale:
            continue
        if stale and source not in mentioned:
            mentioned.add(source)
            print(f"{clip}: its depth in {source} is another than that of figures here, which are measured again.")
        wanted.append(row)
    return wanted


class Bench:
    """Makes and measures the rows of one clip after another."""

    def __init__(
        self,
        host: dict[str, Any],
        options: argparse.Namespace,
        settings: ClipSettings,
        depths: Sequence[Path],
        judges: Judges | None,
    ) -> None:
        files = (options.model, options.text_encoder, options.text_type, options.vae)
        self._host, self._video = host, load_video(host, settings, *files)
        self._judges = judges or load_judges(host, options.clip, options.features)
        self._depths = depths
        opened = [open_depth(host, path, options.svd) for path in depths]
        self._sources: list[Source] = [source for source, _ in opened]
        self._crafter = opened[0][1]
        checkpoint = options.picture_model
        self._pictures = None if checkpoint is None else Pictures(host, checkpoint, options.picture_steps)

    def measure(self, clip: str, prompt: str, rows: Sequence[Row], folder: Path) -> None:
        """Measure rows of a clip, each into a file of its own, and write the middle frame of each.

        Raises:
            MissingDepthError: there is no depth yet; the left view then lies in ``folder``.
        """
        left, cost = timed(self._video, lambda: self._video.left(prompt))
        frames = _core(left.image)
        draw_frames(left.image, folder / "left")
        (folder / "prompt.txt").write_text(f"{prompt}\n", encoding="utf-8")
        middle = slice(len(frames) // 2, len(frames) // 2 + 1)
        draw_frames(left.image[middle], folder / "views", _slug(LEFT))
        write_json(folder / f"{_slug(LEFT)}.json", {**measure_left(self._judges, prompt, frames), **cost})
        estimated: dict[int, Tensor] = {}
        for row in rows:
            if row.source not in estimated:
                estimated[row.source] = self._sources[row.source](clip, left.image)
            depth = simplified(self._host, estimated[row.source], row.dissolved, row.scale, **self._dissolver(left))
            maker = self._pictures if row.method == FRAMES and self._pictures else self._video
            right, cost = timed(maker, self._made(row, left, depth))
            view = _core(right)
            found = measure(self._judges, prompt, frames, view, self._video.columns(depth))
            draw_frames(right[middle], folder / "views", _slug(row.name))
            maps = map_files(self._depths[row.source], clip)
            keep_figures(folder / f"{_slug(row.name)}.json", {**found, **cost}, maps)

    def _made(self, row: Row, left: Left, depth: Tensor) -> Callable[[], Tensor]:
        return lambda: self._video.right(row.method, left, depth, self._pictures)

    def _dissolver(self, left: Left) -> dict[str, Any]:
        if self._crafter is not None:
            return {"depth_model": self._crafter, "image": left.image}
        return self._video.dissolver()


def read_prompts(file: Path) -> list[tuple[str, str]]:
    """Read a prompt a line, but for empty lines and those that begin with #; return (clip's name, prompt).

    Raises:
        ValueError: none, or no text.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")  # which Notepad writes
    except UnicodeDecodeError as error:
        raise ValueError(f"--prompts: {file} is no text in UTF-8. Save it as that.") from error
    lines = [line.strip() for line in text.splitlines()]
    prompts = [line for line in lines if line and not line.startswith("#")]
    if not prompts:
        raise ValueError(f"--prompts: {file} holds no prompt. Write one a line.")
    # The same words are the same clip; the checksum keeps apart what begins alike.
    return [
        (f"{_slug(prompt)[:32] or 'clip'}-{zlib.crc32(prompt.encode()):08x}", prompt)
        for prompt in dict.fromkeys(prompts)
    ]


def draw_frames(image: Tensor, folder: Path, name: str | None = None) -> None:
    """Write an IMAGE as one PNG a frame; one frame alone may have a name."""
    from PIL import Image

    for index, frame in enumerate((image * 255).round().byte().numpy()):
        write_png(folder / f"{name or f'{index:04d}'}.png", Image.fromarray(frame))


def draw_middle_frames(folder: Path, rows: Sequence[Row]) -> None:
    """Put the middle frames of all rows that are made into one picture."""
    from PIL import Image

    files = {name: folder / "views" / f"{_slug(name)}.png" for name in (LEFT, *(row.name for row in rows))}
    views = {
        name: torch.from_numpy(np.array(Image.open(file))).movedim(-1, 0)[None] / 255
        for name, file in files.items()
        if file.is_file()
    }
    draw_sheet(views, folder / SHEET)


def _read(folder: Path, rows: Sequence[Row]) -> Kept:
    files = {name: folder / f"{_slug(name)}.json" for name in (LEFT, *(row.name for row in rows))}
    return {name: read_json(file) for name, file in files.items() if file.is_file()}


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _core(image: Tensor) -> Tensor:
    return image.movedim(-1, 1).contiguous()


def _described(options: argparse.Namespace, settings: ClipSettings, depths: Sequence[Path]) -> dict[str, Any]:
    """All that the figures depend on; more prompts, tables and depths may come later."""

    def described(depth: Path) -> str | None:
        if is_network(depth):
            return describe_network(depth)
        whole, out = depth.resolve(), options.out.resolve()
        return str(whole.relative_to(out) if whole.is_relative_to(out) else whole)  # an --out may be moved

    files = {name: getattr(options, name) for name in ("model", "text_encoder", "vae", "features", "svd")}
    return {
        **{name: describe_file(file) for name, file in files.items()},
        PICTURES: options.picture_model and f"{describe_file(options.picture_model)}, {options.picture_steps} steps",
        MET3R: find_spec("met3r") is not None,
        "clip": [describe_file(file) for file in options.clip or ()],
        "text_type": options.text_type,
        "depth": described(depths[0]),
        FURTHER: {depth_name(depth): described(depth) for depth in depths[1:]},
        RECIPE: {name: {"attention": ATTENTION, **widgets} for name, widgets in CRAFTED.items()},
        **asdict(settings),
    }


def _expect_files(options: argparse.Namespace) -> None:
    for option, said in _WANTED.items():
        given = getattr(options, option.replace("-", "_"))
        for file in given if isinstance(given, list) else [given]:
            if file is not None:
                expect_file(option, file, said)
    for path in options.depth or ():
        if not path.exists():
            raise FileNotFoundError(f"--depth: there is no {path}. {_DEPTH}")
        if path.is_file() and path.suffix.lower() not in _WEIGHTS:
            raise ValueError(f"--depth: {path} is no file of weights. {_DEPTH}")
    if len(options.clip or ()) > 2:
        raise ValueError("--clip: takes one file with text and vision, or one of each. Name two at most.")
    names = [depth_name(path) for path in options.depth or ()]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"--depth: two are called {twice[0]}, as their rows would be. Rename one.")
    if options.svd is None:
        return
    if not any(is_network(path) and path.is_file() for path in options.depth or ()):
        raise ValueError("--svd: is only for DepthCrafter. Name its file with --depth, or leave --svd out.")


_WEIGHTS = (".safetensors", ".pth", ".pt", ".ckpt", ".bin")  # how to convert all but the first is told later
_DEPTH = (
    "Name a network as Load Depth Model takes it (a Hugging Face folder, or a file of Video Depth Anything or "
    "DepthCrafter), or a folder of maps."
)
_WANTED = {
    "model": "Give a text-to-video model that ComfyUI loads, such as wan2.1_t2v_1.3B_fp16.safetensors.",
    "text-encoder": "Wan 2.1 takes umt5_xxl_fp8_e4m3fn_scaled.safetensors.",
    "vae": "Wan 2.1 takes wan_2.1_vae.safetensors.",
    "prompts": "Write one prompt a line.",
    "clip": "Download model.safetensors of openai/clip-vit-large-patch14 from Hugging Face.",
    "features": "Download model.safetensors of facebook/dinov2-large from Hugging Face.",
    "picture-model": "StereoDiffusion takes Stable Diffusion: download v1-5-pruned-emaonly.safetensors.",
    "svd": "DepthCrafter shares the VAE and the vision encoder of svd_xt.safetensors.",
}


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(prog="bench.py clips", description=__doc__)
    add = made.add_argument
    add("--model", type=Path, required=True, help="a whole checkpoint, or a diffusion model, of text to video")
    add("--text-encoder", type=Path, help="of a diffusion model by itself")
    add("--text-type", default="wan", help="its type, as Load CLIP has it; default: wan")
    add("--vae", type=Path, help="of a diffusion model by itself")
    add("--prompts", type=Path, default=PROMPTS, help="a prompt a line; default: five of our own")
    add("--depth", type=Path, nargs="+", metavar="PATH", help="networks or folders of maps; default: OUT/depth")
    add("--svd", type=Path, help="Stable Video Diffusion, for DepthCrafter")
    add("--clip", type=Path, nargs="+", metavar="FILE", help="CLIP: one file with text and vision, or one of each")
    add("--features", type=Path, help="another vision encoder for the distance of features")
    add("--picture-model", type=Path, help="an SD 1.5 checkpoint, for StereoDiffusion frame by frame")
    add("--picture-steps", type=at_least(2), default=50, help="its steps; default: 50")
    add("--tables", nargs="+", choices=TABLES, default=["1", "4"], help="of StereoCrafter-Zero; default: 1 4")
    add("--width", type=at_least(16), default=832)
    add("--height", type=at_least(16), default=480)
    add("--frames", type=at_least(1), default=33)
    add("--steps", type=at_least(2), default=50)
    add("--cfg", type=number_in(0, 100), default=6.0)
    add("--sampler", default="euler_ancestral")
    add("--scheduler", default="simple")
    add("--seed", type=int, default=0)
    add("--negative", default="", help="what the clips should not show")
    add("--max-disparity", type=number_in(0.1, 100), default=6.0, help="percent of the width; default: 6")
    add("--convergence", type=number_in(0, 1), default=0.3)
    add("--limit", type=at_least(1), metavar="N", help="only the first N clips")
    add("--out", type=Path, default=Path("output/clips"), help="for figures and pictures")
    return made
