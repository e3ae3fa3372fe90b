"""VR180FromPanorama: both eyes' views of a 180 or 360 degree picture and its depth."""

from __future__ import annotations

import torch
from comfy_api.latest import io
from torch import Tensor

from ...stereo_core.equirectangular import Panorama, expect_panorama, half_of, parallel_angle, render_panorama
from ...stereo_core.rendering import Quality, working_bytes
from ...stereo_core.stereo_depth import StereoDepth
from ...stereo_core.viewing import EYES
from ...stereo_core.warping import View
from ..host import compute_device, core_to_image, each_frame, expect_memory_for_views, image_to_core, show_text
from ..widgets.geometry import depth_input, read_depth
from ..widgets.rendering import quality_input

# What Stereo Strength's percent are of: the angle that a headset shows at a time.
_DEGREES = 90.0


class VR180FromPanorama(io.ComfyNode):
    """Shift a panorama by angular disparity, and cut out what lies ahead."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_VR180FromPanorama",
            display_name="Panorama to VR180",
            category="stereo",
            description="Makes both eyes' views of an equirectangular picture or clip of 180 or 360 degrees from its "
            "depth map, for headsets.",
            search_aliases=["VR180", "360", "equirectangular", "omnidirectional stereo", "headset", "2d to 3d"],
            inputs=[
                io.Image.Input("image", tooltip="The equirectangular picture or clip."),
                depth_input("panorama", "One map for each frame, or one for all."),
                io.Combo.Input(
                    "source",
                    options=Panorama,
                    default=Panorama.FULL.value,
                    tooltip="full_360: all around, twice as wide as high. half_180: what lies ahead, square.",
                ),
                io.Float.Input(
                    "yaw",
                    default=0.0,
                    min=-180.0,
                    max=180.0,
                    step=1.0,
                    tooltip="Where ahead is, in degrees to the right of the picture's middle, -180 to 180.\n"
                    "For full_360.",
                ),
                io.Float.Input(
                    "distance",
                    default=2.0,
                    min=0.3,
                    max=100.0,
                    step=0.1,
                    tooltip="Distance in metres at which things on the screen of Stereo Strength appear, 0.3 to 100.",
                ),
                quality_input(),
            ],
            outputs=[
                io.Image.Output(display_name="left", tooltip="What lies ahead, equirectangular, 180 by 180 degrees."),
                io.Image.Output(display_name="right", tooltip="The same for the right eye."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        depth: StereoDepth | Tensor,
        source: str,
        yaw: float,
        distance: float,
        quality: str,
    ) -> io.NodeOutput:
        panorama, shown, form = image_to_core(image, "image"), Panorama(source), Quality(quality)
        expect_panorama(panorama, shown)
        count, channels, height, width = panorama.shape
        stereo = read_depth(depth, image)
        expect_memory_for_views(
            "Panorama to VR180", panorama, working_bytes(height, width + width // 4, channels, form)
        )
        angles = stereo.for_pictures(count, (height, width)) * (_DEGREES / width) + parallel_angle(distance, EYES)
        show_text(cls, _describe(angles))
        made: dict[View, list[Tensor]] = {View.LEFT: [], View.RIGHT: []}
        for index in each_frame(count):
            one = slice(index, index + 1)
            frame, turned = panorama[one].to(compute_device()), angles[one].to(compute_device())
            for view, frames in made.items():
                rendered = render_panorama(frame, turned, shown, view, form)
                frames.append(half_of(rendered.image, shown, yaw).cpu())
        return io.NodeOutput(*(core_to_image(torch.cat(frames)) for frames in made.values()))


def _describe(angles: Tensor) -> str:
    far, near = (float(angle) for angle in angles.aminmax())
    told = f"nearest {near:.1f}°, farthest {far:.1f}°; infinity is 0°"
    if far < -0.05:
        told += ". The farthest lies beyond infinity: lower max_disparity, convergence or distance"
    return told
