"""NullTextOptimization: the unconditional embeddings with which guided sampling stays on an inverted trajectory."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from comfy.model_sampling import CONST
from comfy_api.latest import io, ui
from torch import Tensor

from ..stereo_core.noise_forms import NoiseForm
from ..stereo_core.null_text import NullText, NullTextSettings, StepLoss, optimize_null_text
from ..stereo_core.schedules import step_ranges
from ..stereo_core.trajectory import Trajectory
from .host import show_text
from .sampling.gradients import differentiable, explain_missing_gradients, normal_tensors
from .sampling.null_text_model import embedding_of, guided_model
from .widgets.sockets import TRAJECTORY

_DEFAULTS = NullTextSettings()


class NullTextOptimization(io.ComfyNode):
    """Optimise one unconditional embedding for each step of an inverted trajectory."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_NullTextOptimization",
            display_name="Null-Text Optimization",
            category="stereo/sampling",
            description="Finds the negative embeddings with which guided sampling gives back an inverted picture.",
            search_aliases=["null-text inversion", "null text", "real image editing", "prompt-to-prompt", "negative"],
            inputs=[
                io.Model.Input("model", tooltip="The model of the inversion. It is read a second time for gradients."),
                io.Conditioning.Input("positive", tooltip="The text of the inversion."),
                io.Conditioning.Input("negative", tooltip="Where to start from: the empty prompt as a rule."),
                TRAJECTORY.Input("trajectory", tooltip="From DDIM Inversion."),
                io.Float.Input(
                    "cfg",
                    default=7.5,
                    min=1.1,
                    max=100.0,
                    step=0.1,
                    tooltip="Guidance that the sampler will run with. The embeddings are right for this value alone.",
                ),
                io.Int.Input(
                    "inner_steps",
                    default=_DEFAULTS.inner_steps,
                    min=1,
                    max=1000,
                    tooltip="Optimiser steps at most for each sampling step.\nMore come nearer to the picture; slower.",
                ),
                io.Float.Input(
                    "learning_rate",
                    default=_DEFAULTS.learning_rate,
                    min=1e-5,
                    max=1.0,
                    step=1e-3,
                    round=False,
                    advanced=True,
                    tooltip="Of the optimiser (Adam) at the first sampling step; it falls to half over the schedule.",
                ),
                io.Float.Input(
                    "epsilon",
                    default=_DEFAULTS.epsilon,
                    min=0.0,
                    max=1.0,
                    step=1e-6,
                    round=False,
                    advanced=True,
                    tooltip="A step is left early when its loss is below this, which grows with the schedule, to 101\n"
                    "times at its end. 0 always runs all optimiser steps.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    display_name="negative",
                    tooltip="One entry for each step, each with its own part of the schedule. For any sampler with\n"
                    "the inversion's noise and sigmas and this cfg; euler and ddim follow the trajectory.",
                ),
                io.String.Output(display_name="losses", tooltip="For each step: the loss before and after."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        positive: list[Any],
        negative: list[Any],
        trajectory: Trajectory,
        cfg: float,
        inner_steps: int,
        learning_rate: float,
        epsilon: float,
    ) -> io.NodeOutput:
        _check(model, negative, trajectory)
        ranges = step_ranges(trajectory.sigmas, model.get_model_object("model_sampling").percent_to_sigma)
        optimization = _Optimization(
            negative[0][0], trajectory, NullTextSettings(inner_steps, learning_rate, epsilon), cls
        )
        with differentiable(model) as copy, explain_missing_gradients(model):
            optimization.run(copy, positive, negative, cfg)
        entries = [
            [embedding, {**negative[0][1], "start_percent": start, "end_percent": end}]
            for embedding, (start, end) in zip(optimization.found.embeddings, ranges, strict=True)
        ]
        text = "\n".join(_line(step, loss) for step, loss in enumerate(optimization.found.losses))
        return io.NodeOutput(entries, text, ui=ui.PreviewText(text))


class _Optimization(comfy.samplers.Sampler):
    """The optimisation where the host runs a sampler: with its conditioning, its guidance and its progress."""

    found: NullText

    def __init__(
        self, embedding: Tensor, trajectory: Trajectory, settings: NullTextSettings, node: type[io.ComfyNode]
    ) -> None:
        self.embedding = embedding
        self.trajectory = trajectory
        self.settings = settings
        self.node = node

    def run(self, model: Any, positive: list[Any], negative: list[Any], cfg: float) -> None:
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

    def sample(self, model_wrap, sigmas, extra_args, callback, _noise, latent_image, *_):
        steps = len(sigmas) - 1
        flow = isinstance(model_wrap.inner_model.model_sampling, CONST)

        def report(step: int, loss: StepLoss, state: Tensor) -> None:
            show_text(self.node, _line(step, loss))
            callback(step, state, state, steps)

        start = embedding_of(model_wrap.conds["negative"], self.embedding).to(latent_image)
        found = optimize_null_text(
            guided_model(model_wrap, extra_args),
            start,
            self.trajectory,
            NoiseForm.FLOW if flow else NoiseForm.VE,
            self.settings,
            report,
        )
        device = comfy.model_management.intermediate_device()
        self.found = found._replace(embeddings=tuple(embedding.to(device) for embedding in found.embeddings))
        return latent_image


def _line(step: int, loss: StepLoss) -> str:
    return f"step {step + 1}: loss {loss.start:.3e} to {loss.end:.3e} in {loss.inner_steps}"


def _check(model: Any, negative: list[Any], trajectory: Trajectory) -> None:
    form = model.get_model_object("latent_format")
    shape = trajectory.states[0].shape
    if shape[1] != form.latent_channels or len(shape) != form.latent_dimensions + 2:
        raise ValueError(
            f"trajectory: its states {tuple(shape)} do not fit this model of {form.latent_channels} channels. "
            "Use the model that the picture was inverted with."
        )
    if len(negative) != 1 or "start_percent" in negative[0][1] or negative[0][0] is None:
        raise ValueError(
            f"negative: expected one prompt for the whole schedule, got {len(negative)} entries"
            f"{' limited to a part of it' if any('start_percent' in entry[1] for entry in negative) else ''}. "
            "Connect a text encoder directly."
        )
