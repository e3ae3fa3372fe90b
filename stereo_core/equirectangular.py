"""VR180: views of half a sphere, from flat pictures and from panoramas.

Directions are longitude, positive to the right of straight ahead, and latitude, positive upwards, in degrees. A
half-sphere view shows -90 to 90 of both on a square grid; a panorama shows -180 to 180 of longitude (or -90 to 90) and
-90 to 90 of latitude.
"""

from __future__ import annotations

import math
from enum import Enum

import torch
from torch import Tensor
from torch.nn import functional

from .checks import expect_finite, expect_shape
from .rendering import Quality, RenderedView, render_view
from .warping import View

# Above and below these latitudes the two views of a panorama grow equal, and are so at the poles: whoever looks there
# may turn, and any direction of disparity would be wrong for most.
_FADE = 60.0
# Rows of the smallest panorama: where it meets itself some columns are needed on either side.
_LOWEST = 4


class Panorama(str, Enum):
    """How much of the sphere an equirectangular picture shows."""

    FULL = "full_360"
    HALF = "half_180"

    @property
    def degrees(self) -> int:
        """Of longitude."""
        return 360 if self is Panorama.FULL else 180


def parallel_angle(distance: float, eyes: float) -> float:
    """Return by how many degrees the eyes turn inwards for a point straight ahead, ``distance`` metres away."""
    return math.degrees(2 * math.atan(eyes / (2 * distance)))


def natural_size(width: int, field_of_view: float) -> int:
    """Return the size of a half-sphere view that is as fine, straight ahead, as a flat picture; even.

    Args:
        width: of the picture, in columns.
        field_of_view: its horizontal angle, in degrees.
    """
    columns_per_radian = width / (2 * math.tan(math.radians(field_of_view) / 2))
    return 2 * round(columns_per_radian * math.pi / 2)


def project_flat(view: Tensor, field_of_view: float, size: int, turned: float = 0.0) -> Tensor:
    r"""Show a flat picture on half a sphere, black around it.

    A direction :math:`(\lambda, \varphi)` meets the picture at

    .. math:: u = \frac{\tan(\lambda - \tau)}{\tan(f / 2)}, \quad
              v = \frac{-\tan\varphi}{\cos(\lambda - \tau) \tan(f / 2)} \frac{W}{H}

    Args:
        view: (B, C, H, W), any floating dtype.
        field_of_view: f, the picture's horizontal angle, in degrees, above 0 and below 180.
        size: of the result, rows and columns.
        turned: :math:`\tau`, where its middle lies, in degrees to the right.

    Returns:
        (B, C, size, size).

    Raises:
        ValueError: a shape does not fit, or an angle or size out of range.
    """
    expect_shape("view", view, "B C H W")
    if not 0 < field_of_view < 180:
        raise ValueError(f"field_of_view: got {field_of_view}. Give degrees between 0 and 180.")
    if size < 2:
        raise ValueError(f"size: got {size}. Give at least 2 pixels.")
    height, width = view.shape[-2:]
    degrees = (torch.arange(size, device=view.device, dtype=torch.float64) + 0.5) * (180 / size) - 90
    longitude, latitude = torch.deg2rad(degrees - turned), torch.deg2rad(-degrees)[:, None]
    wide = math.tan(math.radians(field_of_view) / 2)
    ahead = longitude.cos() > 1e-6
    across = (longitude.tan() / wide).expand(size, -1)
    down = -latitude.tan() / longitude.cos() / (wide * height / width)
    grid = torch.stack([across, down], -1).clamp(-3, 3).float()
    inside = ((across.abs() <= 1) & (down.abs() <= 1) & ahead).to(view.dtype)
    # Clamped to the centres of the outermost pixels, as border padding would do, which not every device offers.
    edge = torch.tensor([1 - 1 / width, 1 - 1 / height], device=view.device)
    grid = grid.clamp(-edge, edge).expand(len(view), -1, -1, -1)
    sampled = functional.grid_sample(view.float(), grid, mode="bicubic", padding_mode="zeros", align_corners=False)
    low, high = view.aminmax()
    return sampled.to(view.dtype).clamp(low, high) * inside


