"""Stereo on a distribution that is known exactly: an upright object before a background, both with 1/f texture."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from stereo_core.geometry import StereoGeometry
from stereo_core.inversion import invert
from stereo_core.iterative_refinement import RefineSettings
from stereo_core.noise_forms import NoiseForm
from stereo_core.noisy_restart import RestartSettings
from stereo_core.stereo_depth import StereoDepth
from stereo_core.trajectory import Trajectory
from stereo_core.view_shift import HoleFill, ShiftForm

from .exact_denoisers import ObjectPrior, cosines_at, from_modes, object_rows, one_over_f
from .exact_stepper import karras
from .stereo_variants import Variant, make_right
from .table import print_table

SIZE, FRAMES, STEPS, PICTURES, CLIPS = (16, 64), 5, 30, 48, 16
TEXTURE = 0.25  # its std; object and background are 2 apart
GEOMETRY = StereoGeometry(max_disparity=350 / 64, convergence=0.5)  # 1.75 columns before and behind the screen


class Truth(NamedTuple):
    """What the right view of a left one is.

    Attributes:
        right: (B, 1, ...) like the left view; holes hold the background's -1.
        visible: (B, 1, ..., W) boolean, what the left view shows, but for a column on either side of the edges.
        hole: the same, what the object hides from it.
        edges: (B, 2) columns of the object.
    """

    right: Tensor
    visible: Tensor
    hole: Tensor
    edges: Tensor


class Left(NamedTuple):
    """Left views sampled from the prior, and what is asked of them."""

    path: Trajectory
    depth: StereoDepth
    truth: Truth


def main() -> None:
    """Print both tables."""
    print("### An object of +1 before a background of -1\n")
    asked = GEOMETRY.max_disparity / 200 * SIZE[1]
    print(
        f"Exact denoiser of upright objects of any place and width with 1/f texture (std {TEXTURE}), latent "
        f"{SIZE[1]}x{SIZE[0]}, {PICTURES} pictures drawn from it, {STEPS} steps of Euler's method (Karras). Asked: the "
        f"object {asked:+.2f} columns, the background {-asked:+.2f}. Hole: its mean, where -1 is right. Edges: how much "
        "further than asked they moved, in columns; the right one is the hole's. Visible: root mean square error.\n"
    )
    prior = ObjectPrior(one_over_f(SIZE, TEXTURE))
    left = make_left(prior, PICTURES, SIZE)
    renewed = [Variant(shift=shift, mask_every=every) for shift in ShiftForm for every in (0, 0.2, 0.1, 1 / STEPS)]
    filled = [Variant(fill=fill) for fill in HoleFill if fill is not Variant().fill]
    rows = [measure(prior, left, variant) for variant in (*renewed, *filled)]
    header = ["shift, fill", "renewals", "hole", "left edge", "right edge", "visible"]
    print_table(header, rows)
    print(f"Clips: {CLIPS} of {FRAMES} frames, StereoCrafter-Zero.\n")
    clips = ObjectPrior(one_over_f((FRAMES, *SIZE), TEXTURE))
    left = make_left(clips, CLIPS, (FRAMES, *SIZE))
    restart, refine = RestartSettings(), RefineSettings()
    rows = []
    for base in [*(Variant(shift=shift) for shift in ShiftForm), *filled]:
        for name, way in {
            "restart": replace(base, restart=restart),
            "refinement": replace(base, refine=refine),
            "both": replace(base, restart=restart, refine=refine),
        }.items():
            row = measure(clips, left, way)
            rows.append([row[0], name, *row[2:]])
    print_table(["shift, fill", "", *header[2:]], rows)


def make_left(prior: ObjectPrior, entries: int, size: tuple[int, ...]) -> Left:
    """Draw left views from the prior, objects in the middle, and walk the sampler's way back to their noise."""
    width, entry = size[-1], torch.arange(entries, dtype=torch.float64)
    begin = width // 4 + entry * 2.75 % (width // 8)  # at every fraction of a column that the prior knows
    edges = torch.stack([begin, begin + width // 4 + entry * 1.25 % (width // 8)], dim=1)
    noise = torch.randn(entries, 1, *size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    texture = from_modes(noise * prior.power.sqrt())
    picture = texture + object_rows(edges, width).view(entries, *[1] * len(size), width)
    sigmas = karras(STEPS)
    path = invert(lambda x, sigma: prior.denoise(x, sigma, NoiseForm.VE), picture, sigmas, float(sigmas[-2]), refine=8)
    centre = torch.arange(width) + 0.5
    inside = (centre >= edges[:, :1]) & (centre < edges[:, 1:])
    maps = inside.double()[:, None, None].expand(-1, 1, size[-2], -1)
    return Left(path, StereoDepth(maps, GEOMETRY), true_right(picture, edges))


def true_right(left: Tensor, edges: Tensor) -> Truth:
    """Move object, background and the texture on both, each by its exact disparity."""
    width, columns = left.shape[-1], torch.arange(left.shape[-1], dtype=torch.float64)
    near, far = GEOMETRY.disparity(torch.tensor([[[[1.0, 0.0]]]]), width).flatten().double().tolist()
    shape = (len(left), 1, *[1] * (left.ndim - 3), width)
    texture = (left - object_rows(edges, width).view(shape)) @ cosines_at(columns, width).T
    front, behind = (texture @ cosines_at(columns + shift, width) for shift in (near, far))
    covered = ((object_rows(edges - near, width) + 1) / 2).view(shape)
    right = covered * (1 + front) + (1 - covered) * (behind - 1)
    begin, end = (edges[:, i].view(-1, *[1] * (left.ndim - 1)) for i in (0, 1))
    source = columns + far  # a column of the right view's background covers source to source + 1 of the left one
    hidden = (source + 1 > begin) & (source < end) & (covered == 0)
    beside_edge = ((columns + near + 0.5 - begin).abs() < 1.5) | ((columns + near + 0.5 - end).abs() < 1.5)
    beside_edge |= (source + 0.5 - end).abs() < 1.5
    inside = (source >= 0) & (source <= width - 1)
    visible = ((covered == 1) | ((covered == 0) & ~hidden & inside)) & ~beside_edge
    return Truth(right, visible.expand(left.shape), hidden.expand(left.shape), edges - near)


def measure(prior: ObjectPrior, left: Left, variant: Variant) -> list[str]:
    """Make the right views; return the table's row."""
    path, truth = left.path, left.truth
    size = path.states[0].shape
    disparity = left.depth.for_latent((*size[:2], *size[-2:]), form=variant.shift)
    if len(size) == 5:
        disparity = disparity.unsqueeze(2).expand(-1, -1, size[2], -1, -1)
    right = make_right(variant, prior.denoise, path, disparity)
    begin, end = (prior.find_edges(right) - truth.edges).mean(0).tolist()
    error = (right - truth.right)[truth.visible].square().mean().sqrt()
    figures = [f"{right[truth.hole].mean():+.2f}", f"{-begin:+.2f}", f"{-end:+.2f}", f"{error:.3f}"]
    return [variant.name, f"{variant.renewals(STEPS)}", *figures]
