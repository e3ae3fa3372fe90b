"""NullTextOptimization: the unconditional embeddings with which guided sampling stays on an inverted trajectory."""

from __future__ import annotations

from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io, ui

from ..stereo_core.null_text import NullTextSettings, StepLoss
from ..stereo_core.trajectory import Trajectory
from .host import show_text
from .sampling.null_text import optimize_negative
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
                # what was inverted
                io.Model.Input("model", tooltip="The model of the inversion. It is loaded again for gradients."),
                io.Conditioning.Input("positive", tooltip="The text of the inversion."),
                io.Conditioning.Input("negative", tooltip="Where to start from, usually the empty prompt."),
                TRAJECTORY.Input("trajectory", tooltip="From DDIM Inversion."),
                # the optimisation
                io.Float.Input(
                    "cfg",
                    default=7.5,
                    min=1.1,
                    max=100.0,
                    step=0.1,
                    tooltip="Guidance that the sampler will run with. The embeddings are right for this value only.",
                ),
                io.Int.Input(
                    "inner_steps",
                    default=_DEFAULTS.inner_steps,
                    min=1,
                    max=1000,
                    tooltip="Most optimiser steps for each sampling step.\nMore: closer to the picture, and slower.",
                ),
                io.Float.Input(
                    "learning_rate",
                    default=_DEFAULTS.learning_rate,
                    min=1e-5,
                    max=1.0,
                    step=1e-3,
                    round=False,
                    advanced=True,
                    tooltip="Learning rate of Adam at the first sampling step; it falls to half over the schedule.",
                ),
                io.Float.Input(
                    "epsilon",
                    default=_DEFAULTS.epsilon,
                    min=0.0,
                    max=1.0,
                    step=1e-6,
                    round=False,
                    advanced=True,
                    tooltip="A step ends early when its loss falls below this, which grows over the schedule to 101\n"
                    "times as much. 0 always runs all optimiser steps.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    display_name="negative",
                    tooltip="An entry for each step, limited to its own part of the schedule. For any sampler with\n"
                    "the inversion's noise and sigmas, and this cfg; euler and ddim follow the trajectory.",
                ),
                io.String.Output(display_name="losses", tooltip="For each step: the loss before and after."),
            ],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls,
        # what was inverted
        model: ModelPatcher,
        positive: list[Any],
        negative: list[Any],
        trajectory: Trajectory,
        # the optimisation
        cfg: float,
        inner_steps: int,
        learning_rate: float,
        epsilon: float,
    ) -> io.NodeOutput:
        found = optimize_negative(
            model,
            positive,
            negative,
            trajectory,
            cfg,
            NullTextSettings(inner_steps, learning_rate, epsilon),
            lambda step, loss: show_text(cls, _line(step, loss)),
        )
        text = "\n".join(_line(step, loss) for step, loss in enumerate(found.losses))
        return io.NodeOutput(found.negative, text, ui=ui.PreviewText(text))


def _line(step: int, loss: StepLoss) -> str:
    return f"step {step + 1}: loss {loss.start:.3e} to {loss.end:.3e} in {loss.inner_steps}"
