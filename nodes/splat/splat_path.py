"""SplatPath: how the camera moves, and how time passes, in Splat 4D Stereo."""

from __future__ import annotations

from comfy_api.latest import io

from ..widgets.sockets import CAMERA_PATH
from .viewpoints import CameraPath


class SplatPath(io.ComfyNode):
    """Say where the camera is in the first and in the last frame, and what time it is there."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Stereo_SplatPath",
            display_name="Splat 4D Path",
            category="stereo/multiview",
            description="Moves the camera and the time of Splat 4D Stereo evenly from the first frame to the last.",
            search_aliases=["camera path", "orbit", "dolly", "bullet time", "slow motion", "4D", "freeze"],
            inputs=[
                *_angle("azimuth", -10.0, 10.0, 720.0, "to the right of the reference view"),
                *_angle("elevation", 0.0, 0.0, 89.0, "above the scene's middle"),
                *_pair("distance", 1.0, 1.0, 0.05, 20.0, "Distance, 1 is that of the pictures, 0.7 is nearer"),
                *_pair("time", 0.0, 1.0, 0.0, 1.0, "Time of the scene, from 0, its first frame, to 1, its last"),
            ],
            outputs=[CAMERA_PATH.Output(display_name="path", tooltip="For path of Splat 4D Stereo.")],
        )

    @classmethod
    def execute(
        cls,
        azimuth: float,
        last_azimuth: float,
        elevation: float,
        last_elevation: float,
        distance: float,
        last_distance: float,
        time: float,
        last_time: float,
    ) -> io.NodeOutput:
        return io.NodeOutput(
            CameraPath(
                (azimuth, last_azimuth), (elevation, last_elevation), (distance, last_distance), (time, last_time)
            )
        )


def _angle(name: str, first: float, last: float, most: float, where: str) -> list[io.Input]:
    return _pair(name, first, last, -most, most, f"Degrees {where}", 0.1)


def _pair(
    name: str, first: float, last: float, least: float, most: float, what: str, step: float = 0.01
) -> list[io.Input]:
    """``name`` and ``last_name``."""
    return [
        io.Float.Input(name, default=first, min=least, max=most, step=step, tooltip=f"{what}; in the first frame."),
        io.Float.Input(
            f"last_{name}", default=last, min=least, max=most, step=step, tooltip=f"{what}; in the last frame."
        ),
    ]
