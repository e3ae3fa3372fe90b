"""Gaussians drawn plainly: each at every pixel, as the equations have it, in any precision; the tiles' oracle."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stereo_core.cameras import Camera
from stereo_core.splatting import Gaussians, rotation_matrices

BLUR = 1 / 12  # square pixels
_MOST, _NEAREST = 0.99, 0.01


def draw_plainly(
    gaussians: Gaussians, camera: Camera, background: Sequence[float], blur: float = BLUR, compensated: bool = True
) -> tuple[Tensor, Tensor]:
    """Return (3, H, W) color and (1, H, W) alpha, in the precision of the positions.

    ``blur`` is what each covariance is widened by; unless opacities are ``compensated``, that covers more.
    """
    positions, rotations, scales, opacities, colors = gaussians
    world = camera.rotation.to(positions)
    seen = (positions - camera.position.to(positions)) @ world.T
    order = seen[:, 2].argsort()
    order = order[seen[order, 2] > _NEAREST]
    x, y, z = seen[order].unbind(-1)
    focal, zero = camera.focal, torch.zeros_like(z)
    derivative = torch.stack([focal / z, zero, -focal * x / z**2, zero, focal / z, -focal * y / z**2], dim=-1)
    axes = rotation_matrices(rotations[order]) * scales[order, None]
    spread = derivative.view(-1, 2, 3) @ world @ axes
    covariance = spread @ spread.mT
    wider = covariance + blur * torch.eye(2).to(z)
    steps = [torch.arange(size).to(z) + 0.5 for size in (camera.height, camera.width)]
    rows, columns = torch.meshgrid(*steps, indexing="ij")
    across = columns - (focal * x / z + camera.center[0])[:, None, None]
    down = rows - (focal * y / z + camera.center[1])[:, None, None]
    offsets = torch.stack([across, down], dim=-1)  # (N, H, W, 2)
    exponents = (offsets @ wider.inverse()[:, None] * offsets).sum(-1) / 2
    opacity = opacities[order, 0]
    if compensated:
        opacity = opacity * (covariance.det() / wider.det()).sqrt()
    alpha = (opacity[:, None, None] * (-exponents).exp()).clamp(max=_MOST)
    left = torch.cat([torch.ones_like(rows)[None], (1 - alpha).cumprod(dim=0)])
    color = torch.einsum("nhw,nc->chw", alpha * left[:-1], colors[order])
    return color + left[-1:] * torch.tensor(tuple(background)).to(z)[:, None, None], 1 - left[-1:]
