"""ScoreCompositionSampler: views by frames from a video model and a multi-view model."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ...stereo_core.composition_weights import PAPER, CompositionSettings
from ..widgets.sockets import COMPOSITION_OPTIONS, MATRIX_CONDITIONING
from .conditioning import MatrixConditioning
from .latents import make_matrix_latent
from .sampling import sample_matrix


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
                io.Int.Input(
                    "chunk",
                    default=0,
                    min=0,
                    max=4096,
                    advanced=True,
                    tooltip="Views, or frames, in one evaluation: 1 needs the least memory, 0 takes as many as fit.\n"
                    "Changes only speed and memory.",
                ),
                io.Boolean.Input(
                    "keep_video",
                    default=False,
                    tooltip="Keep frame_strip of Image Matrix Conditioning as the reference view's video, and sample\n"
                    "the other views around it. Off, as in Diffusion²: that view is sampled, too.",
                ),
                COMPOSITION_OPTIONS.Input(
                    "options",
                    optional=True,
                    tooltip="From Score Composition Options; without them, the settings of Diffusion²'s paper.",
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
        chunk: int,
        keep_video: bool,
        options: CompositionSettings = PAPER,
    ) -> io.NodeOutput:
        matrix = sample_matrix(video_model, multiview_model, conditioning, sigmas, options, seed, chunk, keep_video)
        return io.NodeOutput(make_matrix_latent(matrix, conditioning.azimuths, conditioning.elevations))
