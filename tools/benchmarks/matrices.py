"""Diffusion²'s image matrices, for weights and repeats, with two models of one's own, through the host and nodes."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .kept_figures import RECIPE, as_number, describe_file, keep_figures, keep_settings, outdated, read_json, write_png
from .matrices_methods import ROWS, Matrices, MatrixSettings, agreement, load_models, recipe
from .own_models import at_least, expect_file, number_in, run_in_host, surroundings, timed_unit
from .stereo_folders import open_picture
from .table import counted, machine, print_table

LEVELS = (10.0, 1.0)
"""Noise levels at which both models are asked: where the layout is decided, and where the detail is."""
_APART = [f"apart at {level:g}, %" for level in LEVELS]
COLUMNS = ("rows", "columns", *_APART, "splats, held out", "splats, fitted", "videos", "orbits", "seconds")
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")

Figures = dict[str, float | None]


def main(arguments: Sequence[str] = ()) -> int:
    """Measure what is not measured yet and print the table; returns the exit code."""
    return run_in_host(parser().parse_args(arguments), _expect_files, run)


def run(host: dict[str, Any], options: argparse.Namespace) -> int:
    """Do what the command asks for, with a host that is already loaded."""
    _expect_files(options)
    settings = MatrixSettings(**{name: getattr(options, name) for name in MatrixSettings.__dataclass_fields__})
    files = {"video": options.video, "multiview": options.multiview}
    described: dict[str, Any] = {name: describe_file(file) for name, file in files.items()}
    described |= {"pictures": str(options.pictures.resolve()), **asdict(settings), RECIPE: recipe()}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    keep_settings(options.out, described, [RECIPE], surroundings(device))
    pictures = find_pictures(options.pictures)[: options.limit]
    names = options.rows or list(ROWS)
    matrices: Matrices | None = None
    finished = []
    for index, picture in enumerate(pictures, 1):
        folder = options.out / "pictures" / picture.name
        files_of = {name: _kept(folder, name) for name in names}
        stale = [name for name, file in files_of.items() if outdated(file, [picture])]
        if stale:
            print(f"{picture.name}: it is another than that of figures here, which are measured again.")
        missing = [name for name, file in files_of.items() if name in stale or not file.is_file()]
        if missing:
            matrices = matrices or Matrices(host, settings, load_models(files))
            print(f"{index} of {len(pictures)}: {picture.name}", flush=True)
            try:
                shown = read_picture(picture, settings.size)
            except ValueError as error:
                print(f"{picture.name} is left out: {error}")
                continue
            with timed_unit(picture.name, len(pictures) - index):
                measure(matrices, picture, shown, missing, folder, settings)
        finished.append(folder)
    if not finished:
        print("No picture could be measured, so there is no table.")
        return 1
    kept = [[read_json(_kept(folder, name)) for name in names] for folder in finished]
    shape = f"{settings.views} views by {settings.frames} frames of {settings.size}x{settings.size}"
    print(f"\n## Diffusion² on {counted(len(kept), 'picture')}, {shape}, {settings.steps} steps\n")
    print(f"{machine(device)}. Splats: PSNR in dB, more is better; of all others before the counts less is better.\n")
    print_table(["", *COLUMNS], [[name, *_means([row[i] for row in kept])] for i, name in enumerate(names)])
    return 0


def measure(
    matrices: Matrices, source: Path, picture: Tensor, rows: Sequence[str], folder: Path, settings: MatrixSettings
) -> None:
    """Make and measure the matrices of a picture, each into a file of its own."""
    conditioning = matrices.condition(picture)
    for name in rows:
        start = time.perf_counter()
        matrix = matrices.sample(conditioning, name)
        count = matrices.evaluations(name)
        found: dict[str, float] = {
            "seconds": time.perf_counter() - start,
            "videos": count.rows,
            "orbits": count.columns,
        }
        shown = matrices.decode(matrix)
        draw_matrix(shown, folder / f"{_slug(name)}.png")
        found |= agreement(shown)
        for column, level in zip(_APART, LEVELS, strict=True):
            found[column] = matrices.estimates_apart(conditioning, matrix, level)
        if settings.iterations:
            try:
                fitted = matrices.splats(shown, conditioning.azimuths)
                found |= {f"splats, {which}": value for which, value in fitted.items()}
            except ValueError as error:  # pictures without one object on white
                print(f"{name}: no splats. {error}")
        figures = {column: as_number(torch.tensor(value)) for column, value in found.items()}
        keep_figures(_kept(folder, name), figures, [source])


def draw_matrix(pictures: Tensor, file: Path) -> None:
    """Write every fourth view and frame of (V, F, 3, S, S) uint8 as one PNG: views below each other."""
    from PIL import Image

    sheet = pictures[::4, ::4].permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
    write_png(file, Image.fromarray(sheet.contiguous().numpy()))


def find_pictures(folder: Path) -> list[Path]:
    """Find the pictures of a folder.

    Raises:
        FileNotFoundError: no folder, or none in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"--pictures: there is no folder {folder}. Name the one that the pictures lie in.")
    found = sorted(file for file in folder.glob("*") if file.suffix.lower() in _SUFFIXES)
    if not found:
        raise FileNotFoundError(
            f"--pictures: {folder} holds no picture. Give square ones, each of an object in the middle, on white or "
            "with a transparent background."
        )
    return found


