"""Pictures of 3D Gaussians: projection (EWA) and blending, with gradients, on any device.

A Gaussian with mean m and covariance S is seen as one with mean pi(R (m - eye)) and covariance J R S R^T J^T + I / 12,
in pixels, J the projection's derivative at its mean (Zwicker et al., "EWA splatting", 2001; Kerbl et al., "3D Gaussian
splatting for real-time radiance field rendering", 2023, Eq. 3, 5 and 6). The 1/12 is the variance of a pixel's square;
the usual 0.3 is wider than that, and a fit then makes up for the wider outlines by placing Gaussians too deep. Opacity
falls by the ratio of the areas without and with it, so that what is thinner than a pixel covers no more of it than it
should (Yu et al., "Mip-Splatting", 2024, Eq. 9).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .cameras import Camera, Orbit
from .splat_scene import SplatScene
from .splat_tiles import GROUP, blend, exponents, reached_tiles, tile_lists

BLUR = 1 / 12  # square pixels added to every covariance
_FIELD = 1.3  # the derivative is that of a place within so many times the picture: beyond, it is no good
NEAREST = 0.01  # depth below which nothing is drawn, of scenes that the usual cameras see; of smaller ones less
_LEAST_RATIO = 2.5e-5  # of areas, so that the root of it keeps a gradient
CUT = 1 / 1024  # a Gaussian counts out to where its alpha falls below this
_OUTER = 0.01  # of a clip's depths that lie before its near and behind its far
_COVERED = 0.5  # alpha from which on a pixel shows the scene and not its background
_VISIBLE = 1 / 255  # and from which on it differs from that at all
# Bytes that drawing a picture holds at most: for a Gaussian, for a Gaussian in a tile, and for a group of tiles.
_OF_GAUSSIAN, _OF_PAIR, _OF_GROUP = 300, 200, 4 * 10 * GROUP


class Gaussians(NamedTuple):
    """N Gaussians at one time; see ``SplatScene``.

    Attributes:
        positions: (N, 3).
        rotations: (N, 4) wxyz, of any length above 0.
        scales: (N, 3).
        opacities: (N, 1).
        colors: (N, 3).
    """

    positions: Tensor
    rotations: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor


class Rendered(NamedTuple):
    """What a camera sees.

    Attributes:
        color: (3, H, W), on the background.
        alpha: (1, H, W) in [0, 1], what the scene covers.
        depth: (1, H, W) the mean depth of what is seen; without gradients, 0 where nothing is.
        surface: (1, H, W) the depth at which half the light is stopped, 0 where less is: no mean of near and far at
            edges, but in steps from Gaussian to Gaussian; without gradients.
    """

    color: Tensor
    alpha: Tensor
    depth: Tensor
    surface: Tensor


def still_gaussians(scene: SplatScene, time: float) -> Gaussians:
    """Return the Gaussians of a scene at a time from 0 to 1."""
    still = scene.at(time)
    return Gaussians(still.positions[0], still.rotations[0], still.scales, still.opacities, still.colors)


def render(scene: SplatScene, camera: Camera, time: float = 0.0) -> Rendered:
    """Draw a scene on its own background.

    Raises:
        ValueError: a time outside 0 to 1.
    """
    return rasterize(still_gaussians(scene, time), camera, scene.background, nearest=_nearest(scene))


def render_pair(scene: SplatScene, eyes: tuple[Camera, Camera], time: float = 0.0) -> tuple[Rendered, Rendered]:
    """Draw a scene for two eyes that look the same way.

    Both blend in one order: depths of the same Gaussians that differ in their last digit would shimmer in one eye.
    """
    gaussians = still_gaussians(scene, time)
    order = depth_order(gaussians.positions, eyes[0])
    nearest = _nearest(scene)
    left, right = (rasterize(gaussians, eye, scene.background, order, nearest=nearest) for eye in eyes)
    return left, right


def clip_depths(scene: SplatScene, cameras: Iterable[Camera], times: Iterable[float]) -> tuple[float, float]:
    """Return the near and the far depth of a clip: all but the outer 1 % of what its frames show of the scene.

    Where nothing covers half of a pixel, the scene being thin as smoke or far away, what covers most counts.

    Args:
        scene: of which the clip is made.
        cameras: one a frame; a small picture is enough.
        times: one a frame, 0 to 1.

    Raises:
        ValueError: nothing of the scene is seen in any frame.
    """
    found, faint = [], []
    for camera, time in zip(cameras, times, strict=True):
        seen = render(scene, camera, time)
        found.append(seen.surface[seen.alpha > _COVERED].cpu())
        faint.append(seen.depth[(seen.alpha > _VISIBLE) & (seen.alpha > seen.alpha.max() / 2)].cpu())
    solid = torch.cat(found)
    depths = solid if len(solid) else torch.cat(faint)
    depths = depths[depths > 0].sort().values
    if len(depths) == 0:
        raise ValueError("The camera sees nothing of the scene. Move it, or turn it towards the scene.")
    outer = int(_OUTER * (len(depths) - 1))
    return float(depths[outer]), float(depths[len(depths) - 1 - outer])


def depth_order(positions: Tensor, camera: Camera) -> Tensor:
    """Return the (N,) indices of positions (N, 3), nearest first along the camera's axis."""
    return camera.seen(positions.detach())[:, 2].argsort(stable=True)


