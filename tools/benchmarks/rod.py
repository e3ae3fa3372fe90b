"""The sampling methods on the measuring rod, in its latent: which orderings hold, scene by scene."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from stereo_core.metrics import flicker, psnr
from tools.host.in_process import load_host
from tools.host.server import find_host
from tools.rod import weights
from tools.rod.network import render_grid
from tools.toy.scenes import Pair

from .own_models import at_least
from .table import machine, print_table
from .toy import Bench, means, measure_generated, measure_scenes, show

_SCENES, _STEPS = 64, 20
_NOTHING = 0.01  # dB, or of 255
PARTS = ("sampled", "crafted", "generated")
_ALL, _HOLES, _FLICKER = "PSNR all", "PSNR disoccluded", "flicker"
_COLUMNS = {_ALL: "all pixels", _HOLES: "holes", _FLICKER: "flicker"}
_MODES = ("left_kv", "joint", "right_joint", "left_query")
_ALONE = {"attention": "none", "fill": "zeros", "mask_every": 0.0, "shift": "truncated"}
_RENEWED = {**_ALONE, "mask_every": 0.2}
_FINE = {**_RENEWED, "shift": "sub_column"}
_MORE = {**_FINE, "fill": "background", "mask_every": 0.1}

SAMPLED: dict[str, dict[str, Any]] = {
    "shift alone": _ALONE,
    **{f"shift alone, {mode}": {**_ALONE, "attention": mode} for mode in _MODES},
    "renewals": _RENEWED,
    **{f"renewals, {mode}": {**_RENEWED, "attention": mode} for mode in _MODES},
    "renewals, left_kv, Deblur": {**_RENEWED, "attention": "left_kv", "fill": "noise"},
    "rounded": {**_RENEWED, "shift": "rounded"},
    "sub_column": _FINE,
    **{f"sub_column, {fill}": {**_FINE, "fill": fill} for fill in ("left", "noise", "background")},
    "sub_column, background, more renewals": _MORE,
    "the pack's defaults": {**_MORE, "attention": "left_kv"},
}
"""Stereo KSampler's widgets: published forms first, holes of zeros and whole columns cut off, then the pack's."""


class Ordering(NamedTuple):
    """What should be better than what.

    Attributes:
        claim: in words.
        source: who says so.
        better, worse: rows.
        column: in which it should show; of flicker, which only clips have, less is better.
    """

    claim: str
    source: str
    better: str
    worse: str
    column: str = _ALL


_TABLE_2, _CRAFTER = "StereoDiffusion, Table 2", "StereoCrafter-Zero"
_EXACT, _SMALL, _ASKED = "our exact denoisers", "our small model", "a question of ours"
ORDERINGS = (
    Ordering("shifting in the latent beats a stretched picture", _TABLE_2, "shift alone", "stretch"),
    Ordering("renewals help", _TABLE_2, "renewals", "shift alone"),
    Ordering("attention helps by itself", f"{_TABLE_2}, KITTI", "shift alone, left_kv", "shift alone"),
    Ordering("attention adds to renewals", f"{_TABLE_2}, KITTI", "renewals, left_kv", "renewals"),
    Ordering("Deblur costs PSNR", _TABLE_2, "renewals, left_kv", "renewals, left_kv, Deblur"),
    Ordering("left_kv beats joint", _SMALL, "shift alone, left_kv", "shift alone, joint"),
    Ordering("left_query beats left_kv", f"{_CRAFTER}, Eq. 9", "shift alone, left_query", "shift alone, left_kv"),
    Ordering("rounding beats cutting off", _EXACT, "rounded", "renewals"),
    Ordering("sub_column beats rounding", _EXACT, "sub_column", "rounded"),
    Ordering("background beats left", _EXACT, "sub_column, background", "sub_column, left", _HOLES),
    Ordering("zeros beat background, in PSNR", _EXACT, "sub_column", "sub_column, background", _HOLES),
    Ordering("background beats noise", _EXACT, "sub_column, background", "sub_column, noise", _HOLES),
    Ordering("more renewals help", _EXACT, "sub_column, background, more renewals", "sub_column, background"),
    Ordering("refinement adds to the restart", f"{_CRAFTER}, Fig. 9", "both", "restart alone"),
    Ordering("the restart adds to refinement", f"{_CRAFTER}, Fig. 8", "both", "refinement alone"),
    Ordering("repeats help holes", f"{_CRAFTER}, Fig. 9", "both", "both, no repeats", _HOLES),
    Ordering("left_query helps", f"{_CRAFTER}, Eq. 9", "both", "both, attention none"),
    Ordering("sub_column beats cutting off there", _SMALL, "both", "both, shift truncated"),
    Ordering("refinement steadies the restart", _ASKED, "both", "restart alone", _FLICKER),
    Ordering("repeats steady", _ASKED, "both", "both, no repeats", _FLICKER),
    Ordering("left_query steadies", _ASKED, "both", "both, attention none", _FLICKER),
    Ordering("sub_column steadies", _ASKED, "both", "both, shift truncated", _FLICKER),
    Ordering("diffusion is as steady as a shifted picture", _ASKED, "both", "Image Stereo Shift", _FLICKER),
)


@dataclass(frozen=True)
class RodBench(Bench):
    """The same methods on pictures of one pixel a column, or on clips whose frames lie below each other."""

    frames: int = 1

    def render(self, seeds: range) -> Pair:
        return render_grid(seeds, self.size, self.frames)

    def figures(self, made: Tensor, pair: Pair) -> dict[str, Tensor]:
        found = {
            _ALL: psnr(made, pair.right),
            "PSNR visible": psnr(made, pair.right, ~pair.right_only),
            _HOLES: psnr(made, pair.right, pair.right_only),
        }
        if self.frames > 1:
            clips = [views.unflatten(2, (self.frames, -1)).transpose(1, 2) for views in (made, pair.right)]
            found[_FLICKER] = torch.stack([255 * flicker(*clip).nanmean() for clip in zip(*clips, strict=True)])
        return found

    def right_views(self, pair: Pair, parts: Sequence[str] = PARTS) -> dict[str, Tensor]:
        """The right view (B, 3, H, W) of each row, without diffusion first."""
        left, made = self.inverted(pair), self.warped(pair)
        if "sampled" in parts:
            made |= self.sampled(pair, left, SAMPLED)
        if "crafted" in parts:
            made |= self.crafted(pair, left)
        return made


def judge(ordering: Ordering, figures: dict[str, dict[str, Tensor]]) -> tuple[float, float, str]:
    """The mean over scenes of how much better it is, the standard error of that, and whether it holds.

    It is undecided where the mean lies within two standard errors of 0, or where one scene has all the say. Less than
    a hundredth, of a decibel or of a step of 255, is nothing, however sure, if the error is not larger than that.
    """
    gain = figures[ordering.better][ordering.column] - figures[ordering.worse][ordering.column]
    gain = gain[gain.isfinite()] * (-1 if ordering.column == _FLICKER else 1)
    mean, error = float(gain.mean()), float(gain.std() / len(gain) ** 0.5) if len(gain) > 1 else float("inf")
    if max(abs(mean), error) < _NOTHING:
        return mean, error, "no difference"
    if not abs(mean) > 2 * error:
        return mean, error, "undecided"
    return mean, error, "holds" if mean > 0 else "the opposite"


def main(options: Sequence[str] = (), folder: Path = weights.FOLDER) -> int:
    """Print the tables; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python tools/bench.py rod", description=__doc__)
    parser.add_argument("--weights", type=Path, default=folder, metavar="FOLDER", help="that train.py exported")
    parser.add_argument("--scenes", type=at_least(1), default=_SCENES, help=f"default {_SCENES}")
    parser.add_argument("--steps", type=at_least(2), default=_STEPS, help=f"of sampling; default {_STEPS}")
    parser.add_argument("--threads", type=at_least(1), help="default: all")
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=PARTS,
        help="by StereoDiffusion, by StereoCrafter-Zero, painted from noise; default: all of them",
    )
    given = parser.parse_args(options)
    if given.threads:
        torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as base, torch.inference_mode():
        host = load_host(find_host(), Path(base), cpu=True)
        try:
            rod = weights.load(given.weights)
        except (FileNotFoundError, ValueError) as error:
            print(f"--weights: {error}\n")
            return 1
        bench = RodBench(host, rod.toy, given.scenes, rod.columns, given.steps, frames=rod.frames)
        what = "pictures" if rod.frames == 1 else f"clips of {rod.frames} frames"
        print(f"## The measuring rod: {bench.scenes} held-out {what}, {bench.size} columns, {bench.steps} steps\n")
        print(f"{machine('cpu')}. DDIM inversion, replay without guidance, true disparity, true right views.\n")
        if given.parts != ["generated"]:
            figures = measure_scenes(bench, lambda pair: bench.right_views(pair, given.parts))
            show(means(figures))
            print("Orderings: the mean gain over the scenes and its standard error; dB, and of flicker steps of 255.\n")
            print_table(["", "says", "of", "gain", ""], [_row(ordering, figures) for ordering in measured(figures)])
        if "generated" in given.parts:
            print("Painted from noise: left-right consistency by warping, by the coupling of the views.\n")
            show(measure_generated(bench))
    return 0


def measured(figures: dict[str, dict[str, Tensor]]) -> list[Ordering]:
    """The orderings of which both rows and the column are there."""
    made = [ordering for ordering in ORDERINGS if {ordering.better, ordering.worse} <= figures.keys()]
    return [ordering for ordering in made if ordering.column in figures[ordering.better]]


def _row(ordering: Ordering, figures: dict[str, dict[str, Tensor]]) -> list[str]:
    mean, error, verdict = judge(ordering, figures)
    return [ordering.claim, ordering.source, _COLUMNS[ordering.column], f"{mean:+.2f} ± {error:.2f}", verdict]
