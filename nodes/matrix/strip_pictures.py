"""The pictures of an orbit and a video that make an image matrix: their size, the one they share, their latents."""

from __future__ import annotations

import comfy.utils
import torch
from torch import Tensor

from ..host import image_to_core
from .conditioning import Conditioning


def read_pictures(image: Tensor, name: str) -> Tensor:
    """Return an IMAGE as (B, 3, H, W) float32, which the encoders of all models take."""
    return image_to_core(image, name).float()


def with_reference(orbit: Tensor, pictures: Tensor) -> Tensor:
    """Put the first of ``pictures``, the user's own, in the last place of an orbit, (V, 3, H, W)."""
    height, width = orbit.shape[2:]
    own = comfy.utils.common_upscale(pictures[:1], width, height, "bilinear", "center")
    return torch.cat([orbit[:-1], own.to(orbit)])


def common_size(orbit: Tensor, video: Tensor) -> tuple[int, int]:
    """Return (H, W) of both strips, (V, 3, H, W) and (F, 3, H, W), which SVD and SV3D take.

    Raises:
        ValueError: two sizes, or one that 8 does not divide.
    """
    (height, width), other = orbit.shape[2:], video.shape[2:]
    if other != orbit.shape[2:]:
        raise ValueError(
            f"view_strip is {width}x{height} and frame_strip is {other[1]}x{other[0]}, but they share one picture. "
            "Crop and scale them alike, with the object in the same place and of the same size."
        )
    if height % 8 or width % 8:
        raise ValueError(
            f"view_strip and frame_strip are {width}x{height}. Scale both to a width and height that are multiples of "
            "8; SV3D was trained at 576x576."
        )
    return height, width


def expect_one_latent_space(row: Conditioning, column: Conditioning) -> None:
    shapes = [part[0][1]["concat_latent_image"].shape[1:] for part in (row, column)]
    if shapes[0] != shapes[1]:
        video, multiview = (f"{width}x{height} with {channels} channels" for channels, height, width in shapes)
        raise ValueError(
            f"video_vae makes latents of {video} and multiview_vae of {multiview}. Both models must share one latent "
            "space, as SVD and SV3D do: connect the VAE of each."
        )
