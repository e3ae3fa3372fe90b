"""A fit of Gaussians run in the host: its settings, its progress, and what it looks like."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import comfy.model_management
import comfy.utils
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...stereo_core.cameras import Orbit
from ...stereo_core.image_matrix import contact_sheet
from ...stereo_core.parallel import operation_threads
from ...stereo_core.splat_fitting import Progress, Task, Wait, fit
from ...stereo_core.splat_options import Emphasis, FitOptions, Motion
from ...stereo_core.splat_scene import SplatScene
from ...stereo_core.splatting import render
from ..host import compute_device
from .colors import Color

_PREVIEWS = 50  # of a fit
_SHOWN = (4, 6)  # views and frames on the sheet, at most
_GAP = 4
_LARGEST = 4096  # pixels of a side of what the editor is shown
# Pixels of a picture up to which operations are too short to be shared out: on two cores with other work an iteration
# took several times as long in two threads as in one.
_IN_ONE_THREAD = 2**14


@dataclass(frozen=True, slots=True)
class ReconstructionOptions:
    """What is rarely set of a fit.

    Attributes:
        motion: how a Gaussian's motion is told.
        weights: how much pictures away from the reference view and frame teach.
        warm_up: the share of all iterations that sees the reference frame alone.
        held_out: every so many-th picture is not fitted, and measures the fit; 0 holds none out.
        fov: degrees that the smaller side of a picture spans.
        background: of the pictures; ``None`` finds it along their edges.
    """

    motion: Motion = Motion.CURVE
    weights: Emphasis = Emphasis.REFERENCE
    warm_up: float = 0.2
    held_out: int = 5
    fov: float = Orbit().fov
    background: Color | None = None

    def of_fit(self, orbit: Orbit, gaussians: int, iterations: int, seed: int) -> FitOptions:
        """Return the options of a fit whose reference view is the one nearest to azimuth 0."""
        return FitOptions(
            gaussians=gaussians,
            iterations=iterations,
            warm_up=min(max(1, round(self.warm_up * iterations)), iterations),
            motion=self.motion,
            emphasis=self.weights,
            reference=(orbit.frontmost(), 0),
            held_out=self.held_out,
            seed=seed,
        )


def run_fit(
    pictures: Tensor,
    orbit: Orbit,
    options: FitOptions,
    background: Color,
    masks: Tensor | None,
    tell: Callable[[str], None],
) -> SplatScene:
    """Fit, with a picture of the reference view as it comes along; stops within an iteration if the user interrupts.

    Args:
        pictures: (V, F, 3, H, W) uint8.
        orbit: their cameras.
        options: of the fit.
        background: of the pictures.
        masks: (V, F, H, W), or none.
        tell: is given a line now and then.
    """
    progress = comfy.utils.ProgressBar(options.iterations)
    waiting: dict[Task, comfy.utils.ProgressBar] = {}
    every = max(1, options.iterations // _PREVIEWS)

    def on_step(step: Progress) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        shown = None
        if step.step % every == 0:
            shown = ("JPEG", _as_picture(step.picture()), None)
            stage = "motion" if step.step > options.warm_up and pictures.shape[1] > 1 else "reference frame"
            tell(f"{stage}, iteration {step.step} of {step.steps}: {step.psnr:.1f} dB")
        progress.update_absolute(step.step, step.steps, shown)

    def on_wait(wait: Wait) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        if wait.done == 0:
            waiting[wait.task] = comfy.utils.ProgressBar(wait.steps)
        waiting[wait.task].update_absolute(wait.done + 1)
        if wait.done % max(1, wait.steps // _PREVIEWS) == 0:
            tell(f"{wait.task.value}, {wait.done + 1} of {wait.steps}")

    with _threads_for(pictures):
        return fit(pictures, orbit, options, background, masks, on_step, compute_device(), on_wait)


def comparison(scene: SplatScene, pictures: Tensor, covers: Tensor | None = None) -> Tensor:
    """Return a sheet (1, 3, H', W') of some views and frames: a row of what was given, below it what was made of it.

    Args:
        scene: that was fitted.
        pictures: (V, F, 3, H, W) uint8, which it was fitted to.
        covers: (V, F, H, W) what the object covers in them, the rest being the scene's background; or none.
    """
    views, frames, _, height, width = pictures.shape
    rows, columns = (_spread(count, most) for count, most in zip((views, frames), _SHOWN, strict=True))
    there, behind = scene.to(compute_device()), torch.tensor(scene.background)[:, None, None]
    sheet = []
    for view in rows:
        camera = scene.orbit.camera(scene.orbit.azimuths[view], width, height)
        with _threads_for(pictures):
            made = [render(there, camera, frame / max(frames - 1, 1)).color.clamp(0, 1).cpu() for frame in columns]
        given = pictures[view, columns].float().cpu() / 255
        if covers is not None:
            given = torch.lerp(behind, given, covers[view, columns][:, None])
        sheet += [given, torch.stack(made)]
    return contact_sheet(sheet, _GAP)


def show_last(sheet: Tensor) -> None:
    """Let a sheet (1, 3, H, W) follow the pictures that came along.

    The classic canvas goes on showing the last of them, and not what the node gives, until the node runs again.
    """
    most = _LARGEST if max(sheet.shape[-2:]) > _LARGEST else None  # the host enlarges what is smaller
    comfy.utils.ProgressBar(1).update_absolute(1, 1, ("JPEG", _as_picture(sheet[0]), most))


def _threads_for(pictures: Tensor) -> AbstractContextManager[int]:
    small = pictures.shape[-2] * pictures.shape[-1] <= _IN_ONE_THREAD
    return operation_threads(1 if small else torch.get_num_threads())


def _spread(count: int, most: int) -> list[int]:
    """Up to so many indices, evenly from the first to the last."""
    shown = min(count, most)
    return [round(index * (count - 1) / max(shown - 1, 1)) for index in range(shown)]


def _as_picture(picture: Tensor) -> Image.Image:
    return Image.fromarray((picture * 255).round().byte().movedim(0, -1).cpu().numpy().astype(np.uint8))
