"""OrbitConditioning: SV3D_p's conditioning by a picture, for views at any azimuths."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ...stereo_core.image_matrix import parse_azimuths, spaced_azimuths
from ..host import expect_memory
from .conditioning import refuse_fixed_orbit
from .strip_encoding import encode_pictures, expect_picture_vae
from .strip_pictures import read_pictures
from .strip_settings import ORBIT_AUGMENTATION, orbit_settings


class OrbitConditioning(io.ComfyNode):
    """Condition SV3D_p on a picture and on the position of the views."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_OrbitConditioning",
            display_name="Orbit Conditioning",
            category="stereo/multiview",
            description="Conditions SV3D_p on a picture, for views as close together as a stereo baseline or at any "
            "azimuths.",
            search_aliases=["SV3D", "azimuth", "turntable", "novel view", "stereo baseline", "multi-view"],
            inputs=[
                # the picture
                io.ClipVision.Input("clip_vision", tooltip="CLIP_VISION of SV3D_p, from Image Only Checkpoint Loader."),
                io.Image.Input(
                    "init_image",
                    tooltip="The object in the middle of a square, on white. It becomes the last view.",
                ),
                io.Vae.Input("vae", tooltip="VAE of SV3D_p."),
                # the views
                io.Int.Input("width", default=576, min=16, max=16384, step=8, tooltip="Width of a view in pixels."),
                io.Int.Input("height", default=576, min=16, max=16384, step=8, tooltip="Height of a view in pixels."),
                io.Int.Input(
                    "views",
                    default=21,
                    min=1,
                    max=4096,
                    tooltip="How many views are made, including the picture's own. SV3D was trained on 21.",
                ),
                io.Float.Input(
                    "spacing",
                    default=3.0,
                    min=0.01,
                    max=180.0,
                    step=0.01,
                    tooltip="Degrees from each view to the next; the arc ends at the picture's own view.\n"
                    "2 to 4 is a stereo baseline; with 17.14, 21 views make a full turn.",
                ),
                io.Float.Input(
                    "elevation",
                    default=0.0,
                    min=-90.0,
                    max=90.0,
                    step=0.1,
                    tooltip="Degrees by which the camera is above the object's middle.",
                ),
                io.String.Input(
                    "azimuths",
                    default="",
                    advanced=True,
                    tooltip="Instead of spacing: degrees of each view, growing to the right, ending with 0 or 360\n"
                    "for the picture's own, such as -9, -6, -3, 0.",
                ),
                # the model
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="The model that will sample. SV3D_u knows a full turn only, and is refused with other "
                    "azimuths.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    display_name="positive",
                    tooltip="It carries azimuths and elevation to orbit_positive of Image Matrix Conditioning.",
                ),
                io.Conditioning.Output(display_name="negative", tooltip="The same without the picture, for guidance."),
                io.Latent.Output(display_name="latent", tooltip="Empty, an entry for each view."),
            ],
        )

    @classmethod
    def execute(
        cls,
        # the picture
        clip_vision: Any,
        init_image: Tensor,
        vae: Any,
        # the views
        width: int,
        height: int,
        views: int,
        spacing: float,
        elevation: float,
        azimuths: str,
        # the model
        model: Any = None,
    ) -> io.NodeOutput:
        picture = read_pictures(init_image, "init_image")
        if len(picture) != 1:
            raise ValueError(f"init_image holds {len(picture)} pictures. Connect a single picture.")
        expect_picture_vae("vae", vae)
        _expect_kept(picture, width, height)
        angles = parse_azimuths(azimuths, views) if azimuths.strip() else spaced_azimuths(views, spacing)
        if model is not None:
            refuse_fixed_orbit("model", model, angles)
        needed = (4 * 3 * height * width + views * 4 * (height // 8) * (width // 8)) * torch.float32.itemsize
        expect_memory("Orbit Conditioning", f"{views} views of {width}x{height}", needed, fewer="views")
        camera = orbit_settings(angles, [elevation] * views)
        ((positive, negative),) = encode_pictures(picture, clip_vision, vae, width, height, camera, ORBIT_AUGMENTATION)
        latent = {"samples": torch.zeros([views, 4, height // 8, width // 8])}
        return io.NodeOutput(positive, negative, latent)


def _expect_kept(picture: Tensor, width: int, height: int) -> None:
    """Raise unless something of (1, 3, H, W) is left when the host crops its middle to the shape of a view."""
    rows, columns = picture.shape[-2:]
    high, wide = min(rows, columns * height / width), min(columns, rows * width / height)
    if min(rows - 2 * round((rows - high) / 2), columns - 2 * round((columns - wide) / 2)) < 1:
        raise ValueError(
            f"init_image is {columns}x{rows}, of which nothing is left when it is cropped to the shape of a view, "
            f"{width}x{height}. Connect a picture nearer to that shape."
        )
