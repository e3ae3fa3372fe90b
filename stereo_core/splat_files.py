"""Files of moving Gaussians: .ply as 3D Gaussian Splatting writes it, one a frame, and .splatv, which browsers play.

Both have y down and z forward; the turn from the pack's world is made here.

Sources:
    Kerbl et al., "3D Gaussian splatting for real-time radiance field rendering", 2023: names and forms of the
    properties of its .ply. antimatter15/splaTV (MIT): the layout of .splatv, whose motion is the cubic of Li et al.,
    "Spacetime Gaussian feature splatting", 2024, Eq. 8.
"""

from __future__ import annotations

import json
import math
import struct
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .cameras import Camera
from .splat_scene import SplatScene

_DC = 0.28209479177387814  # the constant spherical harmonic: color = 0.5 + _DC * coefficient
_PLY = (
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
)
_SURE = 1e-6  # opacities this near to 0 or 1 are written as if they were so near: 0 and 1 have no logit
_THINNEST = 1e-8
_MAGIC = 0x674B
_TEXTURE = 4096  # texels in a row, four to a Gaussian
_MIDDLE = 0.5  # the time about which a .splatv's motion is told
_ALWAYS = 1e4  # width in time of a Gaussian's weight: it is there from start to end
_LEAST_HALF, _LARGEST_HALF = 2.0**-24, 65504.0
_SPLATV = np.dtype(
    [
        ("position", "<f4", 3),
        ("rotation", "<f2", 4),
        ("scale", "<f2", 4),
        ("rgba", "u1", 4),
        ("motion", "<f2", 10),
        ("turn", "<f2", 4),
        ("present", "<f2", 2),
    ]
)


class CurveError(NamedTuple):
    """How far a .splatv's curves are from the scene's knots.

    Attributes:
        typical: root of the mean squared distance, in the world's unit.
        worst: the largest distance.
        degrees: root of the mean squared angle between the rotations.
    """

    typical: float
    worst: float
    degrees: float


class SplatV(NamedTuple):
    """A .splatv file, and how well its curves follow the scene."""

    data: bytes
    error: CurveError


def turned(positions: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor]:
    """Turn half about x, from y up to y down and z forward, or back: positions (..., 3), quaternions (..., 4) wxyz.

    (x, y, z) becomes (x, -y, -z), and q becomes (0, 1, 0, 0) q.
    """
    w, x, y, z = rotations.unbind(-1)
    return positions * positions.new_tensor([1, -1, -1]), torch.stack([-x, w, -z, y], dim=-1)


def to_harmonics(colors: Tensor) -> Tensor:
    """Return the coefficients (N, 3) of the constant spherical harmonic for colors (N, 3) in [0, 1]."""
    return (colors - 0.5) / _DC


def from_harmonics(coefficients: Tensor) -> Tensor:
    """Return the colors (N, 3) in [0, 1] that ``to_harmonics`` takes."""
    return (coefficients * _DC + 0.5).clamp(0, 1)


def ply(scene: SplatScene, time: float = 0.0) -> bytes:
    """Return the .ply file of one time from 0 to 1."""
    still = scene.at(time)
    positions, rotations = turned(still.positions[0], still.rotations[0])
    opacities = still.opacities.double().clamp(_SURE, 1 - _SURE)
    parts = (
        *(positions, torch.zeros_like(positions), to_harmonics(still.colors), opacities.logit()),
        *(still.scales.clamp(min=_THINNEST).log(), rotations),
    )
    values = torch.cat([part.float().cpu() for part in parts], dim=1)
    header = "".join(
        (
            f"ply\nformat binary_little_endian 1.0\nelement vertex {scene.count}\n",
            *(f"property float {name}\n" for name in _PLY),
            "end_header\n",
        )
    )
    return header.encode("ascii") + values.numpy().astype("<f4").tobytes()


