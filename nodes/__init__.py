"""The nodes, in the order in which a menu shows them."""

from __future__ import annotations

from comfy_api.latest import io

from .combine import SBSCombine, SBSSplit
from .depth import DepthEstimate, LoadDepthModel
from .image_shift import ImageStereoShift
from .latent_shift import LatentStereoShift

NODES: list[type[io.ComfyNode]] = [
    LoadDepthModel,
    DepthEstimate,
    ImageStereoShift,
    LatentStereoShift,
    SBSCombine,
    SBSSplit,
]