def half_of(panorama: Tensor, shown: Panorama, yaw: float = 0.0) -> Tensor:
    """Cut the half sphere out of a panorama that lies around ``yaw``; whole columns, nothing is resampled.

    Args:
        panorama: (B, C, H, W), W being 2 H for ``full_360`` and H for ``half_180``.
        shown: how much of the sphere.
        yaw: degrees to the right of the panorama's middle; only for ``full_360``.

    Returns:
        (B, C, H, W') with W' the columns of 180 degrees.

    Raises:
        ValueError: a shape that such a panorama does not have.
    """
    expect_panorama(panorama, shown)
    if shown is Panorama.HALF:
        return panorama
    width = panorama.shape[-1]
    turned = panorama.roll(-round(yaw / 360 * width), -1)
    return turned[..., width // 4 : width // 4 + width // 2]


def expect_panorama(panorama: Tensor, shown: Panorama) -> None:
    """Raise ``ValueError`` unless ``panorama`` (B, C, H, W) has the shape of such a panorama, to one column.

    It must have at least 4 rows.
    """
    expect_shape("panorama", panorama, "B C H W")
    height, width = panorama.shape[-2:]
    if height < _LOWEST:
        raise ValueError(f"image: is {width}x{height}. Connect a panorama at least {_LOWEST} pixels high.")
    wanted = height * shown.degrees // 180
    if abs(width - wanted) > 1:
        raise ValueError(
            f"image: is {width}x{height}, and an equirectangular picture of {shown.degrees} degrees is "
            f"{wanted}x{height}. Set source to what it shows, or scale it with Upscale Image."
        )


def render_panorama(
    panorama: Tensor, angles: Tensor, shown: Panorama, view: View, quality: Quality = Quality.BEST
) -> RenderedView:
    """Render what one eye sees of a panorama, by angular disparity.

    Longitudes are shifted by half of the angle, to the right for the left eye and to the left for the right one, as
    omnidirectional stereo has it; across the seam of a full panorama, too. Beyond 60 degrees of latitude the shift
    fades to nothing at the poles.

    Args:
        panorama: (B, C, H, W), any floating dtype.
        angles: (B, 1, H, W) degrees by which the eyes turn inwards for each point, larger is nearer; 0 is infinity.
        shown: how much of the sphere.
        view: of which eye.
        quality: of the rendering.

    Returns:
        The view, (B, C, H, W), every pixel filled, and its holes.

    Raises:
        ValueError: a shape does not fit, angles that are not finite, or as large as the panorama.
    """
    expect_panorama(panorama, shown)
    batch, _, height, width = panorama.shape
    expect_shape("angles", angles, "B 1 H W", B=batch, H=height, W=width)
    expect_finite("angles", angles)
    columns = 0.5 * angles.float() * fade(height, angles.device)[:, None] * (width / shown.degrees)
    if shown is Panorama.HALF:
        return render_view(panorama, columns, quality, view)
    margin = math.ceil(float(columns.abs().max())) + 2
    if 2 * margin > width:
        raise ValueError("angles: are as wide as the panorama. Lower max_disparity.")
    around, shifts = (torch.cat([each[..., -margin:], each, each[..., :margin]], -1) for each in (panorama, columns))
    rendered = render_view(around, shifts, quality, view)
    inner = slice(margin, margin + width)
    return RenderedView(rendered.image[..., inner], rendered.hole[..., inner])


def fade(height: int, device: torch.device | None = None) -> Tensor:
    """Return the share of the disparity that is kept in each row of a panorama, (height,), 1 at the horizon."""
    latitude = (90 - (torch.arange(height, device=device) + 0.5) * (180 / height)).abs()
    beyond = ((latitude - _FADE) / (90 - _FADE)).clamp(min=0)
    return 0.5 + 0.5 * torch.cos(math.pi * beyond)
