"""DepthConditioning: the conditioning of a stereo pair by a depth map, for SD2-depth or a depth ControlNet."""

from __future__ import annotations

from enum import Enum
from typing import Any

import torch
from comfy_api.latest import io
from node_helpers import conditioning_set_values
from torch import Tensor
from torch.nn import functional

from ..stereo_core.frame_matching import resize_nearest
from ..stereo_core.rendering import Quality, render_view
from ..stereo_core.stereo_depth import StereoDepth, one_for_each
from .sampling.attached_hints import attach_hint
from .sampling.latents import expect_latent, is_pair
from .sampling.picture_vae import for_pictures
from .sampling.prompts import expect_prompts
from .widgets.geometry import depth_input, read_depth, tell_disparity

Conditioning = list[list[Any]]


class RightDepth(str, Enum):
    """The depth map that the right view is generated from."""

    WARPED = "warped"
    LEFT = "left"


class DepthConditioning(io.ComfyNode):
    """Give a depth-conditioned model the depth map of each eye."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_DepthConditioning",
            display_name="Depth Conditioning",
            category="stereo/conditioning",
            description="Prepares a depth map for both eyes of a stereo pair: as the extra channel of SD2-depth, "
            "or as the hint of a depth ControlNet.",
            search_aliases=["depth2img", "depth to image", "512-depth", "controlnet depth", "D2SI", "depth to stereo"],
            inputs=[
                # what to condition
                io.Conditioning.Input("positive", tooltip="What the picture should show."),
                io.Conditioning.Input("negative", tooltip="What it should not show."),
                depth_input("left view", "Of the same shape as the picture; one map for each picture, or one for all."),
                io.Latent.Input("latent", tooltip="The latent that the sampler gets; only its size is used."),
                # the shift
                io.Combo.Input(
                    "right_depth",
                    options=RightDepth,
                    default=RightDepth.WARPED.value,
                    tooltip="What the right view is generated from.\nwarped: the depth map as the right eye sees it, "
                    "by the same shift as the latent's (default).\nleft: the left view's map for both.",
                ),
                # the ControlNet
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    tooltip="Strength of control_net, 0 to 10. Not used without one.",
                ),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    advanced=True,
                    tooltip="Fraction of the schedule at which control_net starts, 0 to 1. Not used without one.",
                ),
                io.Float.Input(
                    "end_percent",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    advanced=True,
                    tooltip="Fraction of the schedule at which control_net ends, 0 to 1. Not used without one.",
                ),
                io.ControlNet.Input(
                    "control_net",
                    optional=True,
                    tooltip="A depth ControlNet for the model. Without it the model must be SD2-depth, which takes "
                    "depth as a fifth channel.",
                ),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip="For ControlNets that need one, such as those of SD3, Flux and Qwen-Image.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="With the depth of both eyes."),
                io.Conditioning.Output(display_name="negative", tooltip="With the depth of both eyes."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        # what to condition
        positive: Conditioning,
        negative: Conditioning,
        depth: StereoDepth | Tensor,
        latent: dict[str, Any],
        # the shift
        right_depth: str,
        # the ControlNet
        strength: float,
        start_percent: float,
        end_percent: float,
        control_net: Any = None,
        vae: Any = None,
    ) -> io.NodeOutput:
        if control_net is not None and start_percent > end_percent:
            raise ValueError(f"start_percent is {start_percent} and end_percent {end_percent}. Let start come first.")
        expect_prompts(None, positive=positive, negative=negative)
        shape = _left_shape(latent)
        stereo = read_depth(depth)
        disparity = stereo.for_latent(shape)
        tell_disparity(cls, stereo, disparity)
        left = one_for_each(stereo.inverse_depth, shape[0])
        # Both views' in either case, or the samplers would move the left one's for the right view.
        views = [left, _warp(left, disparity) if RightDepth(right_depth) is RightDepth.WARPED else left]
        if control_net is None:
            if shape[1] != 4 or latent["samples"].ndim == 5:
                raise ValueError(
                    "control_net: the latent is not of SD2-depth, the only model that takes depth without a "
                    "ControlNet. Connect a depth ControlNet for your model."
                )
            values = {"noise_concat": _fifth_channel(views, (shape[-2], shape[-1]))}
            return io.NodeOutput(*(conditioning_set_values(entries, values) for entries in (positive, negative)))
        if strength == 0:
            return io.NodeOutput(positive, negative)
        hint = torch.cat(views).expand(-1, 3, -1, -1)
        control = control_net.copy().set_cond_hint(hint, strength, (start_percent, end_percent), vae=for_pictures(vae))
        return io.NodeOutput(*attach_hint(control, positive, negative))


def _left_shape(latent: dict[str, Any]) -> tuple[int, int, int, int]:
    """Return the shape of the left views' latent, (B, C, H, W); that of Qwen-Image is (B, C, 1, H, W)."""
    samples = latent["samples"]
    one_frame = not samples.is_nested and samples.ndim == 5 and samples.shape[2] == 1
    expect_latent("latent", samples, pictures_only=not one_frame)
    batch, channels, *_, height, width = samples.shape
    return batch // 2 if is_pair(latent, guess=True) else batch, channels, height, width


def _warp(depth: Tensor, disparity: Tensor) -> Tensor:
    """Return the depth maps as the right eye sees them; every point keeps its depth.

    Args:
        depth: (B, 1, H, W) in [0, 1], the left view's.
        disparity: (B, 1, h, w) in columns of the latent, by which the latent is shifted.

    Returns:
        (B, 1, H, W) in [0, 1].
    """
    scale = depth.shape[-1] / disparity.shape[-1]
    return render_view(depth, resize_nearest(disparity, tuple(depth.shape[-2:])) * scale, Quality.FAST).image


def _fifth_channel(views: list[Tensor], size: tuple[int, int]) -> Tensor:
    """Bring the views' maps to the latent's size and to [-1, 1], far to near.

    This is Stability AI's convention for SD2-depth (scripts/gradio/depth2img.py of Stability-AI/stablediffusion):
    bicubic to the latent's size, then each picture's minimum to -1 and its maximum to 1. Here the right view takes the
    left one's range, so that a point has the same value in both.

    Args:
        views: (B, 1, H, W) in [0, 1], the left view first.
        size: (h, w) of the latent.

    Returns:
        (2B, 1, h, w).
    """
    maps = [functional.interpolate(view, size=size, mode="bicubic", align_corners=False) for view in views]
    low, high = (end((1, 2, 3), keepdim=True) for end in (maps[0].amin, maps[0].amax))
    span = (high - low).clamp_min(torch.finfo(high.dtype).eps)  # a flat map is far everywhere
    return torch.cat([((map - low) / span * 2 - 1).clamp_(-1, 1) for map in maps])
