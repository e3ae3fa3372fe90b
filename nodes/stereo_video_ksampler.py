"""StereoVideoKSampler: a stereo clip from a prompt and a depth clip, in one node."""

from __future__ import annotations

from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.attention import AttentionMode
from ..stereo_core.stereo_crafter_zero import CrafterSettings
from ..stereo_core.stereo_depth import StereoDepth
from ..stereo_core.trajectory import Trajectory
from .sampling.experts import Expert
from .sampling.ksampler_pair import ClipPair
from .sampling.ksampler_run import plan_ksampler
from .sampling.stereo_crafter_zero import OPTIONS
from .widgets.attention import attention_input, chosen_mode
from .widgets.geometry import depth_input, read_depth, show_disparity
from .widgets.ksampler import ksampler_inputs
from .widgets.restart_refine import options_input
from .widgets.shift import vae_input
from .widgets.sockets import SECOND_MODEL, TRAJECTORY


class StereoVideoKSampler(io.ComfyNode):
    """Sample a stereo clip as KSampler samples a clip."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_StereoVideoKSampler",
            display_name="Stereo Video KSampler",
            category="stereo/sampling",
            description="Samples both views of a stereo clip from a prompt or picture and the depth of the left view.",
            search_aliases=["StereoCrafter-Zero", "stereo video", "text to stereo video", "2d to 3d video", "SBS"],
            inputs=[
                # what to sample
                io.Model.Input("model", tooltip="A video or picture model, with its LoRAs and other patches."),
                io.Conditioning.Input(
                    "positive", tooltip="What the clip should show, with the picture it starts from."
                ),
                io.Conditioning.Input("negative", tooltip="What it should not show."),
                io.Latent.Input("latent_image", tooltip="The left view to start from, or an empty video latent."),
                depth_input(
                    "left clip",
                    "For text: of the clip that KSampler makes with the same settings. Any size of the same shape; one "
                    "map for each frame of the video or of its latent, or one for all.",
                ),
                # the plain run
                *ksampler_inputs(
                    6.0,
                    "Usual values: 6 for Wan, 2.5 for SVD.",
                    "euler_ancestral",
                    "StereoCrafter-Zero takes euler_ancestral.\n"
                    "Not dpm_fast or dpm_adaptive, which choose their own steps.",
                    "simple",
                ),
                attention_input(
                    "attention",
                    "How the right view reads the left one while it is made; none takes half the time.",
                    AttentionMode.LEFT_QUERY,
                ),
                options_input(),
                SECOND_MODEL.Input(
                    "second_model",
                    optional=True,
                    tooltip="From Second Model: takes over from model within the steps, as Wan 2.2's low-noise model "
                    "does.\nThe left view is that of two KSampler (Advanced), the second one with noise_seed 0.",
                ),
                # the left view
                TRAJECTORY.Input(
                    "trajectory",
                    optional=True,
                    tooltip="x of the left view at all noise levels, from Record Left View or DDIM Inversion with the "
                    "same steps and scheduler.\nWithout it, this node samples the left view first.",
                ),
                vae_input("each warp"),
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
        options: CrafterSettings | None = None,
        second_model: Expert | None = None,
        # the left view
        trajectory: Trajectory | None = None,
        vae: Any = None,
    ) -> io.NodeOutput:
        depth, settings = read_depth(depth), CrafterSettings.of() if options is None else options
        plain = plan_ksampler(
            model, positive, negative, latent_image, seed, steps, cfg, sampler_name, scheduler, denoise
        )
        mode = chosen_mode(attention)
        pair = ClipPair(model, plain, depth, settings, mode, trajectory, second_model, vae)
        disparity = plain.disparity(model, depth, settings.shift, OPTIONS)
        shown = show_disparity(cls, depth, disparity, pair.describe())
        return io.NodeOutput(pair.sample(), ui=shown)
