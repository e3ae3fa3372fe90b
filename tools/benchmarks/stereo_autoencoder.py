"""Shifts of a real autoencoder's latent, by themselves: what each gives after decoding."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor

from stereo_core.geometry import StereoGeometry
from stereo_core.metrics import psnr
from stereo_core.rendering import render_view
from stereo_core.stereo_depth import StereoDepth
from stereo_core.view_shift import ShiftForm, ViewShift
from stereo_core.warping import forward_warp
from tools.host.in_process import load_host
from tools.host.server import find_host

from .scenes import STEREO_DATA, Scene, load_scenes
from .table import print_table

WEIGHTS = STEREO_DATA.parent / "weights" / "taef2"
SIZE, ROWS = 512, 256
GEOMETRY = StereoGeometry()


def submit(pool: Executor) -> Callable[[], None]:
    """Begin to measure; return what prints the table, where the weights lie beside the project."""
    found = pool.submit(autoencoder_rows) if WEIGHTS.is_dir() else None

    def show() -> None:
        print("### A real autoencoder\n")
        if found is None:
            print("Left out: the tiny autoencoder of FLUX.2 is not in data/weights/taef2 beside the project.\n")
            return
        print(
            "The tiny autoencoder of FLUX.2 (32 channels at 8 pixels a column; the host packs them to 128 at 16), "
            f"photographs of the pairs above, {SIZE}x{ROWS}, {GEOMETRY.max_disparity:g} % and convergence "
            f"{GEOMETRY.convergence:g}. No diffusion: the clean latent is shifted and decoded. PSNR in dB against the "
            "photograph rendered from its pixels, on what the left view shows and in holes.\n"
        )
        print_table(["shift", "pixels a column", "visible", "holes"], found.result())

    return show


def autoencoder_rows() -> list[list[str]]:
    """The table's rows, means of all photographs."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        load_host(find_host(), Path(folder))
        coder = TinyAutoencoder(WEIGHTS)
        for scene in load_scenes(SIZE):
            for name, figures in measure(coder, scene):
                found.setdefault(name, []).append(figures)
    return [[*name, *(f"{fmean(column):.2f}" for column in zip(*rest, strict=True))] for name, rest in found.items()]


class TinyAutoencoder:
    """Pictures (B, 3, H, W) in [0, 1] to latents of the model's 128 channels and back."""

    def __init__(self, folder: Path) -> None:
        from comfy.taesd.taesd import DecoderFlux2, EncoderFlux2

        self._encoder, self._decoder = EncoderFlux2(), DecoderFlux2()
        for part, name in ((self._encoder, "encoder"), (self._decoder, "decoder")):
            part.load_state_dict(torch.load(folder / f"taef2_{name}.pth", weights_only=True))

    def encode(self, picture: Tensor) -> Tensor:
        return self._encoder(picture)

    def decode(self, latent: Tensor) -> Tensor:
        return self._decoder(latent).clamp(0, 1)


def measure(coder: TinyAutoencoder, scene: Scene) -> Iterator[tuple[tuple[str, str], tuple[float, float]]]:
    """Shift one photograph's latent in every form, on both grids."""
    first = (SIZE - ROWS) // 2
    left, near = (values[..., first : first + ROWS, :] for values in (scene.left, scene.disparity))
    low, high = near.aminmax()
    depth = StereoDepth((near - low) / (high - low), GEOMETRY)
    truth, disparity = render_view(left, depth.disparity()).image, depth.disparity()
    visible = forward_warp(left, disparity).filled

    def figures(picture: Tensor) -> tuple[float, float]:
        return float(psnr(picture, truth, visible)), float(psnr(picture, truth, ~visible))

    packed = coder.encode(left)
    for pixels in (8, 16):
        latent = F.pixel_shuffle(packed, 2) if pixels == 8 else packed
        for form in ShiftForm:
            try:
                columns = depth.for_latent(latent.shape, form=form)
            except ValueError:  # nothing would move
                columns = torch.zeros_like(depth.for_latent(latent.shape))
            moved = ViewShift(columns, form).estimate(latent)
            yield (
                (form.value, f"{pixels}"),
                figures(coder.decode(F.pixel_unshuffle(moved, 2) if pixels == 8 else moved)),
            )
    again = render_view(coder.decode(packed), disparity).image
    yield ("in the picture", "1"), figures(coder.decode(coder.encode(again)))
    yield ("none: that rendering, encoded and decoded", ""), figures(coder.decode(coder.encode(truth)))
