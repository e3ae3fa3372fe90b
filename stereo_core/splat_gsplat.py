"""What draws the pictures of a fit: gsplat, where it is installed and agrees with this pack, else this pack."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from subprocess import SubprocessError
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .cameras import Camera
from .splatting import BLUR, NEAREST, Gaussians, Rendered, rasterize

_CUT = 1 / 255  # alpha below which gsplat leaves Gaussians out
# By so much may colours differ, in the mean and at most, and gradients, of the length of this pack's.
_MEAN, _MOST, _GRADIENTS = 0.001, 0.02, 0.05
# A fit begins with balls, which look the same however they are turned: they are tried stretched and turned.
_STRETCHED, _TURNED = (0.6, 1.0, 1.6), (0.0, 0.3, -0.5, 0.4)
# What it may raise: it compiles its kernels when it is first used, and other versions take other arguments.
_RAISED = (AssertionError, AttributeError, ImportError, OSError, RuntimeError, SubprocessError, TypeError, ValueError)


class Drawn(NamedTuple):
    """What a fit compares.

    Attributes:
        color: (3, H, W), on the background.
        alpha: (1, H, W) in [0, 1], what the scene covers.
    """

    color: Tensor
    alpha: Tensor


Draw = Callable[[Gaussians, Camera, Sequence[float]], Drawn | Rendered]


def fitting_rasterizer(gaussians: Gaussians, camera: Camera, background: Sequence[float]) -> Draw:
    """Return what draws the pictures of a fit, after a trial on one of them.

    gsplat (Ye et al., "gsplat: An open-source library for Gaussian splatting", 2024) is asked only on CUDA; where it
    cannot be used, or differs from ``rasterize`` with its own cut, the log says why and ``rasterize`` it is. Fits by
    gsplat differ a little: it leaves out what covers less than 1/255 instead of 1/1024, and lets one Gaussian cover
    0.999 of a pixel instead of 0.99.

    Args:
        gaussians: with which the fit begins; their device is the fit's.
        camera: of one of its pictures.
        background: three values, the color behind everything.
    """
    if not _may_ask(gaussians.positions.device):
        return rasterize
    try:
        draw = partial(_draw, import_module("gsplat").rasterization)
        differs = _difference(draw, gaussians, camera, background)
    except _RAISED as error:
        differs = f"{type(error).__name__}: {error}"
    if differs is None:
        return draw
    logging.warning("gsplat is installed and is not used: %s", differs)
    return rasterize


def _may_ask(device: torch.device) -> bool:
    return device.type == "cuda" and find_spec("gsplat") is not None


def _draw(
    rasterization: Callable[..., tuple[Tensor, Tensor, Any]],
    gaussians: Gaussians,
    camera: Camera,
    background: Sequence[float],
) -> Drawn:
    """Draw by gsplat as ``rasterize`` does: the same blur, and opacities that make up for it ("antialiased")."""
    means = gaussians.positions
    view = torch.eye(4).to(means)
    view[:3, :3] = camera.rotation
    view[:3, 3] = -(camera.rotation @ camera.position)
    column, row = camera.center
    pixels = means.new_tensor([[camera.focal, 0, column], [0, camera.focal, row], [0, 0, 1]])
    color, alpha, _ = rasterization(
        means=means,
        quats=gaussians.rotations,
        scales=gaussians.scales,
        opacities=gaussians.opacities[:, 0],
        colors=gaussians.colors,
        viewmats=view[None],
        Ks=pixels[None],
        width=camera.width,
        height=camera.height,
        near_plane=NEAREST,
        eps2d=BLUR,
        packed=False,
        backgrounds=means.new_tensor(background)[None],
        rasterize_mode="antialiased",
    )
    return Drawn(color[0].movedim(-1, 0), alpha[0].movedim(-1, 0))


def _difference(draw: Draw, gaussians: Gaussians, camera: Camera, background: Sequence[float]) -> str | None:
    """Draw a picture both ways and say where they differ by more than they may; ``None`` if nowhere."""
    stretched = gaussians.scales * gaussians.scales.new_tensor(_STRETCHED)
    turned = gaussians.rotations + gaussians.rotations.new_tensor(_TURNED)
    gaussians = gaussians._replace(scales=stretched, rotations=turned)
    tried = [_trial(one, gaussians, camera, background) for one in (partial(rasterize, cut=_CUT), draw)]
    (ours, our_gradients), (theirs, their_gradients) = tried
    apart = (theirs - ours).abs()
    if not (apart.mean() <= _MEAN and apart.max() <= _MOST):  # which NaN is not
        return f"its pictures differ by {float(apart.mean()):.3g} in the mean, {float(apart.max()):.3g} at most"
    for name, our, their in zip(Gaussians._fields, our_gradients, their_gradients, strict=True):
        share = float((their - our).norm() / our.norm().clamp(min=1e-12))
        if not share <= _GRADIENTS:
            return f"its gradients of {name} differ by {100 * share:.3g} %"
    return None


def _trial(
    draw: Draw, gaussians: Gaussians, camera: Camera, background: Sequence[float]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """A picture (4, H, W) of colors and alpha, and the gradients of its squares' mean to each tensor."""
    leaves = Gaussians(*(tensor.detach().clone().requires_grad_() for tensor in gaussians))
    seen = draw(leaves, camera, background)
    picture = torch.cat([seen.color, seen.alpha])
    gradients = torch.autograd.grad(picture.square().mean(), tuple(leaves), materialize_grads=True)
    return picture.detach(), gradients
