"""Image matrices of Diffusion², made with two models of one's own by the host's and the pack's nodes, and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from stereo_core.cameras import Orbit
from stereo_core.image_matrix import full_turn
from stereo_core.metrics import psnr
from stereo_core.score_composition import Evaluations, count_evaluations
from stereo_core.splat_fitting import fit
from stereo_core.splat_matrix import target_matrix
from stereo_core.splat_options import FitOptions
from stereo_core.splat_scene import WHITE
from stereo_core.splatting import render
from tools.host.in_process import pack_module

from .clips_measures import warping_errors
from .own_models import load_svd

_FIRST, _LAST, _MULTIVIEW = 1.5, 3.0, 2.5  # guidance over a row's frames, and of the columns: section A.5
_COMPOSED: dict[str, Any] = {
    "preset": "custom",
    "weight": 0.5,
    "weight_schedule": "constant",
    "weight_end": 0.0,
    "view_weights": "uniform",
    "repeat_until": 0.1,
    "repeat_noise": "paper",
    "video_alone_from": 1.0,
}
ROWS: dict[str, dict[str, Any]] = {
    "video model alone": {"weight": 0.0, "repeat_until": 0.0},
    "weight 0.25": {"weight": 0.25},
    "weight 0.5, the paper's": {},
    "weight 0.75": {"weight": 0.75},
    "multi-view model alone": {"weight": 1.0, "repeat_until": 0.0},
    "weight 0.5, nothing repeated": {"repeat_until": 0.0},
    "weight 0.5, a fifth repeated": {"repeat_until": 0.2},
    "weight 0.5, exact noise": {"repeat_noise": "exact"},
    "the published code's": {"preset": "code"},
}
"""Widgets of Score Composition Options besides the paper's."""


@dataclass(frozen=True)
class MatrixSettings:
    """Of every matrix; what the figures depend on besides the files.

    Attributes:
        size: of a picture, both sides.
        views, frames, steps, seed: of the matrix.
        elevation: of the camera, in degrees.
        judged: size at which pictures are compared and Gaussians fitted.
        gaussians, iterations: of that fit; no iterations, no fit.
    """

    size: int
    views: int
    frames: int
    steps: int
    seed: int
    elevation: float
    judged: int
    gaussians: int
    iterations: int


@dataclass(frozen=True)
class Model:
    """What Image Only Checkpoint Loader gives."""

    model: Any
    vision: Any
    vae: Any


def load_models(files: dict[str, Path]) -> dict[str, Model]:
    """Load checkpoints, by the option that names them, from wherever they lie.

    Raises:
        ValueError: the host cannot load one, or it is of another kind, such as both in each other's place.
    """
    return {option: Model(*load_svd(f"--{option}", file, option == "multiview")) for option, file in files.items()}


def recipe() -> dict[str, dict[str, Any]]:
    """All that the rows are set to, by their names: widgets of Score Composition Options."""
    return {name: {**_COMPOSED, **widgets} for name, widgets in ROWS.items()}


