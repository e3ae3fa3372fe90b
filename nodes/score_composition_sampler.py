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
from .matrix.latents import make_matrix_latent
from .matrix.sampling import sample_matrix
from .widgets.sockets import MATRIX_CONDITIONING

_CUSTOM = "custom"
_PRESETS = {"paper": PAPER, "code": PUBLISHED_CODE}


class ScoreCompositionSampler(io.ComfyNode):
    """Sample an image matrix by score composition (Diffusion²)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_ScoreCompositionSampler",
            display_name="Score Composition Sampler",
            category="stereo/multiview",
            description="Samples every view of every frame at once: a video model keeps the motion consistent, and a "
            "multi-view model the shape.",
            search_aliases=["Diffusion2", "Diffusion squared", "4D", "multi-view video", "SVD SV3D", "image matrix"],
            inputs=[
                # what to sample
                io.Model.Input("video_model", tooltip="Denoises each view over time: SVD. It is not changed."),
                io.Model.Input(
                    "multiview_model",
                    tooltip="Denoises each frame over the views: SV3D, or Shift-Coupled View Expert for two views.\n"
                    "It must share the video model's latent space, as SV3D and SVD do.",
                ),
                MATRIX_CONDITIONING.Input(
                    "conditioning", tooltip="From Image Matrix Conditioning or Stereo Clip Conditioning."
                ),
                io.Sigmas.Input(
                    "sigmas",
                    tooltip="Noise levels, descending from the models' highest. Diffusion² takes 50 steps of karras\n"
                    "from 700 to 0.002, rho 7: BasicScheduler with the video model.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**64 - 1,
                    control_after_generate=True,
                    tooltip="Seed of the noise of the whole matrix and of its repeated steps.",
                ),
                # how the models are composed
                io.Combo.Input(
                    "preset",
                    options=[_CUSTOM, *_PRESETS],
                    default=_CUSTOM,
                    tooltip="custom: the settings below. paper, code: those of Diffusion²'s paper or of its published\n"
                    "code, in place of all settings below except chunk.",
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
                    advanced=True,
                    tooltip="How weight changes over the steps. constant: not at all, as in Diffusion².\n"
                    "Others go from weight to weight_end: evenly, along a cosine, or fast after the middle (logistic).",
                ),
                io.Float.Input(
                    "weight_end",
                    default=PAPER.weight_end,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="Weight at the last step, 0 to 1, unless weight_schedule is constant.",
                ),
                io.Combo.Input(
                    "view_weights",
                    options=ViewWeights,
                    default=PAPER.view_weights.value,
                    advanced=True,
                    tooltip="uniform: the same for every view, as in Diffusion²'s paper.\ncode: as in its published "
                    "code, azimuths near 0 and 180 rely on the video model,\nthe sides on the multi-view model.",
                ),
                # repeated steps
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
                    advanced=True,
                    tooltip="Noise before a repeat. paper: the difference of the noise levels, which lowers variance.\n"
                    "exact: as much noise as the step removed, which hardly reduces the conflict.",
                ),
                # the last steps, and memory
                io.Float.Input(
                    "video_alone_from",
                    default=PAPER.video_alone_from,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="Fraction of the steps after which the video model runs alone, 0 to 1; 1 is never.",
                ),
                io.Int.Input(
                    "chunk",
                    default=0,
                    min=0,
                    max=4096,
                    advanced=True,
                    tooltip="Views, or frames, in one evaluation: 1 needs the least memory, 0 takes as many as fit.\n"
                    "Changes only speed and memory.",
                ),
                # what is given
                io.Boolean.Input(
                    "keep_video",
                    default=False,
                    optional=True,
                    tooltip="Keep frame_strip of Image Matrix Conditioning as the reference view's video, and sample\n"
                    "the other views around it. Off, as in Diffusion²: that view is sampled, too.",
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
        # what to sample
        video_model: ModelPatcher,
        multiview_model: ModelPatcher,
        conditioning: MatrixConditioning,
        sigmas: Tensor,
        seed: int,
        # how the models are composed
        preset: str,
        weight: float,
        weight_schedule: str,
        weight_end: float,
        view_weights: str,
        # repeated steps
        repeat_until: float,
        repeat_noise: str,
        # the last steps, and memory
        video_alone_from: float,
        chunk: int,
        # what is given
        keep_video: bool = False,
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
        matrix = sample_matrix(video_model, multiview_model, conditioning, sigmas, settings, seed, chunk, keep_video)
        return io.NodeOutput(make_matrix_latent(matrix))
