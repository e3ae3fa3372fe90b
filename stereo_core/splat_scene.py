"""A moving set of 3D Gaussians: what a fit makes, and what eyes, files and the host's own nodes are made from.

World      right-handed, y up, the reference camera on +z. Files of splats have y down and z forward: that turn is made
           where a file is written or a socket is left, nowhere else.
Time       0 is the first frame of the clip and 1 the last; the knots lie at equal distances between them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional

from .cameras import Orbit

WHITE = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class SplatScene:
    """N Gaussians at F knots of time.

    Attributes:
        positions: (F, N, 3) centers in the world, float32.
        rotations: (F, N, 4) unit quaternions wxyz, from a Gaussian's axes to the world's.
        scales: (N, 3) stds along its axes, in the world's unit, above 0.
        opacities: (N, 1) in [0, 1].
        colors: (N, 3) in [0, 1], as the pictures have them (not linear light).
        orbit: the cameras that the pictures were seen by; a scene that comes from elsewhere has the usual ones.
        background: the color in [0, 1] behind the scene, on which it was fitted.
        quality: what is known of how well it fits, in words for the user.

    Raises:
        ValueError: a shape does not fit, or a value is not finite.
    """

    positions: Tensor
    rotations: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor
    orbit: Orbit = field(default_factory=Orbit)
    background: tuple[float, float, float] = WHITE
    quality: str = ""

    def __post_init__(self) -> None:
        frames, count = self.positions.shape[:2] if self.positions.ndim == 3 else (0, 0)
        shapes = {
            "positions": (frames, count, 3),
            "rotations": (frames, count, 4),
            "scales": (count, 3),
            "opacities": (count, 1),
            "colors": (count, 3),
        }
        for name, shape in shapes.items():
            tensor: Tensor = getattr(self, name)
            if tuple(tensor.shape) != shape or frames == 0:
                raise ValueError(f"{name}: expected {shape} with at least one frame, got {tuple(tensor.shape)}.")
            if not tensor.isfinite().all():
                raise ValueError(f"{name}: holds NaN or infinite values. Make the splats again without them.")

    @property
    def frames(self) -> int:
        """F: 1 for a still scene."""
        return self.positions.shape[0]

    @property
    def count(self) -> int:
        """N."""
        return self.positions.shape[1]

    def at(self, time: float) -> SplatScene:
        """Return the still scene (F = 1) of one time.

        Positions follow the cubic through the knots whose velocity at a knot is that between its neighbors
        (Catmull and Rom, 1974), at the ends that of the parabola through the outer three; rotations the great circle
        between two knots (Shoemake, 1985).

        Args:
            time: 0 to 1; a still scene is the same at all of them.

        Raises:
            ValueError: a time outside 0 to 1.
        """
        if not 0 <= time <= 1:
            raise ValueError(f"A time lies between 0, the first frame, and 1, the last; got {time:g}.")
        if self.frames == 1:
            return self
        place = time * (self.frames - 1)
        knot = min(int(place), self.frames - 2)
        fraction = place - knot
        positions = _cubic(self.positions, knot, fraction)
        rotations = slerp(self.rotations[knot], self.rotations[knot + 1], fraction)
        return replace(self, positions=positions[None], rotations=rotations[None])

    def to(self, device: torch.device | str) -> SplatScene:
        """Return the scene with its tensors on ``device``."""
        names = ("positions", "rotations", "scales", "opacities", "colors")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


def still_scene(positions: Tensor, rotations: Tensor, scales: Tensor, opacities: Tensor, colors: Tensor) -> SplatScene:
    """Return a scene of one time, seen by the usual cameras, on white: positions (N, 3) and rotations (N, 4)."""
    return SplatScene(positions[None], rotations[None], scales, opacities, colors)


def slerp(start: Tensor, end: Tensor, fraction: float) -> Tensor:
    """Turn unit quaternions (..., 4) from ``start`` to ``end`` the shorter way, by ``fraction`` in [0, 1]."""
    cosine = (start * end).sum(dim=-1, keepdim=True)
    end = torch.where(cosine < 0, -end, end)
    angle = cosine.abs().clamp(max=1).acos()
    # Where the angle is small both weights are those of the chord.
    sine = angle.sin().clamp(min=1e-6)
    small = angle < 1e-4
    first = torch.where(small, 1 - fraction, ((1 - fraction) * angle).sin() / sine)
    second = torch.where(small, fraction, (fraction * angle).sin() / sine)
    return functional.normalize(first * start + second * end, dim=-1)


def _cubic(knots: Tensor, knot: int, fraction: float) -> Tensor:
    """Cubic Hermite between ``knots[knot]`` and the next, with velocities of second order also at the ends."""
    start, end = knots[knot], knots[knot + 1]
    leaving, arriving = _velocity(knots, knot), _velocity(knots, knot + 1)
    t, tt, ttt = fraction, fraction**2, fraction**3
    return (
        (2 * ttt - 3 * tt + 1) * start + (ttt - 2 * tt + t) * leaving + (3 * tt - 2 * ttt) * end + (ttt - tt) * arriving
    )


def _velocity(knots: Tensor, knot: int) -> Tensor:
    last = knots.shape[0] - 1
    if last == 1:
        return knots[1] - knots[0]
    if knot == 0:
        return (4 * knots[1] - 3 * knots[0] - knots[2]) / 2
    if knot == last:
        return (3 * knots[last] - 4 * knots[last - 1] + knots[last - 2]) / 2
    return (knots[knot + 1] - knots[knot - 1]) / 2
