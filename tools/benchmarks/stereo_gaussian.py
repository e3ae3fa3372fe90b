"""Stereo on a distribution that is known exactly: an upright object before a background, both with 1/f texture."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
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
from stereo_core.video_presets import VideoPreset

from .exact_denoisers import ObjectPrior, cosines_at, from_modes, object_rows, one_over_f
from .exact_stepper import ExactStepper, karras
from .stereo_variants import Variant, by_fill, by_form, crafted, make_right, renewed
from .table import print_table

SIZE, FRAMES, STEPS, PICTURES, CLIPS = (16, 64), 5, 30, 48, 12
SVD_STEPS, SVD_LEVELS = 20, (700.0, 0.002)  # of the host's workflow for SVD, Karras
TEXTURE = 0.25  # its std; object and background are 2 apart
GEOMETRY = StereoGeometry(max_disparity=350 / 64, convergence=0.5)  # 1.75 columns before and behind the screen
HEADER = ["hole", "left edge", "right edge", "visible"]


class Truth(NamedTuple):
    """What the right view of a left one is.

    Attributes:
        right: (B, 1, ...) like the left view; holes hold the background's -1.
        visible: (B, 1, ...) boolean, what the left view shows, but for a column on either side of the edges.
        hole: the same, what the object hides from it.
        edges: (B, 2) columns of the object.
    """

    right: Tensor
    visible: Tensor
    hole: Tensor
    edges: Tensor


class Left(NamedTuple):
    """Left views with their paths from noise, and what is asked of them."""

    path: Trajectory
    depth: StereoDepth
    truth: Truth


def submit(pool: Executor) -> Callable[[], None]:
    """Begin to measure; return what prints the tables of pictures and of clips."""
    found = [pool.submit(picture_rows), pool.submit(clip_rows)]

    def show() -> None:
        asked = GEOMETRY.max_disparity / 200 * SIZE[1]
        print("### An object of +1 before a background of -1\n")
        print(
            f"Exact denoiser of upright objects of any place and width with 1/f texture (std {TEXTURE}), latent "
            f"{SIZE[1]}x{SIZE[0]}, {PICTURES} pictures of it, {STEPS} steps (Karras). Asked: the object {asked:+.2f} "
            f"columns, the background {-asked:+.2f}. Hole: its mean, where -1 is right. Edges: how much further than "
            "asked they moved, in columns; the hole lies beside the right one. Visible: root mean square error.\n"
        )
        print_table(["shift, fill", "renewals", *HEADER], found[0].result())
        highest, lowest = SVD_LEVELS
        print(
            f"StereoCrafter-Zero, {CLIPS} clips of {FRAMES} frames. SVD's schedule: {SVD_STEPS} steps from noise "
            f"{highest:g} to {lowest:g} (Karras).\n"
        )
        print_table(["shift, fill", "", *HEADER], found[1].result())

    return show


def picture_rows() -> list[list[str]]:
    """StereoDiffusion's rows."""
    prior = ObjectPrior(one_over_f(SIZE, TEXTURE))
    left, flow = (inverted_left(prior, PICTURES, SIZE, form) for form in (NoiseForm.VE, NoiseForm.FLOW))
    sampled = ancestral_left(prior, PICTURES, SIZE)

    def row(variant: Variant, left: Left, note: str = "", form: NoiseForm = NoiseForm.VE, draw: bool = False):
        return [variant.name + note, f"{variant.renewals(STEPS)}", *measure(prior, left, variant, form, draw)]

    return [
        *(row(variant, left) for variant in renewed(by_form(), 0, 0.2, 0.1, 1 / STEPS)),
        *(row(variant, left) for variant in by_fill()),
        row(Variant(), flow, ", flow form", NoiseForm.FLOW),
        *(row(variant, sampled, ", Euler ancestral", draw=True) for variant in by_form()),
    ]


def clip_rows() -> list[list[str]]:
    """StereoCrafter-Zero's rows."""
    prior = ObjectPrior(one_over_f((FRAMES, *SIZE), TEXTURE))
    left = inverted_left(prior, CLIPS, (FRAMES, *SIZE))
    ways = ((base.name, name, way) for base in [*by_form(), *by_fill()] for name, way in crafted(base).items())
    sigmas = karras(SVD_STEPS, *SVD_LEVELS)
    svd = inverted_left(prior, CLIPS, (FRAMES, *SIZE), sigmas=sigmas)
    return [
        *([*names, *measure(prior, left, way)] for *names, way in ways),
        *([f"{Variant().name}, SVD's schedule", name, *measure(prior, svd, way)] for name, way in at_svd().items()),
    ]


