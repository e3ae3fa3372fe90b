"""SplatStereo: a moving scene of Gaussians as both eyes see it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from comfy_api.latest import Types, io

from ...stereo_core.geometry import StereoGeometry
from ...stereo_core.splat_scene import SplatScene
from ...stereo_core.splatting import drawing_bytes
from ..host import expect_memory, show_text
from ..widgets.sockets import CAMERA_PATH
from .colors import read_color
from .eyes import StereoClip, see_clip
from .host_splats import read_splat, splat_input
from .viewpoints import CameraPath, path_cameras, path_times, read_camera

_GEOMETRY = StereoGeometry()
_CHANNELS = 3 + 3 + 3 + 1  # of left, right, depth and mask


class SplatStereo(io.ComfyNode):
    """Draw a scene for two eyes that look the same way, from any place at any time."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_SplatStereo",
            display_name="Splat 4D Stereo",
            category="stereo/multiview",
            description="Shows a moving scene of Gaussians to both eyes, from any viewpoint, with any strength of "
            "stereo.",
            search_aliases=["gaussian splat", "4D", "stereo video", "baseline", "render splat", "SBS", "bullet time"],
            inputs=[
                splat_input(),
                # the eyes
                io.Float.Input(
                    "max_disparity",
                    default=_GEOMETRY.max_disparity,
                    min=0.0,
                    max=30.0,
                    step=0.1,
                    tooltip="Strength: how far the nearest point of the clip moves relative to the farthest, in "
                    "percent of the width.\n1 to 3 is comfortable on most screens. The node says how far apart the "
                    "eyes are.",
                ),
                io.Float.Input(
                    "convergence",
                    default=_GEOMETRY.convergence,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="The depth on the screen, from 0 (the farthest of the clip) to 1 (the nearest); 0 puts "
                    "everything in front of it.",
                ),
                # the pictures
                io.Int.Input(
                    "frames",
                    default=0,
                    min=0,
                    max=4096,
                    tooltip="Frames of the clip, spread over the scene's time; more than the scene has is slow "
                    "motion.\n0: as many as the scene was made from.",
                ),
                io.Int.Input("width", default=768, min=16, max=8192, step=8, tooltip="Width of a view in pixels."),
                io.Int.Input("height", default=768, min=16, max=8192, step=8, tooltip="Height of a view in pixels."),
                io.String.Input(
                    "background",
                    default="",
                    tooltip="Colour behind the scene, such as #000000.\nEmpty: that of the pictures which it was made "
                    "from, white for one of ComfyUI's splats.",
                ),
                # where it is seen from
                CAMERA_PATH.Input(
                    "path",
                    optional=True,
                    tooltip="From Splat 4D Path: how the camera moves and time passes. Without it: the reference view.",
                ),
                io.Load3DCamera.Input(
                    "camera_info",
                    optional=True,
                    tooltip="Instead of path: a camera that stands still, from Create Camera Info, Load 3D or Preview "
                    "3D. It stands between the eyes.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="left", tooltip="The left view."),
                io.Image.Output(display_name="right", tooltip="The right view."),
                io.Image.Output(
                    display_name="depth", tooltip="Depth of the left view: white is the nearest, background is black."
                ),
                io.Mask.Output(display_name="mask", tooltip="What the scene covers in the left view."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        splat: SplatScene | Types.SPLAT,
        # the eyes
        max_disparity: float,
        convergence: float,
        # the pictures
        frames: int,
        width: int,
        height: int,
        background: str,
        # where it is seen from
        path: CameraPath | None = None,
        camera_info: dict[str, Any] | None = None,
    ) -> io.NodeOutput:
        if path is not None and camera_info is not None:
            raise ValueError("path and camera_info both say where the camera is. Connect only one of them.")
        framed = read_splat(splat)
        scene, color = framed.scene, read_color(background, "background")
        scene = scene if color is None else replace(scene, background=color)
        frames = frames or scene.frames
        asked = f"both views of {frames} {'frame' if frames == 1 else 'frames'} of {width}x{height}"
        expect_memory(
            "Splat 4D Stereo",
            f"{asked} with {scene.count} Gaussians",
            frames * height * width * _CHANNELS * torch.float32.itemsize,
            drawing_bytes(scene),
            advice="Use smaller pictures, fewer frames, or a splat of fewer Gaussians.",
        )
        cameras = (
            path_cameras(framed, path, frames, width, height)
            if camera_info is None
            else [read_camera(camera_info, width, height)] * frames
        )
        clip = see_clip(scene, cameras, path_times(path, frames), max_disparity, convergence)
        told = _told(clip, max_disparity, convergence)
        # A still scene has one frame, and whoever connects a path expects it to be walked.
        show_text(cls, f"{told}; 1 frame, where path begins: raise frames" if frames == 1 and _moves(path) else told)
        return io.NodeOutput(clip.left, clip.right, clip.depth, clip.mask)


def _moves(path: CameraPath | None) -> bool:
    return path is not None and any(first != last for first, last in (path.azimuth, path.elevation, path.distance))


def _told(clip: StereoClip, max_disparity: float, convergence: float) -> str:
    baseline, screen = clip.base
    if baseline == 0 < max_disparity:
        return f"the clip shows no depth, all of it is {screen:.3g} away: both eyes see the same"
    pixels = max_disparity / 100 * clip.left.shape[2]
    return (
        f"eyes {baseline:.3g} apart, {100 * baseline / screen:.1f} % of the {screen:.3g} to the screen; "
        f"nearest {(1 - convergence) * pixels:+.1f} px, farthest {-convergence * pixels:+.1f} px"
    )
