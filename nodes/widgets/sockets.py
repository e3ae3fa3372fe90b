"""The sockets between this pack's nodes, and what each carries."""

from __future__ import annotations

from comfy_api.latest import io

# A stereo_core.trajectory.Trajectory, on the CPU:
#   sigmas: Tensor (N + 1,)   -- noise levels, descending; the last is usually 0
#   states: N + 1 Tensors (B, C, H, W) or (B, C, T, H, W)
#                             -- a sampler's x at each level, in the model's latent scale (after process_latent_in)
TRAJECTORY = io.Custom("STEREO_TRAJECTORY")

# A stereo_core.stereo_depth.StereoDepth: the left view's depth maps, and how deep the stereo made from them is.
STEREO_DEPTH = io.Custom("STEREO_DEPTH")

# A stereo_core.stereo_diffusion.PictureOptions, and a stereo_core.stereo_crafter_zero.CrafterSettings.
PICTURE_OPTIONS = io.Custom("STEREO_PICTURE_OPTIONS")
VIDEO_OPTIONS = io.Custom("STEREO_VIDEO_OPTIONS")

# A nodes.film.film_settings.FilmOptions, and a DepthSettings.
FILM_OPTIONS = io.Custom("STEREO_FILM_OPTIONS")
FILM_DEPTH = io.Custom("STEREO_FILM_DEPTH")

# A nodes.film.chosen_window.ChosenWindow: a film's plan, its windows, and the number of one of them.
FILM_WINDOW = io.Custom("STEREO_FILM_WINDOW")

# A stereo_core.composition_weights.CompositionSettings.
COMPOSITION_OPTIONS = io.Custom("STEREO_COMPOSITION_OPTIONS")

# A nodes.sampling.experts.Expert: a model that takes over within the schedule.
SECOND_MODEL = io.Custom("STEREO_SECOND_MODEL")

# A nodes.depth.networks.DepthModel: the network, which the host moves between devices, and its preprocessing.
DEPTH_MODEL = io.Custom("STEREO_DEPTH_MODEL")

# A nodes.matrix.conditioning.MatrixConditioning: one entry for each row and each column of the image matrix.
MATRIX_CONDITIONING = io.Custom("STEREO_MATRIX_CONDITIONING")

# A stereo_core.splat_scene.SplatScene, on the CPU: Gaussians that move, and the cameras that they were made with.
SPLAT_4D = io.Custom("STEREO_SPLAT_4D")

# A nodes.splat.reconstruction.ReconstructionOptions, and a nodes.splat.viewpoints.CameraPath.
SPLAT_OPTIONS = io.Custom("STEREO_SPLAT_OPTIONS")
CAMERA_PATH = io.Custom("STEREO_CAMERA_PATH")