def rasterize(
    gaussians: Gaussians,
    camera: Camera,
    background: Sequence[float] | Tensor,
    order: Tensor | None = None,
    cut: float = CUT,
    nearest: float = NEAREST,
) -> Rendered:
    """Draw Gaussians; color and alpha have gradients to all of their tensors.

    Args:
        gaussians: on one device, which is also the result's.
        camera: of the picture.
        background: three values, the color behind everything.
        order: (N,) from ``depth_order``, of a camera that looks the same way; ``None`` makes it.
        cut: a Gaussian counts out to where its alpha falls below this.
        nearest: depth below which nothing is drawn.
    """
    if order is None:
        order = depth_order(gaussians.positions, camera)
    means, conics, opacities, depths, reach = _footprints(gaussians, camera, cut, nearest)
    with torch.no_grad():
        lists = tile_lists(means, reach, order, camera.width, camera.height)
    chosen = lists.gaussians
    coefficients = exponents(
        means[chosen] - lists.middles().to(means), conics[chosen], opacities.clamp(min=cut / 2)[chosen].log()
    )
    features = torch.cat([gaussians.colors, depths.detach()[:, None]], dim=-1)[chosen]
    blended, passed, half = (part[:, : camera.height, : camera.width] for part in blend(coefficients, features, lists))
    alpha = 1 - passed
    color = blended[:3] + passed * torch.as_tensor(background).to(blended)[:, None, None]
    with torch.no_grad():
        depth = torch.where(alpha > 0, blended[3:] / alpha.clamp(min=1e-6), 0.0)
        stopped = torch.cat([depths[chosen], depths.new_zeros(1)])  # -1 is the last
        surface = stopped[half]
    return Rendered(color, alpha, depth, surface)


@torch.no_grad()
def drawing_bytes(scene: SplatScene, cameras: Iterable[Camera] = (), times: Iterable[float] = ()) -> int:
    """Return about how many bytes it takes to draw the largest of a clip's pictures, without drawing any.

    Gaussians next to a camera reach all over its picture, so it depends on where the cameras are.

    Args:
        scene: of which the clip is made.
        cameras: one a frame; without any, what is needed wherever they are.
        times: one a frame, 0 to 1.
    """
    most = 0
    for camera, time in zip(cameras, times, strict=True):
        seen = _footprints(still_gaussians(scene, time), camera, CUT, _nearest(scene))
        most = max(most, reached_tiles(seen.means, seen.reach, camera.width, camera.height))
    return scene.count * _OF_GAUSSIAN + most * _OF_PAIR + _OF_GROUP


def rotation_matrices(quaternions: Tensor) -> Tensor:
    """Return the rotations (..., 3, 3) of quaternions (..., 4) wxyz of any length above 0."""
    w, x, y, z = functional.normalize(quaternions, dim=-1).unbind(-1)
    rows = (
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack(rows, dim=-1).reshape(*quaternions.shape[:-1], 3, 3)


class _Footprints(NamedTuple):
    means: Tensor  # (N, 2) in pixels
    conics: Tensor  # (N, 3) the inverse covariances' xx, xy and yy
    opacities: Tensor  # (N,)
    depths: Tensor  # (N,)
    reach: Tensor  # (N, 2) half of the box around where alpha is above the cut, negative if it is nowhere


def _nearest(scene: SplatScene) -> float:
    return NEAREST * min(1.0, scene.orbit.radius / Orbit().radius)


def _footprints(gaussians: Gaussians, camera: Camera, cut: float, nearest: float) -> _Footprints:
    """What N Gaussians are in a picture."""
    means, covariances, depths = _project(gaussians, camera, nearest)
    conics, ratio = _widen(covariances)
    opacities = gaussians.opacities[:, 0] * ratio
    with torch.no_grad():
        # sqrt(2 ln(o / cut)) stds along each axis: a box around the ellipse where alpha is the cut.
        stds = (2 * (opacities / cut).clamp(min=1).log()).sqrt()
        reach = stds[:, None] * (covariances[:, ::2] + BLUR).sqrt()
        drawn = (depths > nearest) & (opacities > cut)
        reach = torch.where(drawn[:, None], reach, -1.0)
    return _Footprints(means, conics, opacities, depths, reach)


def _project(gaussians: Gaussians, camera: Camera, nearest: float) -> tuple[Tensor, Tensor, Tensor]:
    """(N, 2) means and (N, 3) covariances xx, xy, yy, in pixels, and (N,) depths."""
    seen = camera.seen(gaussians.positions)
    depths = seen[:, 2]
    z = depths.clamp(min=nearest)
    slopes = seen[:, :2] / z[:, None]  # tangents of the directions
    means = camera.focal * slopes + slopes.new_tensor(camera.center)
    # d(x / z) = (dx - x / z dz) / z, along the camera's axes.
    size, center = slopes.new_tensor([camera.width, camera.height]), slopes.new_tensor(camera.center)
    margin = (_FIELD - 1) / 2 * size
    held = torch.clamp(slopes, (-margin - center) / camera.focal, (size + margin - center) / camera.focal)
    axes = camera.rotation.to(seen)
    derivative = (camera.focal / z)[:, None, None] * (axes[:2] - held[:, :, None] * axes[2])  # (N, 2, 3)
    spread = derivative @ (rotation_matrices(gaussians.rotations) * gaussians.scales[:, None, :])
    across, down = spread.unbind(1)
    covariances = torch.stack([(across * across).sum(-1), (across * down).sum(-1), (down * down).sum(-1)], dim=-1)
    return means, covariances, depths


def _widen(covariances: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 3) inverses of the covariances with their blur, and (N,) the roots of the areas' ratios."""
    xx, xy, yy = covariances.unbind(-1)
    area = xx * yy - xy * xy
    xx, yy = xx + BLUR, yy + BLUR
    wider = xx * yy - xy * xy
    ratio = (area / wider).clamp(min=_LEAST_RATIO).sqrt()
    return torch.stack([yy, -xy, xx], dim=-1) / wider[:, None], ratio
