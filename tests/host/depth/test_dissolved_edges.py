"""What is left of real depth maps behind the real tiny autoencoder of FLUX.2: edges, fine detail and the mean."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from stereo_core.dissolving import dissolve, noise_level, restore_range
from stereo_core.noise_forms import NoiseForm
from tests.host.tiny.autoencoders import load_taef2
from tools.benchmarks.middlebury import fill_unknown
from tools.setup.home import ROOT

DATA = ROOT.parent / "shared" / "data"
SCENES = ("Cones", "Teddy", "Art")
SIDE = 6
"""Columns on each side of an edge that are looked at."""


@pytest.fixture(scope="module")
def vae(host: dict[str, type]) -> Any:  # noqa: ARG001
    weights = DATA / "weights" / "taef2"
    if not weights.is_dir() or not (DATA / "stereo").is_dir():
        pytest.skip("the FLUX.2 autoencoder and the Middlebury pairs (shared/data) are not beside the project")
    return load_taef2(weights)


def true_depth(scene: str) -> Tensor:
    """(1, H, W, 3) from the scene's true disparity, in whole cells of the autoencoder."""
    from PIL import Image

    disparity = np.asarray(Image.open(DATA / "stereo" / scene / "disp_left.png")).astype(np.float32)
    filled = fill_unknown(np.where(disparity == 0, np.inf, disparity))
    depth = torch.from_numpy((filled - filled.min()) / (filled.max() - filled.min()))
    return depth[None, :368, :448, None].expand(-1, -1, -1, 3)


def through(vae: Any, depth: Tensor) -> Tensor:
    return vae.decode(vae.encode(depth)).mean(-1, keepdim=True).expand(-1, -1, -1, 3)


class Edges(NamedTuple):
    """How edges came through, over all edges: medians, and the share that moved by a column at most."""

    contrast: float
    offset: float
    in_place: float


def edges(true: Tensor, depth: Tensor) -> Edges:
    """Look at every edge of at least 0.15 between two surfaces that are flat over ``SIDE`` columns."""
    was, now = (values[0, ..., 0].unfold(1, 2 * SIDE, 1) for values in (true, depth))
    sides = was.unflatten(-1, (2, SIDE))
    low, high = sides.mean(-1).unbind(-1)
    flat = (sides.amax(-1) - sides.amin(-1)).amax(-1) < 0.03
    where = ((high - low).abs() > 0.15) & flat
    was, now, low, high = was[where], now[where], low[where], high[where]
    assert len(was) > 500

    def contrast(profile: Tensor) -> Tensor:  # next to the edge, but for two columns on each side of it
        return profile[:, SIDE + 2 :].mean(1) - profile[:, : SIDE - 2].mean(1)

    above = (now - (low + high).unsqueeze(1) / 2) * (high - low).sign().unsqueeze(1)
    crosses = (above[:, :-1] < 0) & (above[:, 1:] >= 0)
    first = crosses.int().argmax(1, keepdim=True)
    before, after = above.gather(1, first)[:, 0], above.gather(1, first + 1)[:, 0]
    offset = (first[:, 0] + before / (before - after) - (SIDE - 0.5)).abs()
    offset[~crosses.any(1)] = torch.inf
    return Edges(
        (contrast(now) / contrast(was)).median().item(),
        offset.median().item(),
        (offset <= 1).float().mean().item(),
    )


def low_pass(host: dict[str, type], depth: Tensor, method: str, radius: float) -> Tensor:
    return host["Stereo_DissolveDepth"].execute(depth, method, 40, radius, 0.25, 0, 0, False, True, "paper").result[0]


@pytest.mark.parametrize("scene", SCENES)
def test_the_autoencoder_itself_keeps_edges(vae: Any, scene: str):
    depth = true_depth(scene)
    kept = edges(depth, through(vae, depth))
    assert kept.contrast > 0.98 and kept.offset < 0.1 and kept.in_place > 0.995


@pytest.mark.parametrize("radius", [1.0, 4.0])
@pytest.mark.parametrize("scene", SCENES)
def test_edge_aware_keeps_edges_through_the_autoencoder(host: dict[str, type], vae: Any, scene: str, radius: float):
    depth = true_depth(scene)
    kept = edges(depth, through(vae, low_pass(host, depth, "edge_aware", radius)))
    assert kept.contrast > 0.85
    assert kept.offset < 0.12
    assert kept.in_place > 0.985


@pytest.mark.parametrize("scene", SCENES[:2])
def test_gaussian_does_not(host: dict[str, type], vae: Any, scene: str):
    depth = true_depth(scene)
    half, two = (edges(depth, through(vae, low_pass(host, depth, "gaussian", radius))) for radius in (0.5, 2.0))
    assert half.contrast < 0.87 and half.offset > 0.25
    assert two.contrast < 0.25 and two.in_place < 0.3


def test_edge_aware_takes_the_detail_between_the_edges(host: dict[str, type], vae: Any):
    depth = true_depth("Cones")
    noisy = (depth + 0.02 * torch.randn(depth.shape[:3], generator=torch.Generator().manual_seed(1))[..., None]).clamp(
        0, 1
    )
    smooth = through(vae, low_pass(host, noisy, "edge_aware", 2.0))
    wall = (slice(None), slice(0, 90), slice(0, 80), slice(0, 1))  # a wall without edges
    rough, left = ((values[wall].diff(dim=2)).square().mean().item() for values in (noisy, smooth))
    assert left < 0.02 * rough


def fine_detail(depth: Tensor) -> float:
    """Mean square of what is finer than 20 pixels."""
    rows, columns = (torch.fft.fftfreq(size) for size in depth.shape[-2:])
    fine = (rows[:, None] ** 2 + columns**2).sqrt() > 0.05
    return ((torch.fft.fft2(depth.double(), norm="forward").abs() ** 2) * fine).sum().item()


def test_dissolving_on_the_real_autoencoder_takes_detail_step_by_step_and_keeps_the_mean(vae: Any):
    """With the closed-form denoiser of a Gaussian prior that was fitted to the latents of two other real maps."""
    latents = [vae.encode(true_depth(scene)[:, :352, :432]).double() for scene in SCENES]
    power = torch.cat([torch.fft.fft2(latent, norm="ortho") for latent in latents[1:]]).abs().square()
    power = torch.nn.functional.avg_pool2d(power.mean(0, keepdim=True), 3, 1, 1, count_include_pad=False)
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    levels = (1 / (1 - betas).cumprod(0) - 1).sqrt()
    depth = true_depth("Cones")[:, :352, :432, :1].movedim(-1, 1)

    def denoise(state: Tensor, sigma: Tensor) -> Tensor:
        return torch.fft.ifft2(torch.fft.fft2(state) * power / (power + sigma**2)).real

    def maps(strength: int) -> Tensor:
        dissolved = dissolve(latents[0], noise_level(levels, strength), denoise, NoiseForm.VE)
        return restore_range(vae.decode(dissolved.float()).mean(-1).unsqueeze(1), depth)

    dissolved = [maps(strength) for strength in (5, 10, 20, 30, 40)]
    detail = [fine_detail(each) for each in (depth, *dissolved)]
    assert all(after < before for before, after in zip(detail[:-1], detail[1:], strict=True))
    assert detail[-1] < 0.3 * detail[0]
    assert all(abs(each.mean() - depth.mean()) < 5e-3 for each in dissolved)
