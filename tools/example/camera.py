"""The camera of the example, and the one beside it."""

from __future__ import annotations

import numpy as np

from .files import CONVERGENCE, MAX_DISPARITY
from .shapes import dot, turn, vector

EYE, PITCH, HALF_ANGLE = vector(0, 0.46, 0), 11.8, 25.0  # metres, degrees


class Camera:
    """A pinhole that looks along z, turned down by ``PITCH``.

    Args:
        width, height: of the picture.
        eye: how far it stands to the right.
        shift: columns by which the picture is moved to the right.
    """

    def __init__(self, width: int, height: int, eye: float = 0.0, shift: float = 0.0) -> None:
        self.width, self.height, self.shift = width, height, shift
        self.focal = width / 2 / np.tan(np.radians(HALF_ANGLE))
        self.axes = turn(0, PITCH).astype(np.float32)
        self.eye = EYE + vector(eye, 0, 0)

    def rays(self, pixel: np.ndarray, dx: np.ndarray | float, dy: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Origins and unit directions (3, N) through pixels, at ``dx``, ``dy`` in [0, 1] from their corner."""
        x = (pixel % self.width + dx - self.shift - self.width / 2) / self.focal
        y = (pixel // self.width + dy - self.height / 2) / self.focal
        direction = self.axes @ np.stack([x, -y, np.ones_like(x)]).astype(np.float32)
        direction /= np.sqrt(dot(direction, direction))
        return np.broadcast_to(self.eye[:, None], direction.shape), direction

    def inverse_depth(self, direction: np.ndarray, t: np.ndarray) -> np.ndarray:
        """One over the distance along the camera's axis, 0 for the sky."""
        return 1 / (t * (self.axes[:, 2] @ direction))


def right_camera(left: Camera, inverse_depth: np.ndarray) -> Camera:
    """The camera whose picture has the disparity of ``MAX_DISPARITY`` and ``CONVERGENCE`` for ``inverse_depth``."""
    low, high = float(inverse_depth.min()), float(inverse_depth.max())
    product = MAX_DISPARITY / 100 * left.width / (high - low)  # focal length times baseline
    on_screen = low + CONVERGENCE * (high - low)
    return Camera(left.width, left.height, product / left.focal, product * on_screen)
