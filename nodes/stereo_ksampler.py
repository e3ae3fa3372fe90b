"""StereoKSampler: the whole way from a prompt and a depth map to a stereo latent in one node."""

from __future__ import annotations

from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.attention import AttentionMode
from ..stereo_core.latent_shift import HoleFill
from ..stereo_core.stereo_diffusion import PUBLISHED, ShiftPreset, ShiftSettings
from ..stereo_core.trajectory import Trajectory
from .sampling.ksampler_pair import sample_picture_pair
from .sampling.ksampler_run import plan_ksampler
from .widgets.attention import attention_input, chosen_mode
from .widgets.geometry import geometry_inputs, read_geometry, show_disparity
from .widgets.ksampler import ksampler_inputs
from .widgets.shift import shift_inputs
from .widgets.sockets import TRAJECTORY


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
                io.Model.Input("model", tooltip="Any picture model, with its LoRAs and other patches."),
                io.Conditioning.Input("positive", tooltip="What the picture should show."),
                io.Conditioning.Input("negative", tooltip="What it should not show."),
                io.Latent.Input("latent_image", tooltip="The left view to start from, or an empty latent."),
                io.Image.Input(
                    "depth",
                    tooltip="Depth map of the left view, white is near, any size of the same shape.\n"
                    "For text: of what KSampler makes with the same settings. One for each picture, or one for all.",
                ),
                *ksampler_inputs(
                    8.0,
                    "The paper takes 9 for text.",
                    "euler",
                    "euler and ddim are the paper's.\nNot dpm_fast or dpm_adaptive, which choose their own steps.",
                    "normal",
                ),
                *geometry_inputs(),
                attention_input(
                    "attention", "How the views see each other while they are made.", AttentionMode.LEFT_KV
                ),
                io.Combo.Input(
                    "preset",
                    options=ShiftPreset,
                    default=ShiftPreset.CUSTOM.value,
                    tooltip="Settings of the shift. custom: shift_at, fill, mask_every and shift_both as set.\n"
                    "The others are the paper's and replace these four: holes left blank, with Deblur, both shifted.",
                ),
                *shift_inputs(advanced=True),
                TRAJECTORY.Input(
                    "trajectory",
                    optional=True,
                    tooltip="The left view's known states, from DDIM Inversion with the same steps and scheduler.\n"
                    "The left view then follows them exactly: the right view of a given picture.",
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
        shift_at: float,
        fill: str,
        mask_every: float,
        shift_both: bool,
        trajectory: Trajectory | None = None,
    ) -> io.NodeOutput:
        settings = PUBLISHED.get(ShiftPreset(preset), ShiftSettings(shift_at, HoleFill(fill), mask_every, shift_both))
        geometry = read_geometry(depth, max_disparity, convergence, exponent)
        plain = plan_ksampler(
            model, positive, negative, latent_image, seed, steps, cfg, sampler_name, scheduler, denoise
        )
        shown = show_disparity(cls, plain.disparity(model, geometry))
        mode = chosen_mode(attention)
        return io.NodeOutput(sample_picture_pair(model, plain, geometry, settings, mode, trajectory), ui=shown)
