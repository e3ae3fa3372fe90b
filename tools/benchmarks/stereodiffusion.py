"""StereoDiffusion's Tables 1 and 2 with a checkpoint and pairs of one's own, through the real host and the nodes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from stereo_core.frame_matching import resize_nearest
from stereo_core.metrics import load_lpips, lpips, psnr, ssim
from stereo_core.warping import forward_warp

from .kept_figures import (
    RECIPE,
    as_number,
    describe_file,
    describe_network,
    keep_figures,
    keep_settings,
    outdated,
    read_json,
    write_png,
)
from .own_models import (
    alexnet_file,
    at_least,
    expect_file,
    missing_lpips,
    number_in,
    run_in_host,
    surroundings,
    timed_unit,
    told,
)
from .scenes import Scene
from .stereo_folders import LAYOUTS, find_pairs, load_pair
from .stereodiffusion_methods import OF_LEFT, RECIPES, Methods, estimate_depth, load_network
from .stereodiffusion_published import published
from .table import counted, machine, print_table

PUBLISHED_SCALE = 8.0  # percent of the width, as the presets of Stereo Picture Options have it
_CELL = 8  # columns of a picture for one of the latent
_SHOWN = 5  # pictures in a row of a sheet
_SD15 = (
    "StereoDiffusion used Stable Diffusion 1.5: download v1-5-pruned-emaonly.safetensors, with its text encoder and "
    "VAE, and name it here."
)
_LINE, _MARGIN = 12, 4  # of their names, in pixels

Figures = dict[str, dict[str, float | None]]
"""By the row's name, then by the measure's; ``None`` where it has nothing to measure."""


@dataclass(frozen=True)
class Settings:
    """What the figures depend on; all of it stands in the JSON beside them."""

    checkpoint: str | None
    data: str
    kind: str | None
    depth_model: str | None
    paper_scale: float | None
    prompt: str
    steps: int
    inner_steps: int
    size: int
    lpips: str | None


def main(arguments: Sequence[str] = ()) -> int:
    """Measure what is not measured yet and print the tables; returns the exit code."""
    return run_in_host(_parser().parse_args(arguments), _expect_files, run)


def run(host: dict[str, Any], options: argparse.Namespace) -> int:
    """Do what the command asks for, with a host that is already loaded."""
    _expect_files(options)
    kind, pairs = find_pairs(options.data, options.kind)
    without_lpips = missing_lpips(options.alexnet)
    settings = Settings(
        checkpoint=describe_file(options.checkpoint),
        data=str(options.data.resolve()),
        kind=kind,
        depth_model=describe_network(options.depth_model),
        paper_scale=options.paper_scale,
        prompt=options.prompt,
        steps=options.steps,
        inner_steps=options.inner_steps,
        size=options.size,
        lpips=describe_file(alexnet_file(options.alexnet)) if without_lpips is None else None,
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    keep_settings(options.out, {**asdict(settings), RECIPE: RECIPES}, [RECIPE], surroundings(device))
    if without_lpips is not None:
        print(without_lpips)
    judge = load_judge(options.alexnet) if without_lpips is None else None
    pairs = pairs[: options.limit]
    figures, methods, estimate = [], None, None
    for number, files in enumerate(pairs, 1):
        kept = options.out / "scenes" / f"{files.name}.json"
        sources = [files.left, files.right, files.disparity]
        stale = outdated(kept, sources)
        if stale:
            print(f"{files.name}: its files are others than those of its figures, which are measured again.")
        if stale or not kept.is_file():
            if methods is None:
                network = load_network(host, options.checkpoint, options.prompt)
                methods = Methods(host, network, options.steps, options.inner_steps)
                estimate = options.depth_model and estimate_depth(host, options.depth_model)
            print(f"{number} of {len(pairs)}: {files.name}", flush=True)
            try:
                scene = load_pair(files, kind, options.size)
                with timed_unit(files.name, len(pairs) - number):
                    given = given_disparity(scene, estimate, options.paper_scale)
                    expect_shift(given)
                    keep_figures(kept, measure_scene(methods, scene, given, options.out / "sheets", judge), sources)
            except ValueError as error:
                print(f"{files.name} is left out: {told(error, options)}")
                continue
        figures.append(read_json(kept))
    if not figures:
        print("No pair could be measured, so there is no table.")
        return 1
    print(f"\n## StereoDiffusion on {counted(len(figures), 'pair')} ({kind}), {options.size}x{options.size}\n")
    print(f"{settings.checkpoint}, {options.steps} steps. {machine(device)}\n")
    print_figures(figures, published(kind, settings.depth_model is not None))
    return 0


def load_judge(given: Path | None) -> nn.Module:
    """Load the network of LPIPS.

    Raises:
        ValueError: the file does not hold AlexNet's weights.
    """
    try:
        return load_lpips(alexnet_file(given))
    except ValueError as error:
        raise ValueError(f"--alexnet: {error}") from error


def given_disparity(scene: Scene, estimate: Callable[[Tensor], Tensor] | None, paper_scale: float | None) -> Tensor:
    """The disparity (1, 1, H, W), in columns, that the methods are given.

    The true one or the estimate; at the true scale an estimate is fitted to the true one by a factor and an offset,
    at that of StereoDiffusion's figures the least is 0 and the largest ``paper_scale`` percent of the width.
    """
    shape = scene.disparity if estimate is None else estimate(scene.left)
    if paper_scale is not None:
        low, high = shape.min(), shape.max()
        return (shape - low) / (high - low).clamp(min=1e-6) * (paper_scale / 100 * shape.shape[-1])
    if estimate is None:
        return shape
    centered, true = shape - shape.mean(), scene.disparity - scene.disparity.mean()
    factor = (centered * true).sum() / centered.square().sum().clamp(min=1e-6)
    return (factor * centered + scene.disparity.mean()).clamp(min=0)


def expect_shift(given: Tensor) -> None:
    """Refuse a disparity (1, 1, H, W) that the published rows cut off to nothing, before a model has begun.

    Raises:
        ValueError: the largest is less than a cell of the latent.
    """
    cells = resize_nearest(given, (given.shape[-2] // _CELL, given.shape[-1] // _CELL))  # which the latent has of it
    largest = float(cells.max())
    if largest < _CELL:
        raise ValueError(
            f"its disparity moves no whole column of the latent: there it is at most {largest:.1f} columns of the "
            f"picture, and {_CELL} are needed. Give a larger --size, or --paper-scale with a larger percentage."
        )


def measure_scene(methods: Methods, scene: Scene, given: Tensor, sheets: Path, judge: nn.Module | None) -> Figures:
    """Measure every row of a scene, and draw what was made; visible is where the true disparity's shift lands."""
    visible = forward_warp(scene.left, scene.disparity).filled
    found: Figures = {}
    shown = {"left": scene.left, "true right view": scene.right}
    for name, view in methods.views(scene._replace(disparity=given)):
        of_left = name in OF_LEFT
        true = scene.left if of_left else scene.right
        figures = {"PSNR": psnr(view, true), "SSIM": ssim(view, true)}
        if judge is not None:
            figures["LPIPS"] = lpips(view, true, judge)
        for where, mask in (("visible", visible), ("holes", ~visible)) if not of_left else ():
            figures |= {f"PSNR {where}": psnr(view, true, mask), f"SSIM {where}": ssim(view, true, mask)}
        found[name] = {measure: as_number(value) for measure, value in figures.items()}
        shown[name] = view
    draw_sheet(shown, sheets / f"{scene.name}.png")
    return found


