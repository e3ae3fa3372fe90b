"""What disparity a right view really has: matched against the left one, and compared with what was asked."""

from __future__ import annotations

from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor

from stereo_core.geometry import StereoGeometry
from stereo_core.iterative_refinement import RefineSettings
from stereo_core.metrics import psnr
from stereo_core.noisy_restart import RestartSettings
from stereo_core.rendering import render_view
from stereo_core.stereo_depth import StereoDepth
from stereo_core.view_shift import ShiftForm
from stereo_core.warping import forward_warp

from .disparity_matching import made_disparity, matchable
from .photograph_cases import Case, noisy
from .scenes import Scene
from .stereo_variants import Variant, make_right

GEOMETRY = StereoGeometry()
HEADER = ["", "columns, denoiser", "mean error", "before the screen", "behind it", "mean size", "visible"]
REACH = 1.5  # columns beyond the asked range that are tried
WAYS = {
    **{form.value: Variant(shift=form) for form in ShiftForm},
    "restart and refinement": Variant(restart=RestartSettings(), refine=RefineSettings()),
}


def measure_disparity(scene: Scene, case: Case, label: str) -> Iterator[tuple[tuple[str, ...], tuple[float, ...]]]:
    """Give a pair's left view the nodes' default stereo in every form, and match what comes out.

    The truth is the photograph rendered at its own size and averaged to the latent's grid. ``label`` tells the case.
    """
    low, high = scene.disparity.aminmax()
    depth = StereoDepth((scene.disparity - low) / (high - low), GEOMETRY)
    width = scene.left.shape[-1]
    columns, rows = case.left.shape[-1], case.left.shape[-2]
    first = (columns - rows) // 2

    def band(values: Tensor) -> Tensor:
        return values[..., first : first + rows, :]

    size = (1, 1, columns, columns)
    asked = band(depth.for_latent(size))
    truth = band(F.avg_pool2d(render_view(scene.left, depth.disparity()).image, width // columns))
    path = noisy(case)
    views = {"rendered at the photograph's size": case.latent.encode(truth)}
    for name, way in WAYS.items():
        views[name] = make_right(way, case.denoise, path, band(depth.for_latent(size, form=way.shift)))
    trusted, visible = matchable(case.left, asked), forward_warp(case.left, asked.round()).filled
    reach = float(asked.abs().max()) + REACH
    for name, right in views.items():
        error = made_disparity(case.left, right, -reach, reach) - asked
        groups = (trusted, trusted & (asked > 0), trusted & (asked < 0))
        means = [float(error[group].mean()) for group in groups]
        shown = float(psnr(case.latent.decode(right).clamp(0, 1), truth, visible))
        yield (name, label), (*means, float(error[trusted].abs().mean()), min(shown, 99.0))
