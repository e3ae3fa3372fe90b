"""The host's SPLAT: a scene of this pack as one, and one as a scene."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import torch
from comfy_api.latest import Types, io
from torch import Tensor
from torch.nn import functional

from ...stereo_core.cameras import Orbit
from ...stereo_core.splat_files import from_harmonics, to_harmonics, turned
from ...stereo_core.splat_scene import SplatScene, still_scene
from ..widgets.sockets import SPLAT_4D

# A camera that is not said stands so far away that nearly all of the splats fill so much of the picture.
_INNER, _FILLED = 0.99, 0.9
_REACH = 3.0  # stds, to where a Gaussian can be seen
_UNTURNED = (1.0, 0.0, 0.0, 0.0)


class Framed(NamedTuple):
    """A scene, and the point (3,) of its world that its cameras look at."""

    scene: SplatScene
    middle: Tensor


def splat_input() -> io.MultiType.Input:
    """``splat``, for ``read_splat``."""
    return io.MultiType.Input(
        "splat",
        types=[SPLAT_4D, io.Splat],
        tooltip="The moving scene of Splat 4D Reconstruct; or one of ComfyUI's splats, which stands still.",
    )


def read_splat(splat: SplatScene | Types.SPLAT) -> Framed:
    """Return what ``splat_input`` was given as a scene.

    Raises:
        ValueError: more than one of the host's splats, or one that holds nothing, or NaN.
    """
    if isinstance(splat, SplatScene):
        return Framed(splat, torch.zeros(3))
    count = len(splat.positions)
    if count != 1:
        raise ValueError(
            f"splat holds {count} splats, and one is a scene. Connect a single one, or Splat 4D Reconstruct."
        )
    real = splat.positions.shape[1] if splat.counts is None else int(splat.counts[0])
    if real == 0:
        raise ValueError("splat is empty. Connect a splat with at least one Gaussian.")
    # What the host made has no gradients, and may lie anywhere in any precision.
    positions, rotations, scales, opacities, harmonics = (
        part[0, :real].float().cpu()
        for part in (splat.positions, splat.rotations, splat.scales, splat.opacities, splat.sh)
    )
    rotations = functional.normalize(rotations, dim=-1)
    # As every viewer takes them: no rotation at all is none, and of a std only its square is used.
    rotations = torch.where(rotations.any(dim=-1, keepdim=True), rotations, rotations.new_tensor(_UNTURNED))
    positions, rotations = turned(positions, rotations)
    try:
        scene = still_scene(positions, rotations, scales.abs(), opacities.clamp(0, 1), from_harmonics(harmonics[:, 0]))
    except ValueError as error:
        raise ValueError(f"splat: {error}") from error
    middle = _middle(positions)
    away = (positions - middle).norm(dim=-1) + _REACH * scene.scales.amax(dim=-1)
    extent = float(away.kthvalue(max(1, round(_INNER * real))).values.clamp(min=1e-4))  # quantile() takes 16 million
    radius = extent / (_FILLED * math.tan(math.radians(scene.orbit.fov) / 2))
    return Framed(replace(scene, orbit=Orbit(radius=radius)), middle)


def _middle(positions: Tensor) -> Tensor:
    """(3,) the middle of the box around nearly all of (N, 3): a few that fly far away would draw the mean with them."""
    count = len(positions)
    outer = max(1, round((1 - _INNER) / 2 * count))
    first, last = (positions.kthvalue(rank, dim=0).values for rank in (outer, count + 1 - outer))
    return (first + last) / 2


def to_host(scene: SplatScene, times: Iterable[float]) -> Types.SPLAT:
    """Return the host's SPLAT, an entry for each of the times from 0 to 1."""
    stills = [scene.at(time) for time in times]
    positions, rotations = turned(
        torch.cat([still.positions for still in stills]), torch.cat([still.rotations for still in stills])
    )

    def repeated(part: Tensor) -> Tensor:
        return part[None].repeat(len(stills), *(1 for _ in part.shape))

    return Types.SPLAT(
        positions,
        repeated(scene.scales),
        rotations,
        repeated(scene.opacities),
        repeated(to_harmonics(scene.colors)[:, None]),
    )
