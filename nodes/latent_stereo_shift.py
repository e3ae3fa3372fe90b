"""LatentStereoShift: a latent and its depth to the latents of both views."""

from __future__ import annotations

import comfy.utils
import torch
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.latent_shift import shift_latent
from ..stereo_core.stereo_depth import StereoDepth
from ..stereo_core.view_shift import HoleFill, ShiftForm, ViewShift
from .sampling.latents import expect_latent, expect_mask, make_pair_latent
from .widgets.geometry import depth_input, read_depth, show_disparity
from .widgets.shift import fill_input, shift_form_input


class LatentStereoShift(io.ComfyNode):
    """Forward-warp a latent into the right view, and mark the holes."""

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
                depth_input(
                    "left view", "Any size of the same shape; one map for each entry or frame, or one for all."
                ),
                fill_input(),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**64 - 1,
                    control_after_generate=True,
                    tooltip="Seed of the noise of fill = noise. Unused otherwise.",
                ),
                shift_form_input(),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="stereo",
                    tooltip="All left entries, then all right ones, with a noise mask over the holes and what the "
                    "latent's own noise mask repaints.",
                ),
                io.Mask.Output(display_name="holes", tooltip="The right view's holes at latent size, 1 = paint."),
            ],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls,
        samples: dict[str, Tensor],
        depth: StereoDepth | Tensor,
        fill: str,
        seed: int,
        shift: str,
    ) -> io.NodeOutput:
        latent = samples["samples"]
        expect_latent("samples", latent)
        expect_mask("samples", samples)
        depth, form = read_depth(depth), ShiftForm(shift)
        disparity = depth.for_latent(latent.shape, form=form)
        shown = show_disparity(cls, depth, disparity)
        view_shift = ViewShift(disparity.to(latent.device), form)
        pair = shift_latent(latent, view_shift, HoleFill(fill), torch.Generator().manual_seed(seed))
        holes = pair.holes.float()
        stereo = make_pair_latent(samples, pair.samples)
        mask = _both_masks(samples.get("noise_mask"), view_shift, holes)
        return io.NodeOutput({**stereo, "noise_mask": mask}, holes.flatten(0, -3), ui=shown)


def _both_masks(own: Tensor | None, shift: ViewShift, holes: Tensor) -> Tensor:
    """Return the pair's noise mask, (2B, 1, ...): what the left view's own mask repaints, and the right one's holes.

    Args:
        own: the latent's noise mask at any size, or ``None`` where the left view stays as it is.
        shift: of the latent.
        holes: (B, 1, ...), 1 or 0.
    """
    if own is None:
        return torch.cat([torch.zeros_like(holes), holes])
    left = comfy.utils.reshape_mask(own.to(holes), holes.shape)
    return torch.cat([left, torch.where(shift.filled, shift.difference(left), holes)])
