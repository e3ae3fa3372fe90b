"""The benchmark's denoisers against the formulas written out: dense covariances, and every patch by itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stereo_core.noise_forms import NoiseForm, alpha
from tools.benchmarks import local_patches
from tools.benchmarks.exact_denoisers import (
    GaussianPrior,
    ObjectPrior,
    cosines_at,
    from_modes,
    object_rows,
    one_over_f,
    to_modes,
)
from tools.benchmarks.local_patches import LocalPatches, Scale

LEVELS = [(NoiseForm.VE, 0.7), (NoiseForm.VE, 5.0), (NoiseForm.FLOW, 0.4)]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def covariance(power: Tensor) -> Tensor:
    """Of all values of one latent with independent cosine modes."""
    count = power.numel()
    values = from_modes(torch.eye(count, dtype=torch.float64).view(count, 1, *power.shape)).flatten(1)  # by mode
    return values.T @ (power.flatten()[:, None] * values)


@pytest.mark.parametrize("shape", [(2, 3, 5, 8), (1, 2, 3, 4, 6)])
def test_modes_hold_all_of_a_latent(shape: tuple[int, ...]):
    x = normal(*shape)
    modes = to_modes(x)
    torch.testing.assert_close(from_modes(modes), x)
    torch.testing.assert_close(modes.square().sum(), x.square().sum())


def test_modes_know_what_lies_between_columns():
    modes = cosines_at(torch.tensor([2.0, 2.5, 3.0]), 8).T
    row = modes @ torch.tensor([0, 0, 1.0, 0, 0, 0, 0, 0], dtype=torch.float64)
    assert row[0] > row[1] > row[2]  # the second mode falls there


@pytest.mark.parametrize("size", [(3, 6), (2, 2, 5)])
@pytest.mark.parametrize(("form", "level"), LEVELS)
def test_a_gaussian_is_denoised_by_its_covariance(form: NoiseForm, level: float, size: tuple[int, ...]):
    power, sigma = one_over_f(size, 0.8), torch.tensor(level, dtype=torch.float64)
    x, c, a = normal(2, 1, *size), covariance(power), alpha(sigma, form)
    expected = a * x.flatten(1) @ torch.linalg.inv(a**2 * c + sigma**2 * torch.eye(len(c))) @ c
    torch.testing.assert_close(GaussianPrior(power).denoise(x, sigma, form).flatten(1), expected)
    assert c.diagonal().mean().item() == pytest.approx(0.64, rel=0.2)


@pytest.mark.parametrize("size", [(3, 12), (2, 2, 12)])
@pytest.mark.parametrize(("form", "level"), LEVELS)
def test_an_object_is_a_mixture_of_all_its_places(form: NoiseForm, level: float, size: tuple[int, ...]):
    power, sigma = one_over_f(size, 0.5), torch.tensor(level, dtype=torch.float64)
    prior = ObjectPrior(power, step=1.5, margin=2, narrowest=3)
    x, c, a = normal(3, 1, *size) * (1 + level), covariance(power), alpha(sigma, form)
    total = a**2 * c + sigma**2 * torch.eye(len(c))
    means = object_rows(prior.edges, 12).view(-1, *[1] * (len(size) - 1), 12).expand(-1, *size).flatten(1)
    apart = x.flatten(1)[:, None] - a * means
    weights = (-0.5 * (apart @ torch.linalg.inv(total) * apart).sum(-1)).softmax(-1)
    each = means + a * apart @ torch.linalg.inv(total) @ c
    expected = (weights[..., None] * each).sum(1)
    torch.testing.assert_close(prior.denoise(x, sigma, form).flatten(1), expected)
    assert len(prior.edges) > 5 and 0 < weights.max() < 1


def test_the_edges_of_an_object_are_found_to_a_tenth_of_a_column():
    prior = ObjectPrior(one_over_f((16, 64), 0.25))
    edges = torch.tensor([[20.0, 40.0], [17.3, 33.6], [25.75, 41.1]], dtype=torch.float64)
    texture = from_modes(normal(3, 1, 16, 64) * prior.power.sqrt())
    found = prior.find_edges(texture + object_rows(edges, 64).view(3, 1, 1, 64))
    assert (found - edges).abs().max() <= 0.15  # it tries every quarter


def test_rows_of_an_object_are_averages_over_columns():
    row = object_rows(torch.tensor([[1.25, 3.5]]), 5)
    torch.testing.assert_close(row, torch.tensor([[-1, 0.5, 1, 0, -1]], dtype=torch.float64))


@pytest.mark.parametrize(("form", "level"), LEVELS)
def test_patches_are_a_mixture_with_a_kernel_around_each(
    monkeypatch: pytest.MonkeyPatch, form: NoiseForm, level: float
):
    monkeypatch.setattr(local_patches, "COMPONENTS", 18)
    known, x, sigma = normal(1, 2, 6, 7), normal(1, 2, 5, 6, seed=1), torch.tensor(level, dtype=torch.float64)
    spread = 0.3
    found = LocalPatches([known], [Scale(0.0, 3, spread)]).denoise(x, sigma, form)
    patches = torch.nn.functional.unfold(known, 3)[0].T
    mean, a = patches.mean(0), alpha(sigma, form)
    s = (patches - mean).T @ (patches - mean) / len(patches)
    kernel = a**2 * spread * s + sigma**2 * torch.eye(18)
    y, at, seen = 2, 3, x[..., 1:4, 2:5].flatten()  # the patch around row 2, column 3
    apart = seen - a * patches
    weights = (-0.5 * (apart @ torch.linalg.inv(kernel) * apart).sum(-1)).softmax(-1)
    each = patches + a * spread * apart @ torch.linalg.inv(kernel) @ s
    expected = (weights @ each).view(2, 3, 3)[:, 1, 1]
    torch.testing.assert_close(found[0, :, y, at], expected)


def test_the_noise_level_chooses_the_size_of_patches():
    known, x = [normal(1, 1, 9, 9)], normal(1, 1, 8, 8, seed=1)
    both = LocalPatches(known, [Scale(1.0, 5, 0.1), Scale(0.0, 3, 0.2)])
    for level, scale in ((2.0, Scale(0.0, 5, 0.1)), (0.5, Scale(0.0, 3, 0.2))):
        sigma = torch.tensor(level, dtype=torch.float64)
        alone = LocalPatches(known, [scale])
        assert torch.equal(both.denoise(x, sigma, NoiseForm.VE), alone.denoise(x, sigma, NoiseForm.VE))