class Matrices:
    """Makes all matrices of one picture after another."""

    def __init__(self, host: dict[str, Any], settings: MatrixSettings, models: dict[str, Model]) -> None:
        from comfy_extras.nodes_custom_sampler import BasicScheduler

        self._host, self._settings = host, settings
        self._video, self._multiview = models["video"], models["multiview"]
        self._sigmas = BasicScheduler.execute(self._video.model, "karras", settings.steps, 1.0).args[0]

    def condition(self, picture: Tensor) -> Any:
        """Make the orbit and the video of a picture (1, S, S, 3), and of both the conditioning of its matrix."""
        from comfy_extras.nodes_video_model import SVD_img2vid_Conditioning, VideoLinearCFGGuidance

        one, video, orbit = self._settings, self._video, self._multiview
        angles = ", ".join(f"{angle:.6g}" for angle in full_turn(one.views))
        node = self._host["Stereo_OrbitConditioning"].execute
        size = (one.size, one.size)
        around = node(orbit.vision, picture, orbit.vae, *size, one.views, 360 / one.views, one.elevation, angles).args
        views = self._sampled(orbit, orbit.model, _MULTIVIEW, around)
        node = SVD_img2vid_Conditioning().encode
        along = node(video.vision, picture, video.vae, *size, one.frames, 127, 25, 0.01)
        frames = self._sampled(video, VideoLinearCFGGuidance().patch(video.model, _FIRST)[0], _LAST, along)
        both = (video.vision, video.vae, orbit.vision, orbit.vae)
        guidance = (_FIRST, _LAST, _MULTIVIEW)
        made = self._host["Stereo_ImageMatrixConditioning"].execute(
            views, frames, *both, 0.02, one.seed, *guidance, around[0], along[0], picture
        )
        return made.args[0]

    def sample(self, conditioning: Any, row: str) -> Tensor:
        """Make a row's matrix, a latent (V, F, C, H, W)."""
        return self._composed(conditioning, self._options(row)).unflatten(
            0, (self._settings.views, self._settings.frames)
        )

    def evaluations(self, row: str) -> Evaluations:
        """How many rows and columns it takes, each with and without the prompt."""
        one = self._settings
        return count_evaluations(one.views, one.frames, one.steps, self._options(row))

    def decode(self, matrix: Tensor) -> Tensor:
        """The pictures (V, F, 3, S, S) uint8 of a latent matrix, at the size at which they are judged."""
        size = (self._settings.judged, self._settings.judged)
        rows = []
        for latents in matrix:
            pictures = self._video.vae.decode(latents).movedim(-1, 1).float().cpu()
            pictures = F.interpolate(pictures, size, mode="bicubic", antialias=True).clamp(0, 1)
            rows.append((pictures * 255).round().byte())
        return torch.stack(rows)

    def estimates_apart(self, conditioning: Any, matrix: Tensor, sigma: float) -> float:
        """How far the two models disagree about a finished matrix to which noise is added again.

        Both denoise the same noisy matrix, one its rows and the other its columns.

        Args:
            conditioning: the matrix's.
            matrix: (V, F, C, H, W).
            sigma: of the noise.

        Returns:
            The root mean square of the difference of their estimates, in percent of the matrix's std.
        """
        sampling = pack_module("nodes.matrix.sampling")
        clean = self._video.model.get_model_object("latent_format").process_in(matrix.float())
        found: list[float] = []

        def probe(start: Tensor, _: Tensor, rows: Any, columns: Any, *__: Any) -> Tensor:
            generator = torch.Generator().manual_seed(self._settings.seed)
            level = start.new_tensor(sigma)
            noisy = clean.to(start) + level * torch.randn(clean.shape, generator=generator).to(start)
            by_row = torch.cat([rows(noisy[[view]], level, [view]) for view in range(len(noisy))])
            across = noisy.movedim(1, 0).contiguous()
            by_column = torch.cat([columns(across[[frame]], level, [frame]) for frame in range(len(across))])
            found.append(float(100 * (by_row - by_column.movedim(0, 1)).square().mean().sqrt() / clean.std()))
            return start

        # In the place of the steps, so that the host prepares both models as for a run.
        with patch.object(sampling, "compose", probe):
            self._composed(conditioning, self._options("weight 0.5, the paper's"))
        return found[0]

    def splats(self, pictures: Tensor, azimuths: Sequence[float]) -> dict[str, float]:
        """Fit Gaussians to the pictures (V, F, 3, S, S) and see what they make of the cells that were held out."""
        one = self._settings
        # The warm-up's share is the default's.
        usual = FitOptions()
        warm_up = max(1, one.iterations * usual.warm_up // usual.iterations)
        options = replace(usual, gaussians=one.gaussians, iterations=one.iterations, warm_up=warm_up, seed=one.seed)
        return held_out_psnr(pictures, Orbit(tuple(azimuths), one.elevation), options)

    def _options(self, row: str) -> Any:
        return self._host["Stereo_ScoreCompositionOptions"].execute(**recipe()[row]).args[0]

    def _composed(self, conditioning: Any, options: Any) -> Tensor:
        node, models = self._host["Stereo_ScoreCompositionSampler"], (self._video.model, self._multiview.model)
        inputs = {"chunk": 0, "keep_video": False, "options": options}
        return node.execute(*models, conditioning, self._sigmas, self._settings.seed, **inputs).args[0]["samples"]

    def _sampled(self, by: Model, model: Any, cfg: float, conditions: Sequence[Any]) -> Tensor:
        import comfy.samplers
        from comfy_extras.nodes_custom_sampler import SamplerCustom

        positive, negative, latent = conditions
        euler, seed = comfy.samplers.sampler_object("euler"), self._settings.seed
        out = SamplerCustom.execute(model, True, seed, cfg, positive, negative, euler, self._sigmas, latent).args[0]
        return by.vae.decode(out["samples"]).float().clamp(0, 1).cpu()


def agreement(pictures: Tensor) -> dict[str, float]:
    """The warping error of the rows, over time, and of the columns, around the object: their means, of 255.

    Args:
        pictures: (V, F, 3, S, S) uint8.
    """
    means = {}
    for name, strips in (("rows", pictures), ("columns", pictures.movedim(1, 0))):
        errors = [
            warping_errors(strip.float() / 255, torch.zeros_like(strip[:, :1], dtype=torch.bool)) for strip in strips
        ]
        means[name] = float(torch.stack([whole for whole, _ in errors]).nanmean())
    return means


def held_out_psnr(pictures: Tensor, orbit: Orbit, options: FitOptions) -> dict[str, float]:
    """Fit Gaussians to most cells of (V, F, 3, S, S), uint8 on white, and compare them with the others.

    Returns:
        Means in dB, by "held out" and "fitted"; what no cell has is left out.

    Raises:
        ValueError: pictures that cannot be those of one object on white.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    scene = fit(pictures, orbit, options, device=device)
    target = target_matrix(pictures, orbit, options, WHITE, None)
    held = target.held_out(options.held_out)
    found: dict[str, list[Tensor]] = {"held out": [], "fitted": []}
    for cell in target.cells:
        drawn = render(scene, target.camera(cell), target.time(cell)).color
        found["held out" if cell in held else "fitted"].append(psnr(drawn[None], target.image(cell)[None]))
    return {name: float(torch.cat(values).mean()) for name, values in found.items() if values}
