"""What other frames could give at most: holes filled along the motion of the background, as if nothing stood before it.

No method knows this motion: it is the flow of the frames without the occluder. What a hole shows is followed to the
nearest frames before and after in which the right view shows it, and of these two colours and of the fill of the single
frame that one is taken, pixel by pixel, which is closest to the truth.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stereo_core.clip_filling import ClipSettings
from stereo_core.optical_flow import optical_flow, resize_flow
from stereo_core.point_cells import read_points

_SAME = 0.04  # of 1, by which a colour of the right view may differ from the truth where it shows the background


def fill_along_known_motion(truth: Tensor, alone: Tensor, hole: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """Fill holes from other frames along the true motion.

    Args:
        truth: (T, 3, H, W) in [0, 1], the right views without the occluder.
        alone: the same shape, the rendered right views, every frame filled by itself.
        hole: (T, 1, H, W) bool, their holes.
        reach: frames before and after in which to look.

    Returns:
        The views, filled with the nearest sight; and with the best of both sights and the single frame's fill.
    """
    frames, _, height, width = truth.shape
    background = ~hole & (alone - truth).abs().amax(1, keepdim=True).lt(_SAME)
    shown = 1 - F.max_pool2d(1 - background.float(), 3, 1, 1)
    flows = {}
    for t in range(frames - 1):
        flows[t, 1], flows[t + 1, -1] = _flows(truth[t : t + 2])
    nearest, best = alone.clone(), alone.clone()
    for t in range(frames):
        pixel = hole[t, 0].flatten().nonzero().flatten()
        true, fill = (of[t].flatten(1)[:, pixel] for of in (truth, alone))
        sights = [_follow(flows, truth, shown, t, step, pixel, reach) for step in (-1, 1)]
        away = torch.stack([distance for _, distance in sights])
        first = torch.where(away[0] <= away[1], sights[0][0], sights[1][0])
        nearest[t].flatten(1)[:, pixel] = torch.where(away.amin(0) <= reach, first, fill)
        tried = torch.stack([fill, *(torch.where(far <= reach, colour, fill) for colour, far in sights)])
        closest = (tried - true).square().mean(1).argmin(0)
        best[t].flatten(1)[:, pixel] = tried.gather(0, closest.expand(1, 3, -1))[0]
    return nearest, best


def _flows(pair: Tensor) -> Tensor:
    """Return the flow of a pair (2, 3, H, W) ahead and back, found at the size at which a clip's is: (2, 2, H, W)."""
    height, width = pair.shape[-2:]
    scale = min(1.0, ClipSettings().flow_size / max(height, width))
    small = F.interpolate(pair, (round(height * scale), round(width * scale)), mode="bilinear", antialias=True)
    return resize_flow(optical_flow(small, small.flip(0)), (height, width))


def _follow(
    flows: dict[tuple[int, int], Tensor], truth: Tensor, shown: Tensor, t: int, step: int, pixel: Tensor, reach: int
) -> tuple[Tensor, Tensor]:
    """Return the colours (3, N) that the nearest frames on one side show, and how far away (N,) these are."""
    height, width = truth.shape[-2:]
    point = torch.stack([pixel % width, pixel // width]).float()
    colour = truth.new_zeros(3, len(pixel))
    distance = torch.full((len(pixel),), reach + 1)
    away = 0
    while away < reach and (t, step) in flows:
        point = point + read_points(flows[t, step], point)
        t, away = t + step, away + 1
        inside = (point[0] >= 0) & (point[0] <= width - 1) & (point[1] >= 0) & (point[1] <= height - 1)
        found = inside & (distance > reach) & (read_points(shown[t], point)[0] > 0.99)
        colour[:, found] = read_points(truth[t], point[:, found])
        distance[found] = away
    return colour, distance