def splatv_bytes(count: int) -> int:
    """Return how large the data of a .splatv of so many Gaussians are, whole rows of its texture."""
    return -(-4 * count // _TEXTURE) * _TEXTURE * 16


def splatv(scene: SplatScene, middle: Tensor | None = None) -> SplatV:
    """Return the .splatv file of a scene; a time of 0 is its first frame and 1 its last.

    A Gaussian's place is a cubic of time there, and its quaternion a straight line that is normalized; both are fitted
    to the knots by least squares.

    Args:
        scene: to write.
        middle: (3,) of its world, what its cameras look at; ``None`` is the origin.
    """
    positions, rotations = turned(scene.positions.double().cpu(), scene.rotations.double().cpu())
    rotations = _one_side(rotations)
    times = _times(scene.frames)
    curves, lines = _fitted(times, positions, 3), _fitted(times, rotations, 1)
    made = np.zeros(scene.count, _SPLATV)
    made["position"] = curves[0]
    made["rotation"] = lines[0]
    made["scale"][:, :3] = scene.scales.cpu().clamp(_LEAST_HALF, _LARGEST_HALF)
    color = torch.cat([scene.colors, scene.opacities], dim=1).cpu()
    made["rgba"] = (color.clamp(0, 1) * 255).round()
    motion = curves[1:].clamp(-_LARGEST_HALF, _LARGEST_HALF)
    made["motion"][:, :9] = motion.transpose(0, 1).flatten(1)
    made["turn"] = lines[1]
    made["present"] = _MIDDLE, _ALWAYS
    data = made.tobytes().ljust(splatv_bytes(scene.count), b"\0")
    told = {
        "type": "splat",
        "size": len(data),
        "texwidth": _TEXTURE,
        "texheight": len(data) // (16 * _TEXTURE),
        "cameras": [_camera(scene, torch.zeros(3) if middle is None else middle)],
    }
    text = json.dumps([told]).encode("ascii")
    return SplatV(struct.pack("<II", _MAGIC, len(text)) + text + data, _error(made, times, positions, rotations))


def _times(frames: int) -> Tensor:
    """(F,) times of the knots from the middle, which is that of a still scene."""
    return torch.linspace(-_MIDDLE, 1 - _MIDDLE, frames, dtype=torch.float64) if frames > 1 else torch.zeros(1).double()


def _fitted(times: Tensor, values: Tensor, degree: int) -> Tensor:
    """(degree + 1, N, C) coefficients of the polynomials nearest to (F, N, C); a degree that F cannot tell is 0."""
    degrees = torch.arange(min(degree, len(times) - 1) + 1)
    solved = torch.linalg.pinv(times[:, None] ** degrees) @ values.flatten(1)
    missing = degree + 1 - len(degrees)
    return functional.pad(solved, (0, 0, 0, missing)).reshape(degree + 1, *values.shape[1:])


def _one_side(rotations: Tensor) -> Tensor:
    """Quaternions (F, N, 4) with the signs by which each is near to that of the knot before."""
    flips = (rotations[1:] * rotations[:-1]).sum(dim=-1, keepdim=True) < 0
    signs = torch.where(flips, -1.0, 1.0).cumprod(dim=0)
    return torch.cat([rotations[:1], rotations[1:] * signs])


def _error(made: np.ndarray, times: Tensor, positions: Tensor, rotations: Tensor) -> CurveError:
    """Compare what a player makes of the file, its rounding included, with the knots (F, N, 3) and (F, N, 4)."""

    def read(name: str) -> Tensor:
        return torch.from_numpy(made[name].astype(np.float64))

    start, motion = read("position"), read("motion")[:, :9].reshape(-1, 3, 3)  # (N, degree, axis)
    quaternion, turn = read("rotation"), read("turn")
    squares, angles, worst = 0.0, 0.0, 0.0
    for time, position, rotation in zip(times.tolist(), positions, rotations, strict=True):
        place = start + sum(motion[:, power] * time ** (power + 1) for power in range(3))
        away = (place - position).square().sum(dim=-1)
        squares, worst = squares + float(away.sum()), max(worst, float(away.max()) if len(away) else 0.0)
        cosine = (functional.normalize(quaternion + turn * time, dim=-1) * rotation).sum(dim=-1).abs().clamp(max=1)
        angles += float((2 * cosine.acos()).square().sum())
    count = max(len(times) * len(start), 1)
    return CurveError(math.sqrt(squares / count), math.sqrt(worst), math.degrees(math.sqrt(angles / count)))


def _camera(scene: SplatScene, middle: Tensor) -> dict[str, object]:
    """The reference camera, for the player to start from, as 3D Gaussian Splatting writes its cameras."""
    size = 1024
    camera: Camera = scene.orbit.camera(scene.orbit.front(), size, size)
    flip = torch.tensor([1.0, -1.0, -1.0])
    return {
        "id": 0,
        "img_name": "reference",
        "width": size,
        "height": size,
        "position": ((camera.position + middle) * flip).tolist(),
        "rotation": (flip[:, None] * camera.rotation.T).tolist(),
        "fy": camera.focal,
        "fx": camera.focal,
    }
