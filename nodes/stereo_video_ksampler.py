"""StereoVideoKSampler: a stereo clip from a prompt and a depth clip, in one node."""

from __future__ import annotations

from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.attention import AttentionMode
from ..stereo_core.noisy_restart import RestartForm, RestartSettings
from ..stereo_core.stereo_crafter_zero import CrafterSettings
from ..stereo_core.trajectory import Trajectory
from ..stereo_core.video_presets import VideoPreset
from ..stereo_core.view_shift import HoleFill, ShiftForm
from .sampling.ksampler_pair import ClipPair, Expert
from .sampling.ksampler_run import plan_ksampler
from .widgets.attention import attention_input, chosen_mode
from .widgets.geometry import geometry_inputs, read_geometry, show_disparity
from .widgets.ksampler import ksampler_inputs
from .widgets.restart_refine import (
    form_input,
    hole_inputs,
    preset_input,
    refine_inputs,
    refine_settings,
    restart_inputs,
)
from .widgets.shift import vae_input
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
                # what to sample
                io.Model.Input("model", tooltip="A video or picture model, with its LoRAs and other patches."),
                io.Conditioning.Input(
                    "positive", tooltip="What the clip should show, with the picture it starts from."
                ),
                io.Conditioning.Input("negative", tooltip="What it should not show."),
                io.Latent.Input("latent_image", tooltip="The left view to start from, or an empty video latent."),
                io.Image.Input(
                    "depth",
                    tooltip="Depth maps of the left clip, white is near, any size of the same shape. One for each "
                    "frame of the video or of its latent, or one for all.\nFor text: of the clip that KSampler makes "
                    "with the same settings.",
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
                # the shift
                *geometry_inputs(),
                attention_input(
                    "attention",
                    "How the right view reads the left one while it is made; none takes half the time.",
                    AttentionMode.LEFT_QUERY,
                ),
                # restart and refinement
                preset_input(),
                *restart_inputs(advanced=True),
                *refine_inputs(advanced=True),
                form_input(),
                # the right view's holes
                *hole_inputs(),
                # the models
                io.Boolean.Input(
                    "temporal",
                    default=False,
                    advanced=True,
                    tooltip="Couple attention over time as well, where the model has it in layers of its own (SVD).\n"
                    "Off: as in StereoCrafter-Zero.",
                ),
                io.Int.Input(
                    "switch_at_step",
                    default=10,
                    min=1,
                    max=10000,
                    tooltip="The step that second_model begins with, as start_at_step of KSampler (Advanced).\n"
                    "Half of the steps is usual for Wan 2.2. Without second_model it does nothing.",
                ),
                io.Model.Input(
                    "second_model",
                    optional=True,
                    tooltip="Takes over from model at switch_at_step: the low-noise model of Wan 2.2, with the same "
                    "shift.\nThe left view is that of two KSampler (Advanced), the second one with noise_seed 0.",
                ),
                # the left view
                TRAJECTORY.Input(
                    "trajectory",
                    optional=True,
                    tooltip="x of the left view at all noise levels, from Left Trajectory or DDIM Inversion with the "
                    "same steps and scheduler.\nWithout it, this node samples the left view first.",
                ),
                vae_input("each warp"),
            ],
            outputs=[
                io.Latent.Output(display_name="stereo", tooltip="All left entries first, then all right ones."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        # what to sample
        model: ModelPatcher,
        positive: list[Any],
        negative: list[Any],
        latent_image: dict[str, Any],
        depth: Tensor,
        # the plain run
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        denoise: float,
        # the shift
        max_disparity: float,
        convergence: float,
        exponent: float,
        attention: str,
        # restart and refinement
        preset: str,
        iterations: int,
        restart_until: float,
        warp_every: float,
        last_warp: float,
        most_repeats: int,
        fewest_repeats: int,
        form: str,
        # the right view's holes
        fill: str,
        shift: str,
        mirror: bool,
        # the models
        temporal: bool,
        switch_at_step: int,
        second_model: ModelPatcher | None = None,
        # the left view
        trajectory: Trajectory | None = None,
        vae: Any = None,
    ) -> io.NodeOutput:
        settings = CrafterSettings(
            RestartSettings(iterations, restart_until, RestartForm(form), VideoPreset(preset)),
            refine_settings(
                preset, restart_until, warp_every, last_warp, most_repeats, fewest_repeats, form, can_be_off=True
            ),
            HoleFill(fill),
            ShiftForm(shift),
            mirror,
        )
        geometry = read_geometry(depth, max_disparity, convergence, exponent)
        plain = plan_ksampler(
            model, positive, negative, latent_image, seed, steps, cfg, sampler_name, scheduler, denoise
        )
        mode = chosen_mode(attention)
        second = None if second_model is None else Expert(second_model, switch_at_step)
        pair = ClipPair(model, plain, geometry, settings, mode, trajectory, temporal, second, vae)
        disparity = plain.disparity(model, geometry, settings.shift)
        shown = show_disparity(cls, disparity, geometry.width, pair.describe())
        return io.NodeOutput(pair.sample(), ui=shown)
