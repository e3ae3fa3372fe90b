"""ScoreCompositionOptions: how two models are composed, for those who want it otherwise."""

from __future__ import annotations

from comfy_api.latest import io

from ...stereo_core.composition_weights import (
    PAPER,
    PUBLISHED_CODE,
    CompositionSettings,
    RepeatNoise,
    ViewWeights,
    WeightSchedule,
)
from ..widgets.sockets import COMPOSITION_OPTIONS

_CUSTOM = "custom"
_PRESETS = {"paper": PAPER, "code": PUBLISHED_CODE}


class ScoreCompositionOptions(io.ComfyNode):
    """Set how the two models of score composition share the work."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_ScoreCompositionOptions",
            display_name="Score Composition Options",
            category="stereo/multiview",
            description="Options of Score Composition Sampler: Diffusion²'s published settings, or your own.",
            search_aliases=["Diffusion2", "Diffusion squared", "4D", "multi-view video"],
            inputs=[
                io.Combo.Input(
                    "preset",
                    options=[_CUSTOM, *_PRESETS],
                    default=_CUSTOM,
                    tooltip="custom: the settings below. paper, code: those of Diffusion²'s paper or of its published\n"
                    "code, in place of all settings below.",
                ),
                io.Float.Input(
                    "weight",
                    default=PAPER.weight,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Weight of the multi-view model, 0 to 1; the video model has the rest. Diffusion²: 0.5.\n"
                    "0 is the video model alone, 1 the multi-view model alone.",
                ),
                io.Combo.Input(
                    "weight_schedule",
                    options=WeightSchedule,
                    default=PAPER.schedule.value,
                    tooltip="How weight changes over the steps. constant: not at all, as in Diffusion².\n"
                    "Others go from weight to weight_end: evenly, along a cosine, or fast after the middle (logistic).",
                ),
                io.Float.Input(
                    "weight_end",
                    default=PAPER.weight_end,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Weight at the last step, 0 to 1, unless weight_schedule is constant.",
                ),
                io.Combo.Input(
                    "view_weights",
                    options=ViewWeights,
                    default=PAPER.view_weights.value,
                    tooltip="uniform: the same for every view, as in Diffusion²'s paper.\ncode: as in its published "
                    "code, azimuths near 0 and 180 rely on the video model,\nthe sides on the multi-view model.",
                ),
                io.Float.Input(
                    "repeat_until",
                    default=PAPER.repeat_until,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Fraction of the steps, the first ones, that are taken twice, so that the models agree;\n"
                    "0 to 1. Diffusion² takes 0.1, 5 of 50. Each costs one step more.",
                ),
                io.Combo.Input(
                    "repeat_noise",
                    options=RepeatNoise,
                    default=PAPER.repeat_noise.value,
                    tooltip="Noise before a repeat. paper: the difference of the noise levels, which lowers variance.\n"
                    "exact: as much noise as the step removed, which hardly reduces the conflict.",
                ),
                io.Float.Input(
                    "video_alone_from",
                    default=PAPER.video_alone_from,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Fraction of the steps after which the video model runs alone, 0 to 1; 1 is never.",
                ),
            ],
            outputs=[
                COMPOSITION_OPTIONS.Output(display_name="options", tooltip="For options of Score Composition Sampler.")
            ],
        )

    @classmethod
    def execute(
        cls,
        preset: str,
        weight: float,
        weight_schedule: str,
        weight_end: float,
        view_weights: str,
        repeat_until: float,
        repeat_noise: str,
        video_alone_from: float,
    ) -> io.NodeOutput:
        custom = CompositionSettings(
            weight,
            WeightSchedule(weight_schedule),
            weight_end,
            ViewWeights(view_weights),
            repeat_until,
            RepeatNoise(repeat_noise),
            video_alone_from,
        )
        return io.NodeOutput(custom if preset == _CUSTOM else _PRESETS[preset])
