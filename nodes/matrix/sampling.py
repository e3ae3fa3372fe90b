"""Samples an image matrix with two of the host's models, and shows progress."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import comfy.model_management
import comfy.sample
import comfy.utils
import latent_preview
import torch
from comfy.latent_formats import LatentFormat
from comfy.model_patcher import ModelPatcher
from einops import rearrange
from torch import Tensor
from tqdm.auto import tqdm

from ...stereo_core.composition_weights import CompositionSettings
from ...stereo_core.schedules import expect_schedule
from ...stereo_core.score_composition import compose, count_evaluations
from ...stereo_core.seeds import Stream, make_generator
from ..host import expect_memory
from .checks import expect_highest_noise, expect_models, expect_strips
from .conditioning import MatrixConditioning
from .strip_denoiser import StripDenoiser, Turns
from .view_expert import PairDenoiser, find_expert

# Matrices that are held at once: x, the noise, both models' estimates, their mean and the derivative.
_KEPT = 6


def sample_matrix(
    video: ModelPatcher,
    multiview: ModelPatcher,
    conditioning: MatrixConditioning,
    sigmas: Tensor,
    settings: CompositionSettings,
    seed: int,
    chunk: int = 0,
    keep_video: bool = False,
) -> Tensor:
    """Sample the whole matrix by score composition.

    Args:
        video: denoises rows, each one view over time; never changed.
        multiview: denoises columns, each one frame over the views; never changed. A view expert takes both rows at
            once.
        conditioning: of every strip.
        sigmas: (N + 1,) noise levels, descending.
        settings: weights and repeats.
        seed: of the noise, 0 to 2**64 - 1.
        chunk: strips in one evaluation; 0 for as many as fit into memory.
        keep_video: whether the reference view's row, the last, is the video that the columns are shown.

    Returns:
        (V, F, C, H, W) in the scale of the host's LATENT, on the device where the host keeps values between nodes.

    Raises:
        ValueError: models or strips that do not fit together, a schedule that does not descend from the models'
            highest noise, or a video to be kept where there is none, or no other view.
    """
    expert = find_expert(multiview)
    expect_schedule(sigmas)
    expect_models(video, multiview, expert is not None)
    views, frames = expect_strips(video, multiview, conditioning, expert is not None)
    latent_format = video.get_model_object("latent_format")
    cell = (latent_format.latent_channels, *conditioning.latent_size[1:])
    needed = _KEPT * views * frames * math.prod(cell) * torch.float32.itemsize
    expect_memory("Score Composition Sampler", f"{views} views of {frames} frames", needed, fewer="views and frames")
    known = _known(conditioning, latent_format) if keep_video else {}
    count = count_evaluations(views, frames, len(sigmas) - 1, settings, len(known))
    for name, model, strips in (("video_model", video, count.rows), ("multiview_model", multiview, count.columns)):
        if strips:
            expect_highest_noise(name, model, sigmas)
    watch = _Watch(video, count.rows + (count.columns if expert is None else count.columns // frames * views))
    turns = Turns()
    rows = StripDenoiser(video, conditioning.rows, cell, turns, watch.evaluated)
    strips = conditioning.rows if expert else conditioning.columns  # the expert takes columns as parts of the two rows
    columns = StripDenoiser(multiview, strips, cell, turns, watch.evaluated)
    by_columns = PairDenoiser(columns, expert, torch.Size((frames, *cell))) if expert else columns
    used = [model for model, strips in ((rows, count.rows), (columns, count.columns)) if strips]

    on_device = sigmas.to(device=video.load_device, dtype=torch.float32)

    def start() -> Tensor:
        noise = comfy.sample.prepare_noise(torch.empty(views * frames, *cell), seed)
        return used[0].start(noise.to(on_device), on_device).unflatten(0, (views, frames))

    def work() -> Tensor:
        at_once = (chunk, chunk) if chunk else (rows.fits(views), columns.fits(frames))
        generator = make_generator(seed, Stream.COMPOSITION)
        at_once = (at_once[0], frames if expert else at_once[1])  # the expert's pair of clips must not be cut
        report = watch.step if watch.shows else None
        here = {view: latents.to(on_device) for view, latents in known.items()}
        # The start has no name here, so that the first matrix is not kept in memory during the run.
        return compose(
            start(), on_device, rows, by_columns, settings, at_once, generator, report, conditioning.azimuths, here
        )

    try:
        matrix = _prepared(used, sigmas, seed, work)
    finally:
        watch.close()
    return latent_format.process_out(matrix.float()).to(
        device=comfy.model_management.intermediate_device(), dtype=comfy.model_management.intermediate_dtype()
    )


def _known(conditioning: MatrixConditioning, latent_format: LatentFormat) -> dict[int, Tensor]:
    """Return the reference view's row, (F, C, H, W) in the models' scale, by its number."""
    reference = len(conditioning.rows) - 1
    if not reference:
        raise ValueError("keep_video: the reference view is the only one, so nothing is left to sample. Turn it off.")
    return {reference: latent_format.process_in(conditioning.video_latents.float())}


def _prepared(models: Sequence[StripDenoiser], sigmas: Tensor, seed: int, work: Callable[[], Tensor]) -> Tensor:
    """Do ``work`` with all of ``models`` prepared."""
    if not models:
        return work()
    return models[0].prepared(sigmas, seed, lambda: _prepared(models[1:], sigmas, seed, work))


class _Watch:
    """Progress over all evaluations, and the matrix as a contact sheet after each step."""

    def __init__(self, model: ModelPatcher, evaluations: int) -> None:
        self._done, self._total = 0, evaluations
        self._progress = comfy.utils.ProgressBar(evaluations)
        self._bar = tqdm(total=evaluations, disable=not comfy.utils.PROGRESS_BAR_ENABLED)
        self._previewer = _rough_previewer(model)

    @property
    def shows(self) -> bool:
        """Whether the user sees previews."""
        return self._previewer is not None

    def evaluated(self, strips: int) -> None:
        """Count the evaluation of ``strips`` strips."""
        self._done += strips
        self._bar.update(strips)
        self._progress.update_absolute(self._done, self._total)

    def step(self, _: int, denoised: Tensor, __: Tensor) -> None:
        """Show the denoised matrix (V, F, C, H, W): views below each other, frames side by side."""
        sheet = rearrange(denoised, "v f c h w -> 1 c (v h) (f w)")
        preview = self._previewer.decode_latent_to_preview_image("JPEG", sheet)
        self._progress.update_absolute(self._done, self._total, preview)

    def close(self) -> None:
        """Close the bar on the console."""
        self._bar.close()


def _rough_previewer(model: ModelPatcher) -> latent_preview.Latent2RGBPreviewer | None:
    """Return a previewer that makes one pixel of each latent pixel, if the user wants previews at all.

    A network such as TAESD would decode a sheet of hundreds of latents into gigabytes, to be shown at 512 pixels.
    """
    space = model.get_model_object("latent_format")
    if space.latent_rgb_factors is None or latent_preview.get_previewer(model.load_device, space) is None:
        return None
    return latent_preview.Latent2RGBPreviewer(
        space.latent_rgb_factors, space.latent_rgb_factors_bias, space.latent_rgb_factors_reshape
    )
