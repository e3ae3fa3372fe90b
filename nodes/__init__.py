"""The nodes, in the order in which a menu shows them."""

from __future__ import annotations

from comfy_api.latest import io

from .attention import CrossViewAttentionPatch
from .combine import SBSCombine, SBSSplit
from .composite import StereoComposite
from .depth import DepthEstimate, LoadDepthModel
from .depth_conditioning import DepthConditioning
from .disparity_propagate import DisparityPropagate
from .dissolve_depth import DissolveDepth
from .image_shift import ImageStereoShift
from .inversion import DDIMInversion
from .latent_shift import LatentStereoShift
from .null_text import NullTextOptimization
from .stereo_ksampler import StereoKSampler
from .stereo_sampler import StereoShiftSampler

NODES: list[type[io.ComfyNode]] = [
    LoadDepthModel,
    DepthEstimate,
    DisparityPropagate,
    DissolveDepth,
    ImageStereoShift,
    StereoComposite,
    LatentStereoShift,
    DepthConditioning,
    DDIMInversion,
    NullTextOptimization,
    StereoKSampler,
    StereoShiftSampler,
    CrossViewAttentionPatch,
    SBSCombine,
    SBSSplit,
]