def at_svd() -> dict[str, Variant]:
    """Both stages where a preset puts them by the noise, and where StereoCrafter-Zero's step numbers would."""
    refine = RefineSettings(preset=VideoPreset.LARGE)
    restarts = {"by the noise": RestartSettings(preset=VideoPreset.LARGE), "by step numbers": RestartSettings()}
    return {f"both, restart {name}": Variant(restart=restart, refine=refine) for name, restart in restarts.items()}


def measure(
    prior: ObjectPrior, left: Left, variant: Variant, form: NoiseForm = NoiseForm.VE, ancestral: bool = False
) -> list[str]:
    """Make the right views; return the figures of the table's row."""
    path, truth = left.path, left.truth
    size = path.states[0].shape
    disparity = left.depth.for_latent((*size[:2], *size[-2:]), form=variant.shift)
    if len(size) == 5:
        disparity = disparity.unsqueeze(2).expand(-1, -1, size[2], -1, -1)
    right = make_right(variant, prior.denoise, path, disparity, form=form, ancestral=ancestral)
    begin, end = (truth.edges - prior.find_edges(right)).mean(0).tolist()
    error = (right - truth.right)[truth.visible].square().mean().sqrt()
    return [f"{right[truth.hole].mean():+.2f}", f"{begin:+.2f}", f"{end:+.2f}", f"{error:.3f}"]


def inverted_left(
    prior: ObjectPrior,
    entries: int,
    size: tuple[int, ...],
    form: NoiseForm = NoiseForm.VE,
    sigmas: Tensor | None = None,
) -> Left:
    """Draw left views from the prior, objects in the middle, and walk Euler's way back to their noise."""
    width, entry = size[-1], torch.arange(entries, dtype=torch.float64)
    begin = width // 4 + entry * 2.75 % (width // 8)  # at every fraction of a column that the prior knows
    edges = torch.stack([begin, begin + width // 4 + entry * 1.25 % (width // 8)], dim=1)
    picture = from_modes(_noise(entries, size) * prior.power.sqrt())
    picture += object_rows(edges, width).view(entries, *[1] * len(size), width)
    sigmas = karras(STEPS) if sigmas is None else sigmas
    if form is NoiseForm.FLOW:
        sigmas = sigmas / (1 + sigmas)  # as much noise to the picture
    path = invert(lambda x, sigma: prior.denoise(x, sigma, form), picture, sigmas, float(sigmas[-2]), refine=8)
    return _asked(path, edges)


def ancestral_left(prior: ObjectPrior, entries: int, size: tuple[int, ...]) -> Left:
    """Sample left views with Euler ancestral, and read from each where its object lies."""
    sigmas = karras(STEPS)
    path = ExactStepper(prior.denoise, sigmas, ancestral=True).record(_noise(entries, size) * sigmas[0])
    return _asked(path, prior.find_edges(path.states[-1]))


def _noise(entries: int, size: tuple[int, ...]) -> Tensor:
    return torch.randn(entries, 1, *size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def _asked(path: Trajectory, edges: Tensor) -> Left:
    """Make the depth maps, 1 where the middle of a column lies on the object."""
    picture = path.states[-1]
    middle = torch.arange(picture.shape[-1]) + 0.5
    inside = (middle >= edges[:, :1]) & (middle < edges[:, 1:])
    maps = inside.double()[:, None, None].expand(-1, 1, picture.shape[-2], -1)
    return Left(path, StereoDepth(maps, GEOMETRY), true_right(picture, edges))


def true_right(left: Tensor, edges: Tensor) -> Truth:
    """Move object, background and the texture on both, each by its exact disparity."""
    width = left.shape[-1]
    columns = torch.arange(width, dtype=torch.float64)
    near, far = GEOMETRY.disparity(torch.tensor([[[[1.0, 0.0]]]]), width).flatten().double().tolist()
    row = (len(left), 1, *[1] * (left.ndim - 3), width)
    texture = (left - object_rows(edges, width).view(row)) @ cosines_at(columns, width).T
    front, behind = (texture @ cosines_at(columns + shift, width) for shift in (near, far))
    covered = ((object_rows(edges - near, width) + 1) / 2).view(row)
    right = covered * (1 + front) + (1 - covered) * (behind - 1)
    begin, end = (edges[:, side].view(-1, *[1] * (left.ndim - 1)) for side in (0, 1))
    source = columns + far  # a column of the right view's background covers source to source + 1 of the left one
    hidden = (source + 1 > begin) & (source < end) & (covered == 0)
    middles = ((columns + near, begin), (columns + near, end), (source, end))
    beside_edge = torch.stack([(middle + 0.5 - edge).abs() < 1.5 for middle, edge in middles]).any(0)
    visible = (source >= 0) & (source <= width - 1) & ~hidden & ~beside_edge
    return Truth(right, visible.expand(left.shape), hidden.expand(left.shape), edges - near)
