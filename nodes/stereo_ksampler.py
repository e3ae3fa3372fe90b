"""StereoKSampler: the whole way from a prompt and a depth map to a stereo latent in one node."""

from __future__ import annotations

from typing import Any

import comfy.samplers
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io, ui
from torch import Tensor

from ..stereo_core.attention import AttentionMode
from ..stereo_core.disparity_preview import disparity_preview
from ..stereo_core.geometry import StereoGeometry
from ..stereo_core.latent_shift import HoleFill
from ..stereo_core.stereo_diffusion import PUBLISHED, ShiftPreset, ShiftSettings
from ..stereo_core.trajectory import Trajectory
from .attention.model_patch import couple_views
from .host import core_to_image
from .sampling.ksampler_run import PlainRun, fit_to_model, ksampler_sigmas, pair_latent
from .sampling.latent_geometry import latent_columns
from .sampling.stereo_diffusion import PairSampler
from .widgets.geometry import geometry_inputs, show_geometry
from .widgets.ksampler import ksampler_inputs
from .widgets.shift import shift_inputs
from .widgets.sockets import TRAJECTORY

_UNCOUPLED = "none"


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
                io.Combo.Input(
                    "attention",
                    options=[_UNCOUPLED, *(mode.value for mode in AttentionMode)],
                    default=AttentionMode.LEFT_KV.value,
                    tooltip="How the views see each other while they are made. left_kv: both read the left one.\n"
                    "joint: both read both, which alters the left. right_joint: only the right reads both.\n"
                    "left_query: the right asks as the left does. none: not at all.",
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
        custom = ShiftSettings(shift_at, HoleFill(fill), mask_every, shift_both)
        settings = PUBLISHED.get(ShiftPreset(preset), custom)
        geometry = StereoGeometry(max_disparity, convergence, exponent)
        sampler = PairSampler(comfy.samplers.sampler_object(sampler_name), depth, geometry, settings, trajectory)
        sigmas = ksampler_sigmas(model, steps, sampler_name, scheduler, denoise)
        latent = fit_to_model(model, latent_image)
        ratio = model.get_model_object("latent_format").temporal_downscale_ratio
        columns = latent_columns(latent["samples"].shape, depth, geometry, ratio)
        show_geometry(cls, columns, columns.shape[-1])

        if attention != _UNCOUPLED:
            model = couple_views(model, AttentionMode(attention))
        samples = PlainRun(positive, negative, latent, seed, cfg, sigmas)(model, sampler)
        preview = disparity_preview(columns[:1] if columns.ndim == 4 else columns[:1, :, 0])
        return io.NodeOutput(pair_latent(latent, samples), ui=ui.PreviewImage(core_to_image(preview), cls=cls))
