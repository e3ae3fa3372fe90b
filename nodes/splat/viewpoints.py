"""Where the camera is in each frame of a clip, and which time of the scene it sees."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch

from ...stereo_core.cameras import Camera, look_at, orbit_camera
from ...stereo_core.splatting import rotation_matrices
from .host_splats import Framed

_FOV = 35.0  # of the host, for a camera that says none


@dataclass(frozen=True, slots=True)
class CameraPath:
    """From the first frame to the last, evenly.

    Attributes:
        azimuth: degrees, first and last; positive ones lie to the right of the reference view.
        elevation: degrees above the scene's middle.
        distance: in distances of the cameras that the scene was made with.
        time: of the scene, 0 its first frame and 1 its last.
    """

    azimuth: tuple[float, float] = (0.0, 0.0)
    elevation: tuple[float, float] = (0.0, 0.0)
    distance: tuple[float, float] = (1.0, 1.0)
    time: tuple[float, float] = (0.0, 1.0)


def path_cameras(framed: Framed, path: CameraPath | None, frames: int, width: int, height: int) -> list[Camera]:
    """Return a camera for each frame; without a path, that of the reference view."""
    orbit = framed.scene.orbit
    path = path or CameraPath(azimuth=(orbit.front(),) * 2, elevation=(orbit.elevation,) * 2)
    cameras = []
    for azimuth, elevation, distance in zip(
        *(_between(ends, frames) for ends in (path.azimuth, path.elevation, path.distance)), strict=True
    ):
        camera = orbit_camera(azimuth, elevation, distance * orbit.radius, orbit.fov, width, height)
        cameras.append(replace(camera, position=camera.position + framed.middle))
    return cameras


def path_times(path: CameraPath | None, frames: int) -> list[float]:
    """Return the scene's time in each frame; without a path, from its start to its end."""
    return _between((path or CameraPath()).time, frames)


def read_camera(camera_info: dict[str, Any], width: int, height: int) -> Camera:
    """Return the host's camera; its ``fov`` spans the smaller side, as in Render Splat.

    What it does not say is what that node takes, but for the position: nothing can be guessed of it.

    Raises:
        ValueError: an orthographic camera, one without a position, one that looks nowhere, or a value that is no
            finite number.
    """
    if str(camera_info.get("cameraType", "")).lower().startswith("ortho"):
        raise ValueError(
            "camera_info is orthographic, and such a camera sees near and far alike. Choose a perspective camera."
        )
    if not camera_info.get("position"):
        raise ValueError(
            "camera_info does not say where the camera is: it has no position. Connect Create Camera Info, Load 3D or "
            "Preview 3D."
        )
    position, target = (torch.tensor(_numbers(camera_info, name, "xyz")) for name in ("position", "target"))
    turn = _numbers(camera_info, "quaternion", "wxyz") if camera_info.get("quaternion") else []
    fov, zoom = _number(camera_info.get("fov") or _FOV, "fov"), _number(camera_info.get("zoom") or 1, "zoom")
    if zoom < 0:
        raise ValueError(f"camera_info: its zoom is {zoom:g}. It must be above 0; 1 is none.")
    try:
        if any(turn):
            # Its axes in the world: to the right, up, and backwards.
            axes = rotation_matrices(torch.tensor(turn))
            camera = look_at(position, position - axes[:, 2], fov, width, height, up=axes[:, 1])
        else:
            camera = look_at(position, target, fov, width, height)
    except ValueError as error:
        raise ValueError(f"camera_info: {error}") from error
    return replace(camera, focal=camera.focal * zoom)


def _numbers(camera_info: dict[str, Any], name: str, axes: str) -> list[float]:
    """The values of such an entry; an axis that is missing is 0, and the w of a quaternion 1."""
    entry = camera_info.get(name) or {}
    if not isinstance(entry, dict):
        raise ValueError(
            f"camera_info: its {name} is {entry}, and {', '.join(axes)} are needed by name. Connect another camera."
        )
    return [_number(entry.get(axis, 1 if axis == "w" else 0), f"{name}.{axis}") for axis in axes]


def _number(value: Any, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"camera_info: its {name} is {value}, and a finite number is needed. Connect another camera.")
    return number


def _between(ends: tuple[float, float], frames: int) -> list[float]:
    return torch.linspace(*ends, frames, dtype=torch.float64).tolist()
