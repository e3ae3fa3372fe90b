"""The file that a trained rod is saved to, its card and its sheet of samples."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tools.benchmarks.table import machine
from tools.setup.home import ROOT
from tools.toy.evaluation import paint, write_sheet
from tools.toy.scenes import PALETTES
from tools.toy.weights import Toy

from .network import as_host_model, decode
from .training import Trainer

FOLDER = ROOT / "tools" / "rod" / "weights"
CLIPS = ROOT / "tools" / "rod" / "clips"
FILE, CARD, SHEET = "rod.safetensors", "README.md", "samples.png"
_AGAIN = "Export it again: python tools/rod/train.py --state FILE --export FOLDER"
_ACROSS, _ENLARGED = 8, 6  # pictures in a row of the sheet, pixels of it to a column
_CURVE = 12  # rows of the card's table


class Rod(NamedTuple):
    """A trained rod in the host, and the latents that it was made for."""

    toy: Toy
    columns: int
    frames: int


def export(trainer: Trainer, folder: Path, command: str) -> None:
    """Save the running mean of the weights in half precision, and the card."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    with trainer.painter.with_mean():
        half = {
            name: value.detach().half().contiguous() for name, value in trainer.painter.network.state_dict().items()
        }
    grid = {name: str(getattr(trainer.settings, name)) for name in ("columns", "frames")}
    save_file(half, folder / FILE, metadata={**grid, "kinds": ",".join(palette.name for palette in PALETTES)})
    (folder / CARD).write_text(_card(trainer, folder, command), encoding="utf-8")


def draw_sheet(trainer: Trainer, folder: Path, samples: int = 4, steps: int = 40) -> None:
    """Draw samples of each kind in turn, and beneath them two rows of held-out scenes."""
    settings = trainer.settings
    labels = torch.arange(len(PALETTES)).repeat_interleave(samples)
    rows = settings.frames * settings.columns
    made = decode(paint(trainer.painter, trainer.levels, labels, rows, settings.columns, steps)).clamp(0, 1)
    shown = [made]
    if trainer.unseen is not None and len(trainer.unseen.left) >= 2 * _ACROSS:
        shown.append(trainer.unseen.left[: 2 * _ACROSS])
    write_sheet(folder / SHEET, F.interpolate(torch.cat(shown), scale_factor=_ENLARGED, mode="nearest"), _ACROSS)


def load(folder: Path = FOLDER) -> Rod:
    """Load the weights into the host, which is imported already.

    Raises:
        FileNotFoundError: there are none in the folder.
        ValueError: the file is damaged, or holds something else.
    """
    tensors, grid = read(folder)
    unet = {name.removeprefix("unet."): value for name, value in tensors.items() if name.startswith("unet.")}
    return Rod(as_host_model(unet, tensors["conditions"]), int(grid["columns"]), int(grid["frames"]))


def read(folder: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the network's weights in single precision, and what the file says about itself.

    Raises:
        FileNotFoundError: there are none in the folder.
        ValueError: the file is damaged, or holds something else.
    """
    from safetensors import SafetensorError, safe_open

    file = folder / FILE
    if not file.is_file():
        raise FileNotFoundError(
            f"There are no weights of the rod in {folder}. Train them, for hours on a CPU: "
            "python tools/rod/train.py --state FILE --export FOLDER"
        )
    try:
        with safe_open(file, "pt") as opened:
            tensors = {name: opened.get_tensor(name).float() for name in opened.keys()}
            grid = opened.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{file} is cut short, or no file of weights: {error}. {_AGAIN}") from error
    if "conditions" not in tensors or not {"columns", "frames"} <= grid.keys():
        raise ValueError(f"{file} holds no weights of the rod. {_AGAIN}")
    return tensors, grid


def checksum(folder: Path) -> str:
    """SHA-256 of the weights in a folder."""
    return hashlib.sha256((folder / FILE).read_bytes()).hexdigest()


def _card(trainer: Trainer, folder: Path, command: str) -> str:
    settings, phase, file = trainer.settings, trainer.painter, folder / FILE
    what = f"{settings.columns}x{settings.columns} latents"
    if settings.frames > 1:
        what = f"clips of {settings.frames} frames of {what}, below each other,"
    measured = list(zip(phase.losses, phase.held_out, strict=True))
    shown = measured[:: max(1, -(-len(measured) // _CURVE))]
    shown += measured[-1:] if measured and shown[-1] != measured[-1] else []
    rows = [f"| {step} | {step * settings.batch} | {loss:.4f} | {unseen:.4f} |" for (step, loss), (_, unseen) in shown]
    if not measured or measured[-1][0][0] != phase.step:  # paused between two reports
        rows.append(f"| {phase.step} | {trainer.seen} | | {trainer.held_out_loss():.4f} |")
    curve = "\n".join(rows)
    begun = f"begun from the weights of SHA-256 {settings.begun_from}" if settings.begun_from else "from scratch"
    weights = sum(p.numel() for p in phase.trained) / 1e6
    return f"""# The measuring rod

It paints {what} of simple scenes, of {len(PALETTES)} kinds
({", ".join(palette.name for palette in PALETTES)}). It is there to measure, not to make art.

Made by `{command}` on {machine("cpu")}: {phase.step} steps of {settings.batch} in {phase.seconds / 60:.0f} minutes,
{begun}.

Data: {settings.scenes} scenes of `tools/toy/scenes`, seeds {settings.seed * 10**7} and up, both views of each,
rendered by the same command; nothing else. Scenes from seed 10^12 on were never trained on.

| step | pictures seen | training loss | held-out loss |
|---:|---:|---:|---:|
{curve}

Samples: `{SHEET}`, four of each kind in turn at guidance 2.5; the last two rows are held-out scenes, not samples.

| file | weights | size | SHA-256 |
|---|---:|---:|---|
| `{FILE}` | {weights:.1f} M | {file.stat().st_size / 1e6:.1f} MB | {checksum(folder)} |

A U-Net of ComfyUI's class, EPS, half precision; its latent is the colours, less 0.5, by 0.25, and their mean.
`tools.rod.weights.load` makes the host's MODEL of it; no loader of ComfyUI knows its shape.
"""
