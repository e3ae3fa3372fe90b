"""The socket that carries one view's states from the node that finds them to the nodes that use them."""

from __future__ import annotations

from comfy_api.latest import io

# A stereo_core.trajectory.Trajectory, on the CPU:
#   sigmas: Tensor (N + 1,)                          -- noise levels, descending, the last is 0 as a rule
#   states: N + 1 Tensors (B, C, H, W) or (B, C, T, H, W)
#                                                    -- a sampler's x at each level, in the model's latent scale
#                                                       (after process_latent_in)
TRAJECTORY = io.Custom("STEREO_TRAJECTORY")
