"""ScoreCompositionSampler: views by frames from a video model and a multi-view model."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.composition_weights import (
    PAPER,
    PUBLISHED_CODE,
    CompositionSettings,
    RepeatNoise,
    ViewWeights,
    WeightSchedule,
)
from .matrix.conditioning import MatrixConditioning
from .matrix.sampling import sample_matrix
from .widgets.sockets import MATRIX_CONDITIONING

_CUSTOM = "custom"
_PRESETS = {"paper": PAPER, "code": PUBLISHED_CODE}


class ScoreCompositionSampler(io.ComfyNode):
    """Sample an image matrix by Diffusion²'s score composition."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_ScoreCompositionSampler",
            display_name="Score Composition Sampler",
            category="stereo/multiview",
            description="Samples every view of every frame at once: a video model keeps the motion and a multi-view "
            "model the shape.",
            search_aliases=["Diffusion2", "Diffusion squared", "4D", "multi-view video", "SVD SV3D", "image matrix"],
            inputs=[
                io.Model.Input("video_model", tooltip="Denoises each view over time: SVD. It stays as it is."),
                io.Model.Input(
                    "multiview_model",
                    tooltip="Denoises each frame over the views: SV3D, or Shift-Coupled View Expert for two views.\n"
                    "It must share the video model's latent space, as SV3D and SVD do.",
                ),
                MATRIX_CONDITIONING.Input(
                    "conditioning", tooltip="Of every view and every frame, from Image Matrix Conditioning."
                ),
                io.Sigmas.Input(
                    "sigmas",
                    tooltip="Noise levels, falling. The paper's: BasicScheduler with the video model, karras, 50 steps "
                    "(700 to 0.002, rho 7).",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**64 - 1,
                    control_after_generate=True,
                    tooltip="Seed of the noise of the whole matrix and of its repeated steps.",
                ),
                io.Combo.Input(
                    "preset",
                    options=[_CUSTOM, *_PRESETS],
                    default=_CUSTOM,
                    tooltip="custom: the settings below. paper and code: Diffusion²'s, as printed and as published,\n"
                    "in place of all settings below but chunk.",
                ),
                io.Float.Input(
                    "weight",
                    default=PAPER.weight,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Share of the multi-view model, 0 to 1; the video model has the rest. The paper's 0.5.\n"
                    "0 is the video model alone, 1 the multi-view model alone.",
                ),
                io.Combo.Input(
                    "weight_schedule",
                    options=WeightSchedule,
                    default=PAPER.schedule.value,
                    advanced=True,
                    tooltip="How weight goes over the steps. constant: the paper's.\nThe others go from weight to "
                    "weight_end: evenly, along a cosine, or in a short fall after the middle (logistic).",
                ),
                io.Float.Input(
                    "weight_end",
                    default=PAPER.weight_end,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="The weight of the last step, 0 to 1, where weight_schedule is not constant.",
                ),
                io.Combo.Input(
                    "view_weights",
                    options=ViewWeights,
                    default=PAPER.view_weights.value,
                    advanced=True,
                    tooltip="uniform: every view alike, the paper's.\ncode: the published code's, front and back lean "
                    "on the video model, the sides on the multi-view model.",
                ),
                io.Float.Input(
                    "repeat_until",
                    default=PAPER.repeat_until,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Share of the steps, the first ones, that are taken twice, so that the two models agree.\n"
                    "0 to 1; the paper takes 0.1, 5 of 50. Each costs a step more.",
                ),
                io.Combo.Input(
                    "repeat_noise",
                    options=RepeatNoise,
                    default=PAPER.repeat_noise.value,
                    advanced=True,
                    tooltip="Noise before a repeat. paper: the difference of the noise levels, which lowers variance.\n"
                    "exact: as much as the level lost, which hardly lowers the conflict.",
                ),
                io.Float.Input(
                    "video_alone_from",
                    default=PAPER.video_alone_from,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="Share of the steps after which the video model works alone, 0 to 1; 1 is never.",
                ),
                io.Int.Input(
                    "chunk",
                    default=0,
                    min=0,
                    max=4096,
                    advanced=True,
                    tooltip="Views, or frames, in one evaluation: 1 needs least memory, 0 takes what fits.\n"
                    "Changes nothing but speed and memory.",
                ),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="matrix",
                    tooltip="All frames of the first view, then of the second, and so on; for Image Matrix View.",
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        video_model: ModelPatcher,
        multiview_model: ModelPatcher,
        conditioning: MatrixConditioning,
        sigmas: Tensor,
        seed: int,
        preset: str,
        weight: float,
        weight_schedule: str,
        weight_end: float,
        view_weights: str,
        repeat_until: float,
        repeat_noise: str,
        video_alone_from: float,
        chunk: int,
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
        settings = custom if preset == _CUSTOM else _PRESETS[preset]
        matrix = sample_matrix(video_model, multiview_model, conditioning, sigmas, settings, seed, chunk)
        return io.NodeOutput({"samples": matrix.flatten(0, 1), "stereo_matrix": tuple(matrix.shape[:2])})
