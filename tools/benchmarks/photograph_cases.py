"""Real pairs on the grid of a latent, each with a denoiser that knows the others alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stereo_core.inversion import invert
from stereo_core.noise_forms import NoiseForm
from stereo_core.rendering import render_view
from stereo_core.trajectory import Trajectory
from stereo_core.view_shift import ShiftForm

from .exact_denoisers import GaussianPrior, to_modes
from .exact_stepper import Denoise, karras
from .linear_latents import LinearLatent
from .local_patches import LocalPatches
from .scenes import Scene

ROWS, STEPS = 40, 20
SIZE = 512  # of the photographs that latents are averaged from


class Case(NamedTuple):
    """A pair on a latent's grid, and what denoises it.

    Attributes:
        latent: the map between pictures and latents.
        left: (1, C, rows, columns) latent of the left view.
        picture: its picture.
        right: the picture of the true right view.
        disparity: (1, 1, rows, columns), true columns of the latent.
        denoise: knows the other pairs.
    """

    latent: LinearLatent
    left: Tensor
    picture: Tensor
    right: Tensor
    disparity: Tensor
    denoise: Denoise

    @property
    def picture_disparity(self) -> Tensor:
        """The disparity at the picture's size and in its columns."""
        square = self.latent.square
        return self.disparity.repeat_interleave(square, -1).repeat_interleave(square, -2) * square

    def columns(self, form: ShiftForm) -> Tensor:
        """The disparity as a form moves it."""
        match form:
            case ShiftForm.ROUNDED:
                return self.disparity.round()
            case ShiftForm.TRUNCATED:
                return self.disparity.trunc()
        return self.disparity


def make_case(
    scenes: list[Scene],
    index: int,
    latent: LinearLatent,
    columns: int,
    learn: Callable[[list[Tensor]], LocalPatches | GaussianPrior],
) -> Case:
    """Bring a pair to a latent's grid, the rows in the middle alone, and learn from all others."""
    first = (columns - ROWS) // 2 * latent.square
    band = slice(first, first + ROWS * latent.square)
    scene = scenes[index]
    left, right = (latent.picture(view, columns)[..., band, :] for view in (scene.left, scene.right))
    disparity = F.interpolate(scene.disparity, size=columns, mode="nearest-exact") * (columns / SIZE)
    rows = slice(first // latent.square, first // latent.square + ROWS)
    others = [view for other in scenes if other is not scene for view in (other.left, other.right)]
    known = [latent.encode(latent.picture(view, columns)) for view in others]
    if learn is gaussian_of:
        known = [view[..., rows, :] for view in known]
    return Case(latent, latent.encode(left), left, right, disparity[..., rows, :], learn(known).denoise)


def gaussian_of(latents: list[Tensor]) -> GaussianPrior:
    """The Gaussian whose cosine modes have the mean power of these latents."""
    return GaussianPrior(torch.cat([to_modes(latent) for latent in latents]).square().mean(0))


def noisy(case: Case) -> Trajectory:
    """The left view with one noise at every level."""
    noise = torch.randn(case.left.shape, generator=torch.Generator().manual_seed(0))
    sigmas = karras(STEPS).float()
    return Trajectory(sigmas, tuple(case.left + sigma * noise for sigma in sigmas))


def inverted(case: Case) -> Trajectory:
    """The left view inverted."""
    sigmas = karras(STEPS).float()
    return invert(lambda x, sigma: case.denoise(x, sigma, NoiseForm.VE), case.left, sigmas, float(sigmas[-2]), refine=2)


def in_picture(case: Case) -> Callable[[Tensor], Tensor]:
    """The shift in the picture: decoded, rendered, encoded."""
    latent, disparity = case.latent, case.picture_disparity
    return lambda estimate: latent.encode(render_view(latent.decode(estimate), disparity).image)
