"""Noise forms: every state is DDIM's up to a factor of its level."""

from __future__ import annotations

import pytest
import torch

from stereo_core.noise_forms import NoiseForm, alpha, alpha_bar, from_vp, magnitude, to_vp

LEVELS = {
    NoiseForm.VE: torch.tensor([0.0, 0.03, 1.0, 14.6, 700.0]),
    NoiseForm.FLOW: torch.tensor([0.0, 0.03, 0.5, 0.9, 1.0]),
}


@pytest.mark.parametrize("form", NoiseForm)
def test_to_vp_gives_ddims_own_sum(form: NoiseForm):
    clean, noise = torch.randn(2, 1, 4, 3, 3, generator=torch.Generator().manual_seed(1)).double()
    for sigma in LEVELS[form].double():
        state = alpha(sigma, form) * clean + sigma * noise
        share = alpha_bar(sigma, form)
        torch.testing.assert_close(to_vp(state, sigma, form), share.sqrt() * clean + (1 - share).sqrt() * noise)


@pytest.mark.parametrize("form", NoiseForm)
def test_from_vp_is_the_way_back(form: NoiseForm):
    state = torch.randn(5, 4, 3, 3, generator=torch.Generator().manual_seed(2))
    sigma = LEVELS[form].view(5, 1, 1, 1)
    torch.testing.assert_close(from_vp(to_vp(state, sigma, form), sigma, form), state)


def test_variance_exploding_is_the_textbook_case():
    sigma = torch.tensor(2.0)
    torch.testing.assert_close(magnitude(sigma, NoiseForm.VE), torch.tensor(5.0).sqrt())
    torch.testing.assert_close(alpha_bar(sigma, NoiseForm.VE), torch.tensor(0.2))


def test_a_flow_level_has_the_alpha_bar_of_its_noise_to_signal_ratio():
    level = torch.tensor([0.1, 0.5, 0.9])
    torch.testing.assert_close(alpha_bar(level, NoiseForm.FLOW), alpha_bar(level / (1 - level), NoiseForm.VE))


@pytest.mark.parametrize("form", NoiseForm)
def test_alpha_bar_runs_from_clean_to_noise(form: NoiseForm):
    share = alpha_bar(LEVELS[form], form)
    assert share[0] == 1 and share[-1] < 3e-6 and (share[:-1] > share[1:]).all()


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="vp"):
        magnitude(torch.tensor(1.0), "vp")