def read_picture(file: Path, size: int) -> Tensor:
    """Read a picture as an IMAGE (1, size, size, 3), put on white where it is transparent.

    Raises:
        ValueError: it is not square, or damaged.
    """
    from PIL import Image

    picture = Image.fromarray(open_picture(file, "RGBA"))
    if picture.width != picture.height:
        raise ValueError(f"it is {picture.width}x{picture.height}. Give square pictures.")
    picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    color, alpha = np.split(np.asarray(picture, np.float32) / 255, [3], axis=-1)
    return torch.from_numpy(color * alpha + 1 - alpha)[None]


def _means(figures: Sequence[Figures]) -> list[str]:
    known = [[row[column] for row in figures if row.get(column) is not None] for column in COLUMNS]
    digits = [0 if column in ("videos", "orbits") else 1 if column == "seconds" else 2 for column in COLUMNS]
    return [f"{fmean(values):.{places}f}" if values else "" for values, places in zip(known, digits, strict=True)]


def _kept(folder: Path, row: str) -> Path:
    return folder / f"{_slug(row)}.json"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _expect_files(options: argparse.Namespace) -> None:
    for option, said in (
        ("video", "Diffusion² takes Stable Video Diffusion: download svd_xt.safetensors."),
        ("multiview", "Diffusion² takes SV3D: download sv3d_p.safetensors."),
    ):
        expect_file(option, getattr(options, option), said)
    find_pictures(options.pictures)
    if (options.out / "pictures").resolve() == options.pictures.resolve():  # where each gets a folder of its name
        raise ValueError(f"--out: figures would lie among the pictures, in {options.pictures}. Name another folder.")


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(prog="bench.py matrices", description=__doc__)
    add = made.add_argument
    add("--video", type=Path, required=True, help="a checkpoint of SVD")
    add("--multiview", type=Path, required=True, help="a checkpoint of SV3D_p")
    add("--pictures", type=Path, required=True, metavar="FOLDER", help="square pictures of objects on white")
    add("--rows", nargs="+", choices=list(ROWS), metavar="ROW", help=f"only these rows: {'; '.join(ROWS)}")
    add("--size", type=at_least(32, 8), default=576, help="of a picture; default: 576")
    add("--views", type=at_least(2), default=21)
    add("--frames", type=at_least(2), default=25)
    add("--steps", type=at_least(2), default=50)
    add("--seed", type=int, default=0)
    add("--elevation", type=number_in(-90, 90), default=0.0, help="of the camera, in degrees")
    add(
        "--judged",
        type=at_least(16),
        default=256,
        help="size at which pictures are compared and Gaussians fitted; default: 256",
    )
    add("--gaussians", type=at_least(1), default=20000)
    add("--iterations", type=at_least(0), default=5000, help="of the fit of Gaussians; 0 leaves it out")
    add("--limit", type=at_least(1), metavar="N", help="only the first N pictures")
    add("--out", type=Path, default=Path("output/matrices"), help="for figures and pictures")
    return made
