"""ImageMatrixConditioning: the conditioning of all rows and columns of an image matrix, from an orbit and a video."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..host import describe_size, expect_memory, show_text
from ..widgets.sockets import MATRIX_CONDITIONING
from .conditioning import Conditioning, MatrixConditioning, Strip
from .strip_encoding import encode_pictures, encoding_bytes, expect_picture_vae
from .strip_pictures import common_size, expect_one_latent_space, read_pictures, with_reference
from .strip_settings import ORBIT_AUGMENTATION, orbit_settings, read_motion, read_orbit


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
                    "the reference view, as SV3D makes it, and gives way to reference.",
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
                # the noise on the picture
                io.Float.Input(
                    "augmentation_level",
                    default=0.02,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    tooltip="Std of the noise on the picture that the video model sees, from black (-1) to white (1),\n"
                    "0 to 10. More lets the video depart from the picture; Diffusion²'s code takes 0.02. The same\n"
                    "noise is 0.01 in SVD_img2vid_Conditioning, which counts from 0 to 1.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Seed of the noise that augmentation_level adds.",
                ),
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
                # what the strips were made with
                io.Conditioning.Input(
                    "orbit_positive",
                    optional=True,
                    tooltip="What view_strip was sampled with: positive of Orbit Conditioning (or SV3D_Conditioning).\n"
                    "Its azimuths and elevations are the matrix's. Without it: evenly once around, level camera.",
                ),
                io.Conditioning.Input(
                    "video_positive",
                    optional=True,
                    tooltip="What frame_strip was sampled with: positive of SVD_img2vid_Conditioning. Its fps and\n"
                    "motion_bucket_id are the matrix's. Without it: Diffusion²'s 127 and 24 frames per second, as the\n"
                    "model is told them. SVD_img2vid_Conditioning tells one less than its fps, so there it is 25.",
                ),
                io.Image.Input(
                    "reference",
                    optional=True,
                    tooltip="Your own picture, from which the strips were made. It replaces the orbit's last picture,\n"
                    "which the model has only redrawn. Without it the video's first frame does.",
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
        # the noise on the picture
        augmentation_level: float,
        seed: int,
        # guidance
        guidance_first: float,
        guidance_last: float,
        multiview_guidance: float,
        # what the strips were made with
        orbit_positive: Conditioning | None = None,
        video_positive: Conditioning | None = None,
        reference: Tensor | None = None,
    ) -> io.NodeOutput:
        expect_picture_vae("video_vae", video_vae)
        expect_picture_vae("multiview_vae", multiview_vae)
        orbit, video = read_pictures(view_strip, "view_strip"), read_pictures(frame_strip, "frame_strip")
        height, width = common_size(orbit, video)
        views, frames = len(orbit), len(video)
        azimuths, elevations = read_orbit(orbit_positive, views)
        motion, camera = read_motion(video_positive), orbit_settings(azimuths, elevations)
        orbit = with_reference(orbit, video if reference is None else read_pictures(reference, "reference"))
        for strip in (orbit, video):
            expect_memory("Image Matrix Conditioning", describe_size(strip), encoding_bytes(strip))
        rows = encode_pictures(orbit, video_clip_vision, video_vae, width, height, motion, augmentation_level, seed)
        models = (multiview_clip_vision, multiview_vae)
        columns = encode_pictures(video, *models, width, height, camera, ORBIT_AUGMENTATION, seed)
        expect_one_latent_space(rows[0][0], columns[0][0])
        linear = tuple(torch.linspace(guidance_first, guidance_last, frames).tolist())
        show_text(
            cls,
            f"{views} views, {frames} frames, {width}x{height}\n"
            f"azimuths {azimuths[0]:.4g} to {azimuths[-1]:.4g}, elevation {elevations[-1]:g}\n"
            f"motion_bucket_id {motion['motion_bucket_id']}, fps {motion['fps']}",
        )
        return io.NodeOutput(
            MatrixConditioning(
                rows=tuple(Strip(*both, linear) for both in rows),
                columns=tuple(Strip(*both, (multiview_guidance,) * views) for both in columns),
                azimuths=tuple(azimuths),
                elevations=tuple(elevations),
            )
        )
