"""LatentStereoShift: a latent and its depth to the latents of both views."""

from __future__ import annotations

import torch
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.latent_shift import HoleFill, shift_latent
from .sampling.latents import expect_latent, make_pair_latent
from .widgets.geometry import geometry_inputs, read_geometry, show_disparity


class LatentStereoShift(io.ComfyNode):
    """Forward-warp a latent into the other view and mark what has to be painted."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_LatentStereoShift",
            display_name="Latent Stereo Shift",
            category="stereo/latent",
            description="Shifts a latent into the right view and marks the holes for a sampler to repaint.",
            search_aliases=["StereoDiffusion", "parallax", "2d to 3d", "SBS", "stereo latent", "divergence"],
            inputs=[
                io.Latent.Input("samples", tooltip="Latent of the left view, of a picture or a video."),
                io.Image.Input(
                    "depth",
                    tooltip="Depth map of the left view, white is near, any size of the same shape.\n"
                    "One for each entry or frame, or one for all.",
                ),
                *geometry_inputs(),
                io.Combo.Input(
                    "fill",
                    options=HoleFill,
                    default=HoleFill.LEFT.value,
                    tooltip="What the holes start from.\nleft: the left latent at the same place. zeros: nothing.\n"
                    "noise: normal noise at the latent's own scale.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**64 - 1,
                    control_after_generate=True,
                    tooltip="Random stream of fill = noise. Unused otherwise.",
                ),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="stereo",
                    tooltip="All left entries, then all right ones, with a noise mask over the holes.",
                ),
                io.Mask.Output(display_name="holes", tooltip="The right view's holes at latent size, 1 = paint."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        samples: dict[str, Tensor],
        depth: Tensor,
        max_disparity: float,
        convergence: float,
        exponent: float,
        fill: str,
        seed: int,
    ) -> io.NodeOutput:
        latent = samples["samples"]
        expect_latent("samples", latent)
        geometry = read_geometry(depth, max_disparity, convergence, exponent)
        disparity = geometry.for_latent(latent.shape)
        shown = show_disparity(cls, disparity)
        pair = shift_latent(latent, disparity.to(latent.device), HoleFill(fill), torch.Generator().manual_seed(seed))
        mask = pair.holes.float()
        stereo = make_pair_latent(samples, pair.samples)
        return io.NodeOutput(
            {**stereo, "noise_mask": torch.cat([torch.zeros_like(mask), mask])}, mask.flatten(0, -3), ui=shown
        )
