"""DDIMInversion: a picture's latent to the noise that the model makes it from, and every x in between."""

from __future__ import annotations

from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from .sampling.inversion import invert_latent
from .widgets.sockets import TRAJECTORY


class DDIMInversion(io.ComfyNode):
    """Run a deterministic sampler backwards from a clean latent."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_DDIMInversion",
            display_name="DDIM Inversion",
            category="stereo/sampling",
            description="Finds the noise from which the model makes a given picture, and every x on the way.",
            search_aliases=["invert", "unsampler", "reverse", "image to noise", "null-text inversion", "rf inversion"],
            inputs=[
                io.Model.Input("model", tooltip="Any diffusion or flow model."),
                io.Conditioning.Input(
                    "positive",
                    tooltip="Text that describes the picture. There is no negative: inversion runs without guidance.",
                ),
                io.Latent.Input("latent", tooltip="Latent of the picture or video, from VAE Encode."),
                io.Sigmas.Input(
                    "sigmas",
                    tooltip="The schedule that the sampler will run on, descending as a scheduler gives it.\n"
                    "More steps invert more exactly.",
                ),
                io.Int.Input(
                    "refine",
                    default=0,
                    min=0,
                    max=20,
                    tooltip="Rounds of fixed-point iteration in each step, 0 to 20. 0 is plain DDIM inversion.\n"
                    "1 to 3 bring the sampler much closer to the picture; each costs one more model run per step.",
                ),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="noise",
                    tooltip="x at the first noise level, for a sampler with add_noise off or with Disable Noise.",
                ),
                TRAJECTORY.Output(display_name="trajectory", tooltip="x at all noise levels."),
                io.Sigmas.Output(
                    display_name="sigmas",
                    tooltip="The noise levels of the other outputs: those of the input, but a flow model's first is\n"
                    "0.9999 in place of 1. Use them to sample from noise.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, model: ModelPatcher, positive: list[Any], latent: dict[str, Any], sigmas: Tensor, refine: int
    ) -> io.NodeOutput:
        noise, trajectory = invert_latent(model, positive, latent, sigmas, refine)
        return io.NodeOutput(noise, trajectory, trajectory.sigmas)