def draw_sheet(views: dict[str, Tensor], file: Path) -> None:
    """Write views (1, 3, H, W) as one PNG, each below its name, whose words are broken where a view is narrow."""
    from PIL import Image, ImageDraw

    height, width = next(iter(views.values())).shape[-2:]
    measured = ImageDraw.Draw(Image.new("RGB", (1, 1))).textlength
    across = max(width, *(int(measured(word)) + 2 * _MARGIN for name in views for word in name.split()))
    names = {name: _broken(name, across - 2 * _MARGIN, measured) for name in views}
    band = _LINE * max(map(len, names.values())) + _MARGIN
    rows = -(-len(views) // _SHOWN)
    sheet = Image.new("RGB", (_SHOWN * across, rows * (height + band)), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (name, view) in enumerate(views.items()):
        x, y = place % _SHOWN * across, place // _SHOWN * (height + band)
        top = y + band - _LINE * len(names[name]) - 2
        for line, words in enumerate(names[name]):
            pen.text((x + _MARGIN, top + _LINE * line), words, fill="black")
        pixels = (view[0].movedim(0, -1) * 255).round().byte().cpu().numpy()
        sheet.paste(Image.fromarray(pixels), (x, y + band))
    write_png(file, sheet)


def _broken(name: str, width: int, measured: Callable[[str], float]) -> list[str]:
    """A name in lines that are no wider than ``width`` pixels, but for a word that is."""
    lines: list[str] = []
    for word in name.split():
        longer = f"{lines[-1]} {word}" if lines else ""
        if lines and measured(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def print_figures(scenes: list[Figures], paper: dict[str, tuple[str, str, str]]) -> None:
    """Print the mean, how far the best and the worst scene lie from it, and the published row beneath; then parts."""
    measures = ["PSNR", "SSIM", "LPIPS"]
    rows = []
    for name in scenes[0]:
        rows.append([name, *(_spread([scene[name].get(m) for scene in scenes], m) for m in measures)])
        if name in paper:
            rows.append(["published", *paper[name]])
    print("Whole view: the mean, then how far the best and the worst pair lie from it.\n")
    print_table(["", *measures], rows)
    parts = [f"{measure} {where}" for where in ("visible", "holes") for measure in ("PSNR", "SSIM")]
    rows = [
        [name, *(_spread([scene[name].get(part) for scene in scenes], part) for part in parts)]
        for name in scenes[0]
        if name not in OF_LEFT
    ]
    print_table(["", *parts], rows)


def _spread(values: list[float | None], measure: str) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    digits = 2 if measure.startswith("PSNR") else 3
    mean = fmean(known)
    spread = (max(known) - mean, min(known) - mean) if len(known) > 1 else ()
    spread = spread[::-1] if measure == "LPIPS" else spread  # less is better
    return " ".join([f"{mean:.{digits}f}", *(f"{value:+.{digits}f}" for value in spread)])


def _expect_files(options: argparse.Namespace) -> None:
    expect_file("checkpoint", options.checkpoint, _SD15)
    if options.depth_model and not options.depth_model.exists():
        raise FileNotFoundError(
            f"--depth-model: there is no {options.depth_model}. StereoDiffusion used DPT: download the Hugging Face "
            "folder Intel/dpt-hybrid-midas or Intel/dpt-large (config.json and model.safetensors) and name it here."
        )
    if options.alexnet:
        expect_file("alexnet", options.alexnet, "Give alexnet-owt-7be5be79.pth.")
    find_pairs(options.data, options.kind)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.py stereodiffusion", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="a whole SD 1.5 checkpoint")
    parser.add_argument("--data", type=Path, required=True, help="the folder of pairs")
    parser.add_argument("--kind", choices=LAYOUTS, help="its layout; default: the one that it has")
    parser.add_argument("--depth-model", type=Path, metavar="FOLDER", help="estimate the disparity with this network")
    parser.add_argument("--prompt", default="", help="what all pictures are inverted with; default: nothing")
    parser.add_argument("--steps", type=at_least(2), default=50)
    parser.add_argument("--inner-steps", type=at_least(1), default=10, help="of null-text optimization; default: 10")
    parser.add_argument("--size", type=at_least(64, _CELL), default=512, help="both sides in pixels; default: 512")
    parser.add_argument("--limit", type=at_least(1), metavar="N", help="only the first N pairs")
    parser.add_argument("--alexnet", type=Path, metavar="FILE", help="AlexNet's weights, for LPIPS")
    parser.add_argument("--out", type=Path, default=Path("output/stereodiffusion"), help="for figures and pictures")
    parser.add_argument(
        "--paper-scale",
        nargs="?",
        type=number_in(0.1, 100),
        const=PUBLISHED_SCALE,
        metavar="PERCENT",
        help="stretch the disparity from 0 to this much of the width, as StereoDiffusion does; given alone: 8",
    )
    return parser
