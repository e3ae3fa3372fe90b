"""Filling latents of the noisy restart, against the equation written out."""

from __future__ import annotations

import pytest
import torch

from stereo_core.noise_forms import NoiseForm
from stereo_core.noisy_restart import (
    RestartForm,
    RestartSettings,
    ddim_std,
    filling_latent,
    std_ratio,
)
from stereo_core.video_presets import VideoPreset

VE = torch.tensor([14.6, 7.0, 2.0, 0.5, 0.0], dtype=torch.float64)
FLOW = torch.tensor([1.0, 0.8, 0.5, 0.2, 0.0], dtype=torch.float64)

LEVELS = [float(50 - step) for step in range(51)]
"""Noise to signal of any schedule of 50 steps."""


def shares(form: NoiseForm) -> tuple[torch.Tensor, list[float], list[float]]:
    """The levels, what a state is divided by, and DDIM's alpha-bar."""
    levels = VE if form is NoiseForm.VE else FLOW
    clean = [1.0 if form is NoiseForm.VE else 1 - float(level) for level in levels]
    size = [(c**2 + float(level) ** 2) ** 0.5 for c, level in zip(clean, levels, strict=True)]
    return levels, size, [(c / s) ** 2 for c, s in zip(clean, size, strict=True)]


@pytest.mark.parametrize("form", NoiseForm)
def test_the_std_is_ddims_at_eta_1(form: NoiseForm):
    levels, _, abar = shares(form)
    for step in range(4):
        expected = ((1 - abar[step + 1]) / (1 - abar[step])) ** 0.5 * (1 - abar[step] / abar[step + 1]) ** 0.5
        assert ddim_std(levels, step, form).item() == pytest.approx(expected)
    assert ddim_std(levels, 3, form) == 0


@pytest.mark.parametrize("form", NoiseForm)
def test_the_ratio_is_one_where_there_is_none(form: NoiseForm):
    levels, _, _ = shares(form)
    assert std_ratio(levels, 0, form) == 1 == std_ratio(levels, 3, form)
    expected = ddim_std(levels, 2, form) / ddim_std(levels, 1, form)
    assert std_ratio(levels, 2, form) == expected


@pytest.mark.parametrize("form", NoiseForm)
@pytest.mark.parametrize("published", RestartForm)
@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_a_filling_is_equation_2(form: NoiseForm, published: RestartForm, step: int):
    levels, size, abar = shares(form)
    stream = torch.Generator().manual_seed(0)
    stepped, noise = (torch.randn(1, 4, 3, 5, generator=stream, dtype=torch.float64) for _ in range(2))
    a, std = abar[step] ** 0.5, float(ddim_std(levels, step, form))
    z = stepped / size[step + 1]
    if published is RestartForm.CODE:
        z = z * float(std_ratio(levels, step, form))
    expected = (z * (1 - a) + std * noise * a) * size[step]
    torch.testing.assert_close(filling_latent(stepped, noise, levels, step, form, published), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_filling_keeps_the_dtype(dtype: torch.dtype):
    state = torch.ones(1, 4, 3, 5, dtype=dtype)
    assert filling_latent(state, state, VE.to(dtype), 1, NoiseForm.VE, RestartForm.PAPER).dtype == dtype


def test_the_restart_ends_at_the_nearest_step():
    settings = RestartSettings()
    assert [settings.end([1.0] * steps + [0.0], 0, steps) for steps in (50, 20, 8, 14)] == [5, 2, 1, 1]
    assert settings.end(LEVELS, 2, 10) == 5
    assert RestartSettings(until=0.0).end(LEVELS, 25, 50) == 25
    assert RestartSettings(until=1.0).end(LEVELS, 0, 50) == 50


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_few_steps_restart_at_least_one_and_a_plan_of_ones_own_is_not_cut(steps: int):
    settings = RestartSettings()
    assert settings.end([1.0] * steps + [0.0], 0, steps) == 1 and settings.times(steps) == 7
    preset = RestartSettings(preset=VideoPreset.LARGE)
    assert (preset.times(steps), preset.times(25), preset.times(50), preset.times(100)) == (2, 4, 7, 7)
    assert RestartSettings(1, preset=VideoPreset.LARGE).times(steps) == 1


@pytest.mark.parametrize(("first", "last"), [(5, 50), (25, 50), (0, 4)])
def test_a_restart_outside_the_schedule_is_refused(first: int, last: int):
    with pytest.raises(ValueError, match=f"restart_until of Stereo Video.* after step 5 of 50.*{first + 1} to {last}"):
        RestartSettings().end(LEVELS, first, last)


def test_settings_are_checked():
    with pytest.raises(ValueError, match="iterations: got 0"):
        RestartSettings(0)
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="restart_until: got"):
            RestartSettings(until=share)
    with pytest.raises(ValueError, match="not a valid RestartForm"):
        RestartSettings(form="other")
    assert [RestartSettings(form=form).border_weight for form in RestartForm] == [1.0, 0.9]
