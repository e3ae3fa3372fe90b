"""StereoVideoKSampler: the whole way from a prompt and a depth clip to a stereo clip in one node."""

from __future__ import annotations

from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.attention import AttentionMode
from ..stereo_core.latent_shift import HoleFill
from ..stereo_core.noisy_restart import RestartForm, RestartSettings
from ..stereo_core.stereo_crafter_zero import CrafterSettings
from ..stereo_core.trajectory import Trajectory
from .sampling.ksampler_pair import sample_clip_pair
from .sampling.ksampler_run import plan_ksampler
from .widgets.attention import attention_input, chosen_mode
from .widgets.geometry import geometry_inputs, read_geometry, show_disparity
from .widgets.ksampler import ksampler_inputs
from .widgets.restart_refine import (
    fill_input,
    form_input,
    preset_input,
    refine_inputs,
    refine_settings,
    restart_inputs,
)
from .widgets.sockets import TRAJECTORY


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
                io.Model.Input("model", tooltip="A video model, with its LoRAs and other patches; or one of pictures."),
                io.Conditioning.Input(
                    "positive", tooltip="What the clip should show, with the picture it starts from."
                ),
                io.Conditioning.Input("negative", tooltip="What it should not show."),
                io.Latent.Input("latent_image", tooltip="The left view to start from, or an empty video latent."),
                io.Image.Input(
                    "depth",
                    tooltip="Depth of the left clip, white is near, any size of the same shape; for text: of what "
                    "KSampler makes with the same settings.\nOne map for each frame of the video or of its latent, or "
                    "one for all.",
                ),
                *ksampler_inputs(
                    6.0,
                    "Usual: 6 for Wan, 2.5 for SVD.",
                    "euler_ancestral",
                    "euler_ancestral is the paper's.\n"
                    "Not dpm_fast, dpm_adaptive and uni_pc, which do not take single steps.",
                    "simple",
                ),
                *geometry_inputs(),
                attention_input(
                    "attention",
                    "How the right view sees the left one while it is made; none takes half the time.",
                    AttentionMode.LEFT_QUERY,
                ),
                preset_input(),
                *restart_inputs(advanced=True),
                *refine_inputs(advanced=True),
                form_input(),
                fill_input(),
                TRAJECTORY.Input(
                    "trajectory",
                    optional=True,
                    tooltip="The left view's known states, from Left Trajectory or DDIM Inversion with the same steps "
                    "and scheduler.\nWithout it this node samples the left view first.",
                ),
            ],
            outputs=[
                io.Latent.Output(display_name="stereo", tooltip="All left entries first, then all right ones."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        positive: list[Any],
        negative: list[Any],
        latent_image: dict[str, Any],
        depth: Tensor,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        denoise: float,
        max_disparity: float,
        convergence: float,
        exponent: float,
        attention: str,
        preset: str,
        iterations: int,
        restart_until: float,
        warp_every: float,
        last_warp: float,
        most_repeats: int,
        fewest_repeats: int,
        form: str,
        fill: str,
        trajectory: Trajectory | None = None,
    ) -> io.NodeOutput:
        settings = CrafterSettings(
            RestartSettings(iterations, restart_until, RestartForm(form)),
            refine_settings(preset, warp_every, last_warp, most_repeats, fewest_repeats, form, can_be_off=True),
            HoleFill(fill),
        )
        geometry = read_geometry(depth, max_disparity, convergence, exponent)
        plain = plan_ksampler(
            model, positive, negative, latent_image, seed, steps, cfg, sampler_name, scheduler, denoise
        )
        shown = show_disparity(cls, geometry.disparity())
        mode = chosen_mode(attention)
        return io.NodeOutput(sample_clip_pair(model, plain, geometry, settings, mode, trajectory), ui=shown)
