"""The nodes, in the order in which a menu shows them.

Where things are; every package imports only from those below it:

    *.py         one node each, the file named as the class: its inputs, and the unpacking of them
    film/        stereo films of any length, from file to file, in constant memory
    splat/       moving Gaussians from a matrix of views and frames, seen by two eyes (Diffusion², second stage)
    options/     nodes that hold what the methods let one set
    delivery/    nodes that pack, save and show finished views, and what they are made of
    widgets/     inputs that several nodes share, and the sockets between nodes
    matrix/      nodes of score composition: two models over one matrix of views and frames (Diffusion²)
    depth/       depth networks and their folders, dissolving, optical flow
    sampling/    runs of the host's samplers in steps; both stereo samplers (StereoDiffusion, StereoCrafter-Zero)
    attention/   cross-view attention on the host's models
    host.py      the edge: IMAGE, depth, noise form, memory, progress, text on a node

The methods themselves are in ``stereo_core``, which knows nothing of the host.
"""

from __future__ import annotations

from comfy_api.latest import io

from .cross_view_attention_patch import CrossViewAttentionPatch
from .ddim_inversion import DDIMInversion
from .delivery.load_picture_folder import LoadPictureFolder
from .delivery.save_stereo_image import SaveStereoImage
from .delivery.save_stereo_video import SaveStereoVideo
from .delivery.sbs_combine import SBSCombine
from .delivery.sbs_split import SBSSplit
from .delivery.stereo_comfort import StereoComfort
from .delivery.stereo_preview import StereoPreview
from .delivery.vr180_from_pair import VR180FromPair
from .delivery.vr180_from_panorama import VR180FromPanorama
from .depth_conditioning import DepthConditioning
from .depth_estimate import DepthEstimate
from .disparity_propagate import DisparityPropagate
from .dissolve_depth import DissolveDepth
from .example_scene import ExampleScene
from .film.film_window import FilmWindow
from .film.save_film_window import SaveFilmWindow
from .film.stereo_film_depth import StereoFilmDepth
from .film.stereo_film_options import StereoFilmOptions
from .film.stereo_video_file import StereoVideoFile
from .image_stereo_shift import ImageStereoShift
from .iterative_refine_sampler import IterativeRefineSampler
from .latent_stereo_shift import LatentStereoShift
from .left_trajectory import LeftTrajectory
from .load_depth_model import LoadDepthModel
from .matrix.image_matrix_conditioning import ImageMatrixConditioning
from .matrix.image_matrix_sheet import ImageMatrixSheet
from .matrix.image_matrix_view import ImageMatrixView
from .matrix.orbit_conditioning import OrbitConditioning
from .matrix.score_composition_sampler import ScoreCompositionSampler
from .matrix.shift_coupled_view_expert import ShiftCoupledViewExpert
from .noisy_restart_sampler import NoisyRestartSampler
from .null_text_optimization import NullTextOptimization
from .options.score_composition_options import ScoreCompositionOptions
from .options.second_model import SecondModel
from .options.stereo_picture_options import StereoPictureOptions
from .options.stereo_refine_options import StereoRefineOptions
from .options.stereo_video_options import StereoVideoOptions
from .splat.splat_at import SplatAt
from .splat.splat_example import SplatExample
from .splat.splat_options import SplatOptions
from .splat.splat_path import SplatPath
from .splat.splat_reconstruct import SplatReconstruct
from .splat.splat_save import SplatSave
from .splat.splat_stereo import SplatStereo
from .stereo_clip_conditioning import StereoClipConditioning
from .stereo_composite import StereoComposite
from .stereo_ksampler import StereoKSampler
from .stereo_shift_sampler import StereoShiftSampler
from .stereo_strength import StereoStrength
from .stereo_video_ksampler import StereoVideoKSampler

NODES: list[type[io.ComfyNode]] = [
    LoadPictureFolder,
    LoadDepthModel,
    DepthEstimate,
    StereoStrength,
    DisparityPropagate,
    DissolveDepth,
    ExampleScene,
    ImageStereoShift,
    StereoComposite,
    LatentStereoShift,
    DepthConditioning,
    DDIMInversion,
    NullTextOptimization,
    StereoKSampler,
    StereoPictureOptions,
    StereoShiftSampler,
    StereoVideoKSampler,
    StereoVideoOptions,
    StereoRefineOptions,
    SecondModel,
    LeftTrajectory,
    NoisyRestartSampler,
    IterativeRefineSampler,
    OrbitConditioning,
    ImageMatrixConditioning,
    StereoClipConditioning,
    ShiftCoupledViewExpert,
    ScoreCompositionSampler,
    ScoreCompositionOptions,
    ImageMatrixView,
    ImageMatrixSheet,
    SplatExample,
    SplatReconstruct,
    SplatOptions,
    SplatStereo,
    SplatPath,
    SplatAt,
    SplatSave,
    CrossViewAttentionPatch,
    SBSCombine,
    StereoComfort,
    VR180FromPair,
    VR180FromPanorama,
    StereoPreview,
    SaveStereoImage,
    SaveStereoVideo,
    StereoVideoFile,
    StereoFilmOptions,
    StereoFilmDepth,
    FilmWindow,
    SaveFilmWindow,
    SBSSplit,
]
