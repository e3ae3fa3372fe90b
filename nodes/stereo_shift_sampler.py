"""StereoShiftSampler: turns any sampler into one that makes a stereo pair."""

from __future__ import annotations

from functools import partial
from typing import Any

import comfy.samplers
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.stereo_depth import StereoDepth
from ..stereo_core.stereo_diffusion import ShiftSettings
from ..stereo_core.trajectory import Trajectory
from ..stereo_core.view_shift import HoleFill, ShiftForm
from .sampling.stereo_diffusion import StereoDiffusionSampler
from .widgets.geometry import depth_input, read_depth, show_disparity, tell_disparity
from .widgets.shift import shift_inputs, vae_input
from .widgets.sockets import TRAJECTORY


class StereoShiftSampler(io.ComfyNode):
    """Wrap a sampler so that it turns one view into two on the way."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_StereoShiftSampler",
            display_name="Stereo Shift Sampler",
            category="stereo/sampling",
            description="Makes any sampler generate a stereo pair, for SamplerCustom and SamplerCustomAdvanced.",
            search_aliases=["StereoDiffusion", "stereo sampler", "text to stereo", "2d to 3d", "SBS", "parallax"],
            inputs=[
                depth_input(
                    "picture to be sampled",
                    "Any size of the same shape; one map for each picture or frame, or one for all.",
                ),
                # the shift
                *shift_inputs(),
                # the steps, and the left view
                io.Sampler.Input(
                    "sampler",
                    optional=True,
                    tooltip="The sampler that takes the steps, euler when nothing is connected.\n"
                    "Not dpm_fast or dpm_adaptive, which choose their own steps.",
                ),
                TRAJECTORY.Input(
                    "trajectory",
                    optional=True,
                    tooltip="x of the left view at all noise levels, from DDIM Inversion on the same sigmas.\n"
                    "The left view follows it exactly, to make the right view of a given picture.",
                ),
                vae_input("the shift and at each renewal"),
            ],
            outputs=[
                io.Sampler.Output(
                    display_name="sampler", tooltip="Gives a latent with all left entries first, then all right ones."
                )
            ],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls,
        depth: StereoDepth | Tensor,
        # the shift
        shift_at: float,
        fill: str,
        mask_every: float,
        shift_both: bool,
        shift: str,
        # the steps, and the left view
        sampler: object | None = None,
        trajectory: Trajectory | None = None,
        vae: Any = None,
    ) -> io.NodeOutput:
        depth = read_depth(depth)
        settings = ShiftSettings(shift_at, HoleFill(fill), mask_every, shift_both, ShiftForm(shift))
        if sampler is None:
            sampler = comfy.samplers.sampler_object("euler")
        stereo = StereoDiffusionSampler(sampler, depth, settings, trajectory, partial(tell_disparity, cls, depth), vae)
        return io.NodeOutput(stereo, ui=show_disparity(cls, depth))
