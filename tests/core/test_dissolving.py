"""Dissolving against Eq. 5 as printed, on a denoiser known in closed form."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from stereo_core.dissolving import STEPS, DissolveForm, dissolve, noise_level, restore_range
from stereo_core.noise_forms import NoiseForm, alpha, alpha_bar

SHAPE = (2, 3, 24, 32)
BETAS = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
ALPHA_BAR = (1 - BETAS).cumprod(0)
LEVELS = {
    NoiseForm.VE: ((1 - ALPHA_BAR) / ALPHA_BAR).sqrt(),
    NoiseForm.FLOW: torch.arange(1, 1001, dtype=torch.float64) / 1000,
}
FORMS = list(NoiseForm)


def frequency() -> Tensor:
    """Cycles per pixel of every coefficient of a latent."""
    rows, columns = (torch.fft.fftfreq(size, dtype=torch.float64) for size in SHAPE[-2:])
    return (rows[:, None] ** 2 + columns**2).sqrt()


POWER = 30 / (1 + (frequency() / 0.06) ** 4)
"""The prior: Gaussian latents with this power spectrum, far below that of the noise (1) at high frequencies."""


def filtered(values: Tensor, response: Tensor) -> Tensor:
    return torch.fft.ifft2(torch.fft.fft2(values) * response).real


def wiener(form: NoiseForm) -> Callable[[Tensor, Tensor], Tensor]:
    """The best denoiser that there is for this prior, E[x0 | x]."""

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        signal = alpha(sigma, form)
        return filtered(x, signal * POWER / (signal**2 * POWER + sigma**2))

    return denoise


def latent(seed: int = 0) -> Tensor:
    """Drawn from the prior, with a mean; white detail on top."""
    white = torch.randn(2, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return filtered(white[0], POWER.sqrt()) + 0.3 * white[1] + 0.7


def high_frequency_energy(values: Tensor) -> float:
    return filtered(values, (frequency() > 0.2).double()).square().mean().item()


def at(strength: int, form: NoiseForm, reading: DissolveForm = DissolveForm.PAPER) -> Tensor:
    return dissolve(latent(), noise_level(LEVELS[form], strength, reading), wiener(form), form, reading)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("strength", [1, 20, 45, 49])
def test_it_is_equation_5(form: NoiseForm, strength: int):
    sigma = LEVELS[form][20 * strength - 1]
    abar, x = alpha_bar(sigma, form), latent()
    # The Wiener filter's estimate of the noise in an x of DDIM's form, from its definition.
    noise = filtered(x, (1 - abar).sqrt() / (abar * POWER + 1 - abar))
    printed = (1 / abar).sqrt() * x - (1 / abar - 1).sqrt() * noise
    torch.testing.assert_close(at(strength, form), printed, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_the_codes_form_takes_the_latent_as_it_stands_in_the_exploding_form(form: NoiseForm):
    high, low = LEVELS[form][-1].item(), LEVELS[form][0].item()
    sigma = (high ** (1 / 7) + 30 / 49 * (low ** (1 / 7) - high ** (1 / 7))) ** 7
    exploding = sigma if form is NoiseForm.VE else sigma / (1 - sigma)
    expected = filtered(latent(), POWER / (POWER + exploding**2))
    torch.testing.assert_close(at(20, form, DissolveForm.CODE), expected, rtol=1e-9, atol=1e-9)


def test_the_codes_strength_30_is_sigma_37_for_svd():
    # What the published pipeline takes: the host's Karras schedule of 50 steps, at index 50 - dissolve_step.
    svd = torch.linspace(0.002, 700, 1000, dtype=torch.float64)
    assert noise_level(svd, 30, DissolveForm.CODE).item() == pytest.approx(37.4, abs=0.5)
    ends = [noise_level(svd, strength, DissolveForm.CODE).item() for strength in (1, 50)]
    assert ends == pytest.approx([0.002, 700.0])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("restore", [False, True])
def test_high_frequencies_fall_with_every_step(form: NoiseForm, restore: bool):
    dissolved = [latent(), *(at(strength, form) for strength in range(1, STEPS + (form is NoiseForm.VE)))]
    if restore:
        depth = as_depth(latent())
        dissolved = [restore_range(as_depth(values), depth) for values in dissolved]
    energy = [high_frequency_energy(values) for values in dissolved]
    assert all(after < before for before, after in zip(energy[:-1], energy[1:], strict=True))
    assert energy[-1] < 0.02 * energy[0]


def as_depth(values: Tensor) -> Tensor:
    """Frames (T, 1, H, W) that stay within [0, 1]."""
    return (values.flatten(0, 1).unsqueeze(1) + 50) / 100


@pytest.mark.parametrize("form", FORMS)
def test_restoring_the_range_keeps_the_mean_and_undoes_a_gain(form: NoiseForm):
    depth = as_depth(latent())
    for strength in (10, 40, 49):
        bare = as_depth(at(strength, form))
        restored = restore_range(bare, depth)
        assert abs(restored.mean() - depth.mean()) < 1e-9
        torch.testing.assert_close(restored, restore_range(3 * bare + 2, depth), rtol=1e-9, atol=1e-9)
        assert (restored - depth).square().mean() < (bare - depth).square().mean()
    assert abs(at(40, form).mean() / latent().mean() - 1) > 1, "Eq. 5 alone does not keep the mean"


def test_restoring_takes_one_gain_and_one_offset_for_all_frames():
    depth = as_depth(latent())
    torch.testing.assert_close(restore_range(2.5 * depth - 1, depth), depth)
    for nothing in (torch.zeros_like(depth), -depth):
        torch.testing.assert_close(restore_range(nothing, depth), depth.mean().expand(depth.shape))


def test_the_restored_clip_is_depth_again():
    depth = torch.tensor([0.0, 0.0, 0.0, 1.0]).view(1, 1, 1, 4)
    restored = restore_range(torch.tensor([1.0, 2.0, 3.0, 9.0]).view(1, 1, 1, 4), depth)
    assert restored.min() == 0 and restored.max() <= 1
    with pytest.raises(ValueError, match=r"dissolved: expected \(T, 1, H, W\) with T=1, H=1, W=4, got \(2, 1, 1, 4\)"):
        restore_range(torch.zeros(2, 1, 1, 4), depth)


def test_the_model_is_asked_once_and_the_latent_is_not_written():
    calls = []
    x = latent()
    before = x.clone()
    result = dissolve(x, torch.tensor(3.0), lambda noisy, sigma: calls.append(float(sigma)) or noisy, NoiseForm.VE)
    assert calls == [3.0] and torch.equal(x, before)
    torch.testing.assert_close(result, x * 10**0.5)


@pytest.mark.parametrize("count", [1000, 10000, 50])
def test_strengths_are_fractions_of_the_models_levels(count: int):
    levels = torch.arange(1, count + 1)
    assert [int(noise_level(levels, strength)) for strength in (1, 40, 50)] == [count // 50, count * 4 // 5, count]


@pytest.mark.parametrize("form", DissolveForm)
def test_a_strength_outside_the_schedule_is_refused(form: DissolveForm):
    noise_level(LEVELS[NoiseForm.VE], 50, form)
    for strength in (-1, 0, 51):
        with pytest.raises(ValueError, match=rf"strength: got {strength}\. Give a step of 50: 1 to 50"):
            noise_level(LEVELS[NoiseForm.VE], strength, form)
