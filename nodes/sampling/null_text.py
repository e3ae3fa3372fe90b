"""Null-text optimisation, run as a sampler of the host, which prepares conditions, guides and shows progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import comfy.model_management
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...stereo_core.null_text import NullText, NullTextSettings, StepLoss, optimize_null_text
from ...stereo_core.schedules import step_ranges
from ...stereo_core.trajectory import Trajectory
from ..host import noise_form
from .gradients import differentiable, explain_missing_gradients, normal_tensors
from .null_text_model import embedding_of, guided_model
from .prompts import expect_prompts

Conditioning = list[list[Any]]


class OptimizedNegative(NamedTuple):
    """What the optimisation found.

    Attributes:
        negative: CONDITIONING with an entry for each step, limited to its own part of the schedule.
        losses: one for each step.
    """

    negative: Conditioning
    losses: tuple[StepLoss, ...]


def optimize_negative(
    model: ModelPatcher,
    positive: Conditioning,
    negative: Conditioning,
    trajectory: Trajectory,
    cfg: float,
    settings: NullTextSettings,
    report: Callable[[int, StepLoss], None],
) -> OptimizedNegative:
    """Find the negative with which guided sampling stays on a trajectory.

    Args:
        model: the one that the picture was inverted with, never changed; its file is read again for gradients.
        positive: the conditioning of the inversion.
        negative: the conditioning to start from, one entry.
        trajectory: from the inversion, (B, C, H, W) or (B, C, T, H, W).
        cfg: guidance scale that the sampler will run with.
        settings: how long and how fast to optimise.
        report: called after each step with its number, from 0, and its loss.

    Raises:
        ValueError: a trajectory or conditioning of another model, a negative of several entries, or a model without
            gradients.
    """
    _check(model, positive, negative, trajectory)
    ranges = step_ranges(trajectory.sigmas, model.get_model_object("model_sampling").percent_to_sigma)
    optimization = _Optimization(negative[0][0], trajectory, settings, report)
    with differentiable(model) as copy, explain_missing_gradients(model):
        optimization.run(copy, positive, negative, cfg)
    entries = [
        [embedding, {**negative[0][1], "start_percent": start, "end_percent": end}]
        for embedding, (start, end) in zip(optimization.found.embeddings, ranges, strict=True)
    ]
    return OptimizedNegative(entries, optimization.found.losses)


class _Optimization(comfy.samplers.Sampler):
    """The optimisation in the place of a sampler.

    Attributes:
        found: the result, once the optimisation is done.
    """

    found: NullText

    def __init__(
        self,
        embedding: Tensor,
        trajectory: Trajectory,
        settings: NullTextSettings,
        report: Callable[[int, StepLoss], None],
    ) -> None:
        """Take ``embedding`` (1, tokens, width) to start from, and what ``optimize_negative`` takes."""
        self.embedding, self.trajectory, self.settings, self.report = embedding, trajectory, settings, report

    def run(self, model: ModelPatcher, positive: Conditioning, negative: Conditioning, cfg: float) -> None:
        """Optimise with a model through which gradients flow, and a guidance scale; the result is in ``found``."""
        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(normal_tensors(positive), normal_tensors(negative))
        guider.set_cfg(cfg)
        self.trajectory = Trajectory(self.trajectory.sigmas.clone(), normal_tensors(self.trajectory.states))
        picture = model.get_model_object("process_latent_out")(self.trajectory.states[-1])
        guider.sample(
            torch.zeros_like(picture),
            picture,
            self,
            self.trajectory.sigmas,
            callback=latent_preview.prepare_callback(model, len(self.trajectory.sigmas) - 1),
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
            seed=0,
        )

    def sample(
        self,
        model_wrap: comfy.samplers.CFGGuider,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Callable[[int, Tensor, Tensor, int], None],
        _noise: Tensor,
        latent_image: Tensor,
        *_: object,
    ) -> Tensor:
        """Optimise when one of the host's guiders calls.

        Args:
            model_wrap: the guider.
            sigmas: (N + 1,) noise levels, descending.
            extra_args: ``model_options`` and ``seed``.
            callback: called after each step with its number, x twice, and the number of steps.
            latent_image: (B, ...), the inverted picture, which is returned as it is.
        """
        steps = len(sigmas) - 1

        def report(step: int, loss: StepLoss, x: Tensor) -> None:
            self.report(step, loss)
            callback(step, x, x, steps)

        start = embedding_of(model_wrap.conds["negative"], self.embedding).to(latent_image)
        found = optimize_null_text(
            guided_model(model_wrap, extra_args),
            start,
            self.trajectory,
            noise_form(model_wrap.inner_model.model_sampling),
            self.settings,
            report,
        )
        device = comfy.model_management.intermediate_device()
        self.found = found._replace(embeddings=tuple(embedding.to(device) for embedding in found.embeddings))
        return latent_image


def _check(model: ModelPatcher, positive: Conditioning, negative: Conditioning, trajectory: Trajectory) -> None:
    form = model.get_model_object("latent_format")
    shape = trajectory.states[0].shape
    if shape[1] != form.latent_channels or len(shape) != form.latent_dimensions + 2:
        kinds = ["videos" if video else "pictures" for video in (len(shape) == 5, form.latent_dimensions == 3)]
        raise ValueError(
            f"trajectory: is of another model: its latents are of {kinds[0]} with {shape[1]} channels, and this "
            f"model's of {kinds[1]} with {form.latent_channels}. Use the model that the picture was inverted with."
        )
    expect_prompts(model, positive=positive, negative=negative)
    limited = any("start_percent" in entry[1] for entry in negative)
    if len(negative) != 1 or limited or negative[0][0] is None:
        raise ValueError(
            f"negative: expected one prompt for the whole schedule, got {len(negative)} "
            f"{'entry' if len(negative) == 1 else 'entries'}{' limited to a part of it' if limited else ''}. "
            "Connect a text encoder directly."
        )
