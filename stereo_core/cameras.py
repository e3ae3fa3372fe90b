"""Pinhole cameras around a scene, and the two eyes of a stereo pair.

World      right-handed, y up, the reference camera on +z, looking at the origin.
Camera     x to the right, y down, z forward, as rows and columns of a picture go; depth is z.
Pixels     column c covers c to c + 1, so its center lies at c + 0.5, and the middle of a picture at width / 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .checks import expect_shape

_FLAT = 1e-4  # a range of inverse depths of this share of the nearest is that of a plane, seen in float32


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        rotation: (3, 3), from the world's axes to the camera's.
        position: (3,) in the world.
        focal: pixels that one unit at a depth of one spans, alike along rows and columns.
        center: (column, row) of the principal point, in pixels.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
    """

    rotation: Tensor
    position: Tensor
    focal: float
    center: tuple[float, float]
    width: int
    height: int

    def seen(self, points: Tensor) -> Tensor:
        """Return world points (..., 3) in the camera's axes; the last coordinate is the depth."""
        return (points - self.position.to(points)) @ self.rotation.to(points).T

    def project(self, points: Tensor) -> Tensor:
        """Return (..., 2) columns and rows, in pixels, of world points (..., 3) before the camera."""
        seen = self.seen(points)
        return self.focal * seen[..., :2] / seen[..., 2:] + seen.new_tensor(self.center)

    def resized(self, width: int, height: int) -> Camera:
        """Return the camera with a picture of another size, whose smaller side shows the same angle."""
        ratio = min(width, height) / min(self.width, self.height)
        column, row = self.center
        center = (width / 2 + (column - self.width / 2) * ratio, height / 2 + (row - self.height / 2) * ratio)
        return replace(self, focal=self.focal * ratio, center=center, width=width, height=height)


@dataclass(frozen=True)
class Orbit:
    """The cameras of an image matrix: a circle around the origin.

    The defaults but for the azimuths are those of Diffusion² (section 4.1).

    Attributes:
        azimuths: degrees, one a view; positive ones lie to the right of the reference camera.
        elevation: degrees above the horizon, the same for all views.
        fov: degrees that the smaller side of a picture spans, above 0 and below 180.
        radius: distance from the origin, above 0.
    """

    azimuths: tuple[float, ...] = ()
    elevation: float = 0.0
    fov: float = 33.8
    radius: float = 2.0

    def camera(self, azimuth: float, width: int, height: int) -> Camera:
        """Return the camera of the circle at ``azimuth`` degrees."""
        return orbit_camera(azimuth, self.elevation, self.radius, self.fov, width, height)

    def frontmost(self) -> int:
        """Return the index of the view nearest to azimuth 0; of several, the last, as SV3D's reference view is."""
        away = [min(azimuth % 360, -azimuth % 360) for azimuth in self.azimuths]
        return max(index for index, angle in enumerate(away) if angle == min(away))

    def front(self) -> float:
        """Return the azimuth of that view, in degrees from 0 to 360; 0 where there are no views."""
        return self.azimuths[self.frontmost()] % 360 if self.azimuths else 0.0


class StereoBase(NamedTuple):
    """What makes two eyes out of a camera.

    Attributes:
        baseline: the distance between them, in the world's unit.
        screen_distance: the depth that both see in the same column.
    """

    baseline: float
    screen_distance: float


def orbit_position(azimuth: float, elevation: float, radius: float) -> Tensor:
    """Return where on the sphere a camera is: r (cos e sin a, sin e, cos e cos a), angles in degrees.

    Positive azimuths move the camera to its own right, so the scene's near side goes to the left: SV3D's sense.
    """
    a, e = math.radians(azimuth), math.radians(elevation)
    return radius * torch.tensor([math.cos(e) * math.sin(a), math.sin(e), math.cos(e) * math.cos(a)])


