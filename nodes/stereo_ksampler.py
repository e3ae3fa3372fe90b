"""StereoKSampler: a stereo latent from a prompt and a depth map, in one node."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.attention import AttentionMode
from ..stereo_core.stereo_depth import StereoDepth
from ..stereo_core.stereo_diffusion import PictureOptions
from ..stereo_core.trajectory import Trajectory
from .sampling.caches import tell_caches
from .sampling.ksampler_pair import sample_picture_pair
from .sampling.ksampler_run import plan_ksampler
from .sampling.stereo_diffusion import OPTIONS
from .widgets.attention import attention_input, chosen_mode
from .widgets.geometry import depth_input, read_depth, show_disparity
from .widgets.ksampler import ksampler_inputs
from .widgets.shift import vae_input
from .widgets.sockets import PICTURE_OPTIONS, TRAJECTORY


class StereoKSampler(io.ComfyNode):
    """Sample a stereo pair as KSampler samples a picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_StereoKSampler",
            display_name="Stereo KSampler",
            category="stereo/sampling",
            description="Samples both views of a stereo picture from a prompt and the depth map of the left view.",
            search_aliases=["StereoDiffusion", "text to stereo", "image to stereo", "2d to 3d", "SBS", "parallax"],
            inputs=[
                # what to sample
                io.Model.Input("model", tooltip="Any picture model, with its LoRAs and other patches."),
                io.Conditioning.Input("positive", tooltip="What the picture should show."),
                io.Conditioning.Input("negative", tooltip="What it should not show."),
                io.Latent.Input("latent_image", tooltip="The left view to start from, or an empty latent."),
                depth_input(
                    "left view",
                    "For text: of the picture that KSampler makes with the same settings. Any size of the same shape; "
                    "one map for each picture, or one for all.",
                ),
                # the plain run
                *ksampler_inputs(
                    8.0,
                    "StereoDiffusion takes 9 for text.",
                    "euler",
                    "StereoDiffusion takes euler or ddim.\nNot dpm_fast or dpm_adaptive, which choose their own steps.",
                    "normal",
                ),
                attention_input(
                    "attention", "How the views read each other while they are made.", AttentionMode.LEFT_KV
                ),
                PICTURE_OPTIONS.Input(
                    "options", optional=True, tooltip="From Stereo Picture Options; without them, what measured best."
                ),
                # the left view
                TRAJECTORY.Input(
                    "trajectory",
                    optional=True,
                    tooltip="x of the left view at all noise levels, from DDIM Inversion with the same steps and "
                    "scheduler.\nThe left view follows it exactly, to make the right view of a given picture.",
                ),
                vae_input("the shift and at each renewal"),
            ],
            outputs=[
                io.Latent.Output(display_name="stereo", tooltip="All left entries first, then all right ones."),
            ],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls,
        # what to sample
        model: ModelPatcher,
        positive: list[Any],
        negative: list[Any],
        latent_image: dict[str, Any],
        depth: StereoDepth | Tensor,
        # the plain run
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        denoise: float,
        attention: str,
        options: PictureOptions | None = None,
        # the left view
        trajectory: Trajectory | None = None,
        vae: Any = None,
    ) -> io.NodeOutput:
        depth, options = read_depth(depth), PictureOptions() if options is None else options
        if options.geometry is not None:
            depth = replace(depth, geometry=options.geometry, convergence=None, preset=OPTIONS)
        plain = plan_ksampler(
            model, positive, negative, latent_image, seed, steps, cfg, sampler_name, scheduler, denoise
        )
        disparity = plain.disparity(model, depth, options.shift.shift, OPTIONS)
        shown = show_disparity(cls, depth, disparity, tell_caches(model.model_options))
        mode = chosen_mode(attention)
        return io.NodeOutput(sample_picture_pair(model, plain, depth, options.shift, mode, trajectory, vae), ui=shown)
