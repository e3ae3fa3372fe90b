"""ImageMatrixConditioning: the conditioning of all rows and columns of an image matrix, from an orbit and a video."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..stereo_core.image_matrix import full_turn, parse_azimuths, same_azimuths
from .host import image_to_core, show_text
from .matrix.conditioning import Conditioning, MatrixConditioning, Strip
from .matrix.strip_encoding import encode_pictures
from .widgets.orbit import elevation_input
from .widgets.sockets import MATRIX_CONDITIONING


class ImageMatrixConditioning(io.ComfyNode):
    """Make the conditioning of every row and column of an image matrix from its two strips."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_ImageMatrixConditioning",
            display_name="Image Matrix Conditioning",
            category="stereo/multiview",
            description="Conditions a video model and a multi-view model for every view and frame of an image matrix, "
            "from an orbit and a video of the same object.",
            search_aliases=["diffusion squared", "4D", "SV3D", "SVD", "multi-view video", "image to 4d"],
            inputs=[
                # the two strips
                io.Image.Input(
                    "view_strip",
                    tooltip="The orbit at the video's first frame: one picture for each view. The last picture is\n"
                    "the reference view, as SV3D makes it, and shows what the video's first frame shows.",
                ),
                io.Image.Input(
                    "frame_strip",
                    tooltip="The video of the reference view: one picture for each frame, of the orbit's size. The\n"
                    "first frame shows what the orbit's last picture shows.",
                ),
                # the models
                io.ClipVision.Input("video_clip_vision", tooltip="CLIP_VISION of the video model (SVD)."),
                io.Vae.Input("video_vae", tooltip="VAE of the video model (SVD)."),
                io.ClipVision.Input("multiview_clip_vision", tooltip="CLIP_VISION of the multi-view model (SV3D)."),
                io.Vae.Input(
                    "multiview_vae",
                    tooltip="VAE of the multi-view model (SV3D); its latents must be like the video model's.",
                ),
                # the video
                io.Int.Input(
                    "motion_bucket_id",
                    default=127,
                    min=1,
                    max=1023,
                    tooltip="How much moves in every view's video, as in SVD_img2vid_Conditioning; higher is more.",
                ),
                io.Int.Input(
                    "fps",
                    default=6,
                    min=1,
                    max=1024,
                    tooltip="Frames per second, as in SVD_img2vid_Conditioning; higher makes smaller steps.",
                ),
                io.Float.Input(
                    "augmentation_level",
                    default=0.02,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    tooltip="Std of the noise on the picture that the video model sees, 0 to 10, where white is 1.\n"
                    "More lets the video depart from the picture; Diffusion²'s code takes 0.02.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Seed of the noise that augmentation_level adds.",
                ),
                elevation_input(),
                # guidance
                io.Float.Input(
                    "guidance_first",
                    default=1.5,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    tooltip="Guidance of the video model at the first frame; it changes evenly to guidance_last.",
                ),
                io.Float.Input(
                    "guidance_last",
                    default=3.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    tooltip="Guidance of the video model at the last frame. Higher keeps closer to the picture, and\n"
                    "finally oversaturates its colours.",
                ),
                io.Float.Input(
                    "multiview_guidance",
                    default=2.5,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    tooltip="Guidance of the multi-view model, for all views.",
                ),
                # the views
                io.String.Input(
                    "azimuths",
                    default="",
                    tooltip="Degrees of each view around the object, the last 0, for SV3D_p: connect azimuths of\n"
                    "Orbit Conditioning. One number: degrees from view to view, such as 17.1429 for 21 views all\n"
                    "around. Empty: the full turn of SV3D_Conditioning.",
                ),
            ],
            outputs=[
                MATRIX_CONDITIONING.Output(
                    display_name="conditioning",
                    tooltip="For Score Composition Sampler: an entry for each row and column.",
                )
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        # the two strips
        view_strip: Tensor,
        frame_strip: Tensor,
        # the models
        video_clip_vision: Any,
        video_vae: Any,
        multiview_clip_vision: Any,
        multiview_vae: Any,
        # the video
        motion_bucket_id: int,
        fps: int,
        augmentation_level: float,
        seed: int,
        elevation: float,
        # guidance
        guidance_first: float,
        guidance_last: float,
        multiview_guidance: float,
        # the views
        azimuths: str,
    ) -> io.NodeOutput:
        orbit, video = image_to_core(view_strip, "view_strip"), image_to_core(frame_strip, "frame_strip")
        height, width = _common_size(orbit, video)
        views, frames = len(orbit), len(video)
        angles = parse_azimuths(azimuths, views) if azimuths.strip() else full_turn(views)
        motion = {"motion_bucket_id": motion_bucket_id, "fps": fps, "augmentation_level": augmentation_level}
        camera = {"elevation": [elevation] * views, "azimuth": angles}
        rows = encode_pictures(orbit, video_clip_vision, video_vae, width, height, motion, augmentation_level, seed)
        columns = encode_pictures(video, multiview_clip_vision, multiview_vae, width, height, camera)
        _expect_one_latent_space(rows[0][0], columns[0][0])
        linear = tuple(torch.linspace(guidance_first, guidance_last, frames).tolist())
        show_text(cls, f"{views} views, {frames} frames, {width}x{height}")
        return io.NodeOutput(
            MatrixConditioning(
                rows=tuple(Strip(*both, linear) for both in rows),
                columns=tuple(Strip(*both, (multiview_guidance,) * views) for both in columns),
                custom_azimuths=not same_azimuths(angles, full_turn(views)),
            )
        )


def _common_size(orbit: Tensor, video: Tensor) -> tuple[int, int]:
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


def _expect_one_latent_space(row: Conditioning, column: Conditioning) -> None:
    video, multiview = (tuple(part[0][1]["concat_latent_image"].shape[1:]) for part in (row, column))
    if video != multiview:
        raise ValueError(
            f"video_vae makes latents of {video} (channels, height, width) and multiview_vae of {multiview}. Both "
            "models must share one latent space, as SVD and SV3D do: connect the VAE of each."
        )