def orbit_camera(azimuth: float, elevation: float, radius: float, fov: float, width: int, height: int) -> Camera:
    """Return the camera at ``orbit_position`` that looks at the origin; see ``look_at``."""
    position = orbit_position(azimuth, elevation, radius)
    # What is up stays so beyond the poles, where the horizon would turn over.
    a, e = math.radians(azimuth), math.radians(elevation)
    up = torch.tensor([-math.sin(e) * math.sin(a), math.cos(e), -math.sin(e) * math.cos(a)])
    return look_at(position, (0.0, 0.0, 0.0), fov, width, height, up=up)


def look_at(
    position: Tensor | Sequence[float],
    target: Tensor | Sequence[float],
    fov: float,
    width: int,
    height: int,
    up: Tensor | Sequence[float] = (0.0, 1.0, 0.0),
) -> Camera:
    """Return a camera whose picture has ``target`` in its middle.

    Args:
        position: (3,) in the world.
        target: (3,), elsewhere.
        fov: degrees that the smaller side of the picture spans.
        width: pixels.
        height: pixels.
        up: (3,) the direction that is up in the picture, not that of sight.

    Raises:
        ValueError: an angle outside 0 to 180, the target at the position, or a direction of sight along ``up``.
    """
    if not 0 < fov < 180:
        raise ValueError(f"fov: expected an angle above 0 and below 180 degrees, got {fov:g}.")
    eye, aim, upward = (torch.as_tensor(v, dtype=torch.float32) for v in (position, target, up))
    for name, vector in (("position", eye), ("target", aim), ("up", upward)):
        expect_shape(name, vector, "3")
    forward = functional.normalize(aim - eye, dim=0)
    right = torch.linalg.cross(forward, functional.normalize(upward, dim=0))
    if (aim - eye).norm() < 1e-6 or right.norm() < 1e-4:
        raise ValueError("The camera stands in its target or looks straight along what is up. Move it a little.")
    right = functional.normalize(right, dim=0)
    down = torch.linalg.cross(forward, right)
    focal = min(width, height) / (2 * math.tan(math.radians(fov) / 2))
    return Camera(torch.stack([right, down, forward]), eye, focal, (width / 2, height / 2), width, height)


def is_flat(near: float, far: float) -> bool:
    """Tell whether depths from ``near`` to ``far`` are all as good as one."""
    return 1 - near / far <= _FLAT


def stereo_base(camera: Camera, max_disparity: float, convergence: float, near: float, far: float) -> StereoBase:
    """Return the eyes that give a scene the pack's disparity.

    With inverse depth scaled to [0, 1] between far and near, the disparity is max_disparity / 100 * width *
    (inverse_depth - convergence), exactly: 1 / screen = 1 / far + convergence (1 / near - 1 / far) and
    baseline = max_disparity / 100 * width / (focal (1 / near - 1 / far)). A flat scene has no baseline that would give
    it any depth: there both eyes are the camera.

    Args:
        camera: between the eyes.
        max_disparity: percent of the width.
        convergence: the scaled inverse depth that lies on the screen, 0 to 1.
        near: the least depth of the whole clip, above 0.
        far: its greatest depth, at least ``near``.

    Raises:
        ValueError: depths that are not in this order.
    """
    if not 0 < near <= far:
        raise ValueError(
            f"Expected a nearest depth above 0 and not above the farthest, got {near:g} and {far:g}. Give both of them."
        )
    span = 1 / near - 1 / far
    screen = 1 / (1 / far + convergence * span)
    if is_flat(near, far):
        return StereoBase(0.0, screen)
    return StereoBase(max_disparity / 100 * camera.width / (camera.focal * span), screen)


def stereo_pair(camera: Camera, base: StereoBase) -> tuple[Camera, Camera]:
    """Return the left and the right eye.

    They stand half a baseline to each side of the camera, look the same way, and their principal points are moved so
    that both see the screen's depth in the same column: x_left - x_right = focal * baseline (1 / depth -
    1 / screen_distance). Eyes that are toed in would see a keystone, and rows would not agree.
    """
    aside = camera.rotation[0] * (base.baseline / 2)
    shift = camera.focal * base.baseline / (2 * base.screen_distance)
    column, row = camera.center
    left = replace(camera, position=camera.position - aside, center=(column - shift, row))
    right = replace(camera, position=camera.position + aside, center=(column + shift, row))
    return left, right
