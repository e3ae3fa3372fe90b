"""StereoClipConditioning: the conditioning of both views of a stereo clip, for score composition."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from .matrix.conditioning import MatrixConditioning, Strip
from .sampling.latents import expect_latent
from .sampling.prompts import expect_prompts
from .widgets.sockets import MATRIX_CONDITIONING


class StereoClipConditioning(io.ComfyNode):
    """Combine the conditioning of a left and a right clip."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_StereoClipConditioning",
            display_name="Stereo Clip Conditioning",
            category="stereo/multiview",
            description="Conditions both views of a stereo clip, each as the video model's own node does, for Score "
            "Composition Sampler.",
            search_aliases=["SVD stereo", "stereo video", "Diffusion2", "image matrix"],
            inputs=[
                # both views
                io.Conditioning.Input("left_positive", tooltip="From SVD_img2vid_Conditioning with the left picture."),
                io.Conditioning.Input("left_negative", tooltip="The same node's negative."),
                io.Conditioning.Input(
                    "right_positive",
                    tooltip="From SVD_img2vid_Conditioning with the right picture and the same settings.\n"
                    "Image Stereo Shift makes that picture from the left one and its depth.",
                ),
                io.Conditioning.Input("right_negative", tooltip="The same node's negative."),
                io.Latent.Input("latent", tooltip="The same node's latent: how many frames, and their size."),
                # guidance
                io.Float.Input(
                    "min_guidance",
                    default=1.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    round=0.01,
                    tooltip="Guidance of the first frame, 0 to 100; 1 is none. It changes evenly from frame to frame.",
                ),
                io.Float.Input(
                    "max_guidance",
                    default=2.5,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    round=0.01,
                    tooltip="Guidance of the last frame, 0 to 100. SVD's own example takes 2.5.",
                ),
            ],
            outputs=[
                MATRIX_CONDITIONING.Output(
                    display_name="conditioning", tooltip="For Score Composition Sampler with Shift-Coupled View Expert."
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        # both views
        left_positive: list[Any],
        left_negative: list[Any],
        right_positive: list[Any],
        right_negative: list[Any],
        latent: dict[str, Any],
        # guidance
        min_guidance: float,
        max_guidance: float,
    ) -> io.NodeOutput:
        samples = latent["samples"]
        expect_latent("latent", samples, pictures_only=True)
        expect_prompts(None, left_positive=left_positive, left_negative=left_negative)
        expect_prompts(None, right_positive=right_positive, right_negative=right_negative)
        _expect_picture("left_positive", left_positive, samples)
        _expect_picture("right_positive", right_positive, samples)
        _expect_same_settings(left_positive[0][1], right_positive[0][1])
        guidance = tuple(torch.linspace(min_guidance, max_guidance, len(samples)).tolist())
        rows = (Strip(left_positive, left_negative, guidance), Strip(right_positive, right_negative, guidance))
        return io.NodeOutput(MatrixConditioning(rows, ()))


def _expect_picture(name: str, positive: list[Any], samples: Tensor) -> None:
    picture = positive[0][1].get("concat_latent_image")
    if picture is None:
        raise ValueError(f"{name}: holds no picture. Connect positive of SVD_img2vid_Conditioning.")
    if picture.shape[1:] != samples.shape[1:]:
        sizes = [f"{shape[-1]}x{shape[-2]} with {shape[1]} channels" for shape in (picture.shape, samples.shape)]
        raise ValueError(
            f"{name}: the latent of its picture is {sizes[0]}, and latent is {sizes[1]}. "
            "Connect SVD_img2vid_Conditioning with the same width and height for both views."
        )


def _expect_same_settings(left: dict[str, Any], right: dict[str, Any]) -> None:
    for name in ("motion_bucket_id", "fps", "augmentation_level"):
        if left.get(name) != right.get(name):
            raise ValueError(
                f"right_positive: its {name} is {right.get(name)}, and left_positive's is {left.get(name)}. "
                "Both views show the same motion: set it alike in both SVD_img2vid_Conditioning."
            )
