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
from .image_matrix_conditioning import ImageMatrixConditioning
from .image_matrix_view import ImageMatrixView
from .image_shift import ImageStereoShift
from .inversion import DDIMInversion
from .iterative_refinement import IterativeRefineSampler
from .latent_shift import LatentStereoShift
from .left_trajectory import LeftTrajectory
from .noisy_restart import NoisyRestartSampler
from .null_text import NullTextOptimization
from .orbit_conditioning import OrbitConditioning
from .score_composition import ScoreCompositionSampler
from .stereo_clip_conditioning import StereoClipConditioning
from .stereo_ksampler import StereoKSampler
from .stereo_sampler import StereoShiftSampler
from .stereo_video_ksampler import StereoVideoKSampler
from .view_expert import ShiftCoupledViewExpert

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
    StereoVideoKSampler,
    LeftTrajectory,
    NoisyRestartSampler,
    IterativeRefineSampler,
    OrbitConditioning,
    ImageMatrixConditioning,
    StereoClipConditioning,
    ShiftCoupledViewExpert,
    ScoreCompositionSampler,
    ImageMatrixView,
    CrossViewAttentionPatch,
    SBSCombine,
    SBSSplit,
]
