"""What the conditioning of SV3D_p and SVD says beside the picture: cameras, and motion; written and read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...stereo_core.image_matrix import full_turn, to_reference
from ..sampling.prompts import expect_prompt
from .conditioning import Conditioning

# Std of the noise on the picture that SV3D was trained with, and is told; on pictures in [-1, 1].
ORBIT_AUGMENTATION = 1e-5
# What Diffusion²'s published code tells SVD: 127, and 24 frames per second, which the host makes of 25.
PUBLISHED_MOTION = {"motion_bucket_id": 127, "fps": 25}
# The host takes the remainder of 360 in float32: this, the number below it, is told as 2 pi, and 360 as 0.
_FULL_TURN = 360.0 - 2.0**-15


def orbit_settings(azimuths: Sequence[float], elevations: Sequence[float]) -> dict[str, Any]:
    """Return the entries of a conditioning from which SV3D_p knows its cameras.

    Args:
        azimuths: of the V views, in degrees, as ``to_reference`` writes them: the last is 360.
        elevations: of the V views, in degrees above the object's middle.
    """
    return {"elevation": list(elevations), "azimuth": [*azimuths[:-1], min(azimuths[-1], _FULL_TURN)]}


def read_orbit(positive: Conditioning | None, views: int) -> tuple[list[float], list[float]]:
    """Return azimuths and elevations of the views of an orbit from the conditioning that it was sampled with.

    Args:
        positive: of Orbit Conditioning or SV3D_Conditioning; ``None`` for a full turn with a level camera.
        views: V, pictures of the orbit.

    Returns:
        V of each, in degrees; azimuths as ``to_reference`` writes them.

    Raises:
        ValueError: no cameras in it, cameras of another number of views, or a last view that is not the reference's.
    """
    if positive is None:
        return full_turn(views), [0.0] * views
    azimuths, elevations = _read("orbit_positive", positive, ("azimuth", "elevation"), "Orbit Conditioning")
    if (len(azimuths), len(elevations)) != (views, views):
        raise ValueError(
            f"orbit_positive is for {len(azimuths)} views and view_strip has {views} pictures. "
            "Connect the conditioning with which view_strip was sampled, and all of the pictures."
        )
    if not all(math.isfinite(angle) for angle in elevations):
        raise ValueError("orbit_positive: an elevation is no finite number. Connect positive of Orbit Conditioning.")
    return to_reference(azimuths, "orbit_positive"), list(elevations)


def read_motion(positive: Conditioning | None) -> dict[str, Any]:
    """Return the entries on motion of the conditioning with which a video was sampled.

    Args:
        positive: of SVD_img2vid_Conditioning; ``None`` for ``PUBLISHED_MOTION``.

    Raises:
        ValueError: none in it.
    """
    if positive is None:
        return PUBLISHED_MOTION
    names = tuple(PUBLISHED_MOTION)
    return dict(zip(names, _read("video_positive", positive, names, "SVD_img2vid_Conditioning"), strict=True))


def _read(name: str, positive: Conditioning, keys: tuple[str, ...], source: str) -> list[Any]:
    expect_prompt(name, positive)
    settings = positive[0][1]
    missing = [key for key in keys if key not in settings]
    if missing:
        raise ValueError(f"{name}: it carries no {' and no '.join(missing)}. Connect positive of {source}.")
    return [settings[key] for key in keys]
