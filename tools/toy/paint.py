"""A stereo picture painted by the small model: the layout of a rendered scene, in any of its kinds."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tools.host.in_process import load_host
from tools.host.server import find_host

from . import weights
from .scenes import PALETTES, Pair, make_worlds, render_scenes
from .training import HELD_OUT

KINDS = tuple(palette.name for palette in PALETTES)
_STEPS, _GUIDANCE = 30, 2.5
_RENEWED = 0.8  # of the scene's picture; its layout stays, so that its depth fits


def run(kind: str, seed: int, output: Path, folder: Path | None = None, size: int = 128) -> dict[str, Path]:
    """Paint with the host loaded into this process, and save the pair, side by side and as an anaglyph.

    Args:
        kind: one of ``KINDS``.
        seed: of the layout and of the noise.
        output: the folder for the pictures.
        folder: of the weights; those that are shipped without it.

    Raises:
        ValueError: an unknown kind.
        FileNotFoundError: there are no weights.
    """
    if kind not in KINDS:
        raise ValueError(f"There is no kind of scene {kind}. Name one of: {', '.join(KINDS)}.")
    folder = folder or weights.FOLDER
    weights.expect(folder)
    cuda = torch.cuda.is_available()
    with tempfile.TemporaryDirectory() as base, torch.inference_mode():
        host = load_host(find_host(), Path(base), cpu=not cuda)
        views = paint(host, weights.load(folder), kind, layout(kind, seed, size), seed)
        return save(host, views, output, f"painted_{kind}_{seed}")


def layout(kind: str, seed: int, size: int) -> Pair:
    """The ``seed``-th held-out scene of the kind."""
    label = KINDS.index(kind)
    fitting = (number for number in itertools.count(HELD_OUT) if int(make_worlds([number]).label) == label)
    return render_scenes([next(itertools.islice(fitting, seed, None))], size)


def paint(host: dict[str, Any], toy: weights.Toy, kind: str, pair: Pair, seed: int, steps: int = _STEPS) -> Tensor:
    """Both views (2, H, W, 3) of a new picture on the layout of ``pair``, by the host's and this pack's nodes."""
    latent = host["VAEEncode"]().encode(toy.vae, pair.left.movedim(1, -1).contiguous())[0]
    nearest = pair.disparity.max()
    depth = (pair.disparity / nearest).expand(-1, 3, -1, -1).movedim(1, -1).contiguous()
    widgets = {"seed": seed, "steps": steps, "cfg": _GUIDANCE, "sampler_name": "euler", "scheduler": "normal"}
    widgets |= {"denoise": _RENEWED, "max_disparity": float(100 * nearest / depth.shape[2]), "convergence": 0.0}
    widgets |= {"exponent": 1.0, "attention": "left_kv", "preset": "custom"}
    widgets |= {"shift_at": 0.2, "fill": "left", "mask_every": 0.2, "shift_both": False}
    words = toy.conditioning(KINDS.index(kind)), toy.conditioning()
    stereo = host["Stereo_StereoKSampler"].execute(toy.model, *words, latent, depth, **widgets).args[0]
    return host["VAEDecode"]().decode(toy.vae, stereo)[0]


def save(host: dict[str, Any], views: Tensor, output: Path, name: str) -> dict[str, Path]:
    from PIL import Image

    output.mkdir(parents=True, exist_ok=True)
    files = {}
    for title, form in (("side by side", "full_sbs"), ("anaglyph", "anaglyph_dubois")):
        picture = host["Stereo_SBSCombine"].execute(views, form, False).args[0][0]
        files[title] = output / f"{name}_{form}.png"
        Image.fromarray((picture.clamp(0, 1) * 255).round().byte().cpu().numpy()).save(files[title])
    return files
